//! Sideband tokens: who may call, and under which name.

use std::io::Write as _;
use std::process::Stdio;

use ase_service::config::{Overrides, Settings};
use ase_service::daemon::Daemon;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::{ase, command};
use crate::harness::{Ase, prepared, question, record};

const TOKENS: &str = "tokens = [{name = \"kong\", value = \"kong-0123456789abcdef\"}, {name = \"edge\", value_file = \"edge.token\"}]\n";

fn with_tokens() -> Ase {
    let folder = prepared(TOKENS);
    std::fs::write(folder.path().join("edge.token"), "edge-0123456789abcdef\n").unwrap();
    Ase::in_folder(folder)
}

fn ask(ase: &Ase, token: Option<&str>) -> u16 {
    let headers: Vec<(&str, &str)> = token
        .map(|token| ("ASE-Token", token))
        .into_iter()
        .collect();
    let body = question("192.0.2.1", "/shop").to_string();
    ase.post("/ase/request", &headers, body).status
}

#[test]
fn a_call_without_a_valid_token_is_refused_and_counted() {
    let ase = with_tokens();
    let body = question("192.0.2.1", "/shop").to_string();
    for headers in [
        &[][..],
        &[("ASE-Token", "")],
        &[("ASE-Token", "kong-0123456789abcdeX")],
        &[("ASE-Token", "kong-0123456789abcdef0")],
    ] {
        for path in ["/ase/request", "/ase/response", "/ase/batch"] {
            let reply = ase.post(path, headers, &body);
            assert_eq!(
                (reply.status, reply.body.as_str()),
                (401, "Error: Unauthorized ASE-Token"),
                "{path}"
            );
            assert_eq!(reply.verdict(), "rejected");
        }
    }
    assert_eq!(
        ase.counter("request parsing errors", "request authentication failure"),
        4
    );
    assert_eq!(
        ase.counter("response parsing errors", "response authentication failure"),
        4
    );
    assert_eq!(ase.counter("batches", "authentication failure"), 4);
    assert_eq!(ase.connect().call("GET", "/ase", &[], b"").status, 200);
    assert!(ase.stop().is_empty());
}

#[test]
fn the_name_of_the_token_is_the_gateway_and_its_ids_are_its_own() {
    let ase = with_tokens();
    let body = question("192.0.2.1", "/shop").to_string();
    let kong = [
        ("ase-token", "kong-0123456789abcdef"),
        ("X-CorrelationID", "1"),
    ];
    let edge = [
        ("ase-token", "edge-0123456789abcdef"),
        ("X-CorrelationID", "1"),
    ];
    assert_eq!(ase.post("/ase/request", &kong, &body).status, 200);
    assert_eq!(
        ase.post("/ase/response", &edge, r#"{"response_code":200}"#)
            .status,
        400
    );
    assert_eq!(
        ase.post("/ase/response", &kong, r#"{"response_code":200}"#)
            .status,
        200
    );
    let batch = record("same", "192.0.2.1", "/shop").to_string();
    for headers in [&kong, &edge] {
        let reply = ase.post("/ase/batch", headers, &batch);
        let report: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            report,
            json!({"accepted": 1, "duplicates": 0, "rejected_count": 0, "rejected": []})
        );
    }
    let gateways: Vec<_> = ase
        .stop()
        .iter()
        .map(|line| line["gateway"].clone())
        .collect();
    assert_eq!(gateways, ["kong", "kong", "edge"]);
}

/// What keeps a daemon from starting in this folder; `None` when it starts.
fn refusal(folder: &TempDir) -> Option<String> {
    let config = folder.path().join("ase.toml");
    let settings = match Settings::load(Some(&config), &Overrides::default()) {
        Ok(settings) => settings,
        Err(error) => return Some(error.to_string()),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(Daemon::start(settings)) {
        Ok(daemon) => {
            runtime.block_on(daemon.stop());
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

fn open_to_a_network(folder: &TempDir) {
    let config = folder.path().join("ase.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen(
        "data_listen = \"127.0.0.1:0\"",
        "data_listen = \"0.0.0.0:0\"",
        1,
    );
    std::fs::write(&config, text).unwrap();
}

#[test]
fn tokens_made_by_management_open_a_data_port_to_a_network_while_they_are_asked_for() {
    let daemon = Ase::start();
    assert_eq!(daemon.admin("POST", "/v1/tokens", &Value::Null).0, 201);
    let folder = daemon.stop_and_keep();
    open_to_a_network(&folder);
    let refused = refusal(&folder).unwrap();
    assert!(
        refused.contains("data_listen: 0.0.0.0:0 is open to a network"),
        "tokens that nobody asks for guard nothing: {refused}"
    );
    let loopback = std::fs::read_to_string(folder.path().join("ase.toml")).unwrap();
    let loopback = loopback.replacen("0.0.0.0:0", "127.0.0.1:0", 1);
    std::fs::write(folder.path().join("ase.toml"), loopback).unwrap();
    let daemon = Ase::in_folder(folder);
    let on = json!({"sideband_authentication": true});
    assert_eq!(daemon.admin("PUT", "/v1/switches", &on).0, 200);
    let folder = daemon.stop_and_keep();
    open_to_a_network(&folder);
    assert_eq!(refusal(&folder), None);
}

#[test]
fn a_switch_that_was_turned_off_on_loopback_does_not_open_a_network_without_tokens() {
    let folder = prepared(TOKENS);
    std::fs::write(folder.path().join("edge.token"), "edge-0123456789abcdef\n").unwrap();
    let daemon = Ase::in_folder(folder);
    let off = json!({"sideband_authentication": false});
    assert_eq!(daemon.admin("PUT", "/v1/switches", &off).0, 200);
    let folder = daemon.stop_and_keep();
    open_to_a_network(&folder);
    let refused = refusal(&folder).unwrap();
    assert!(refused.contains("is open to a network"), "{refused}");
}

#[test]
fn a_token_opens_the_data_port_from_its_making_to_its_deletion_over_restarts() {
    let daemon = Ase::start();
    let authentication = "/v5/ase/sideband/authentication";
    let (status, answer) = daemon.admin(
        "POST",
        &format!("{authentication}?status=enable"),
        &Value::Null,
    );
    assert_eq!(
        status, 409,
        "without a token everybody would be refused: {answer}"
    );
    let (status, made) = daemon.admin("POST", "/v4/ase/sideband/token", &Value::Null);
    assert_eq!((status, &made["status"]), (200, &json!("token_created")));
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(
        token.len() == 32
            && token
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    );
    assert_eq!(ask(&daemon, None), 200, "a token alone locks nobody out");
    let (_, answer) = daemon.admin(
        "POST",
        &format!("{authentication}?status=enable"),
        &Value::Null,
    );
    assert_eq!(
        answer,
        json!({"status": "enabled", "status_message": "Sideband authentication is now enabled"})
    );
    assert_eq!((ask(&daemon, None), ask(&daemon, Some(&token))), (401, 200));
    let imported = "0123456789abcdefghijklmnopqrstuv";
    let (_, answer) = daemon.admin(
        "POST",
        "/v5/ase/sideband/token",
        &json!({"token": imported, "name": "kong"}),
    );
    assert_eq!(answer, json!({"status": "token_imported", "name": "kong"}));
    assert_eq!(
        daemon
            .admin("POST", "/v1/tokens", &json!({"token": imported}))
            .0,
        409
    );
    assert_eq!(
        daemon
            .admin("POST", "/v1/tokens", &json!({"name": "kong"}))
            .0,
        409
    );
    let folder = daemon.stop_and_keep();
    for file in std::fs::read_dir(folder.path().join("state")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in [token.as_str(), imported] {
            assert!(
                !bytes.windows(32).any(|window| window == secret.as_bytes()),
                "a token is kept as it is"
            );
        }
    }
    let daemon = Ase::in_folder(folder);
    assert_eq!(
        (ask(&daemon, None), ask(&daemon, Some(imported))),
        (401, 200)
    );
    let (_, list) = daemon.admin("GET", "/v5/ase/sideband/token", &Value::Null);
    assert_eq!(list["tokens"].as_array().unwrap().len(), 2);
    let (status, _) = daemon.admin("DELETE", "/v5/ase/sideband/token", &json!({"token": token}));
    assert_eq!(
        (
            status,
            ask(&daemon, Some(&token)),
            ask(&daemon, Some(imported))
        ),
        (200, 401, 200)
    );
    assert_eq!(
        daemon.admin("DELETE", "/v1/tokens/kong", &Value::Null).0,
        200
    );
    assert_eq!(
        ask(&daemon, Some(imported)),
        401,
        "without tokens nobody is let in"
    );
    assert_eq!(
        daemon.admin("DELETE", "/v1/tokens/kong", &Value::Null).0,
        404
    );
    let log = daemon.audit_log();
    assert!(
        log.contains("| import_sideband_token | ")
            && log.contains("| enable_sideband_authentication | ")
    );
    assert!(!log.contains(imported) && !log.contains(&token));
}

#[test]
fn the_command_line_makes_tokens_where_scripts_cut_them_out() {
    let daemon = Ase::start();
    let (code, line) = ase(&daemon, &["token", "create", "--name", "edge"]);
    assert_eq!((code, line.trim_end().len()), (Some(0), 47));
    let token = line.get(15..47).unwrap();
    assert_eq!(
        ase(&daemon, &["sideband-auth", "on"]),
        (
            Some(0),
            "Sideband authentication is now enabled\n".to_owned()
        )
    );
    assert_eq!((ask(&daemon, None), ask(&daemon, Some(token))), (401, 200));
    let mut import = command(&daemon.folder.path().join("state"), &["token", "import"]);
    let mut child = import
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(ask(&daemon, Some("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")), 200);
    let (_, list) = ase(&daemon, &["token", "list"]);
    assert!(
        list.starts_with("edge\tmanagement\t") && !list.contains("zzzz"),
        "{list}"
    );
    assert_eq!(ase(&daemon, &["token", "delete", "edge"]).0, Some(0));
    assert_eq!(
        ase(&daemon, &["token", "delete", "edge"]),
        (Some(1), "ase: no such token\n".to_owned())
    );
    assert_eq!(ase(&daemon, &["sideband-auth", "off"]).0, Some(0));
    assert_eq!(ask(&daemon, None), 200);
}
