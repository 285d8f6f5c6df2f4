//! Tokens, switches, secret and logs, by command line and by the documented calls.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Ase, Connection, SHOP, prepared, question, wait_for};

fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.args(arguments).arg("--state-dir").arg(state);
    command
        .env_remove("ASE_ADMIN_SECRET")
        .env_remove("ASE_ADMIN_URL")
        .env_remove("ASE_STATE_DIR");
    command
}

pub(crate) fn ase(ase: &Ase, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(&ase.folder.path().join("state"), arguments).output();
    told(output.unwrap())
}

/// Exit code, and what was said on both outputs.
fn told(output: Output) -> (Option<i32>, String) {
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code(), said)
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

#[test]
fn a_switch_holds_from_the_next_question_on_and_over_a_restart() {
    let daemon = Ase::start();
    daemon.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    let verdict = |daemon: &Ase| {
        daemon
            .ask("1", &question("203.0.113.7", "/shop"))
            .verdict()
            .to_owned()
    };
    assert_eq!(verdict(&daemon), "blocked");
    assert_eq!(
        ase(&daemon, &["firewall", "off"]),
        (Some(0), "Firewall is now disabled\n".to_owned())
    );
    assert_eq!(verdict(&daemon), "would_block");
    let daemon = Ase::in_folder(daemon.stop_and_keep());
    assert_eq!(verdict(&daemon), "would_block");
    let (_, shown) = daemon.admin("GET", "/v4/ase/firewall", &Value::Null);
    assert_eq!(
        shown,
        json!({"status": "disabled", "status_message": "Firewall is disabled"})
    );
    assert_eq!(
        daemon
            .admin("POST", "/v5/ase/firewall?status=on", &Value::Null)
            .0,
        400
    );
    assert_eq!(
        daemon
            .admin("POST", "/v5/ase/firewall?status=enable", &Value::Null)
            .0,
        200
    );
    assert_eq!(verdict(&daemon), "blocked");
    assert_eq!(
        ase(&daemon, &["ase-detected-attack", "on"]),
        (Some(0), "ASE Detected Attack is now enabled\n".to_owned())
    );
    let (_, switches) = daemon.admin("GET", "/v1/switches", &Value::Null);
    assert_eq!(
        switches,
        json!({"firewall": true, "abs_attack": true, "ase_detected_attack": true, "sideband_authentication": false})
    );
    let half = json!({"firewall": false, "ase_detected_attack": 1});
    assert_eq!(daemon.admin("PUT", "/v1/switches", &half).0, 400);
    assert_eq!(
        daemon.admin("GET", "/v1/switches", &Value::Null).1,
        switches
    );
    let (_, status) = ase(&daemon, &["status"]);
    for line in [
        "API Security Enforcer",
        "status                  : started",
        "firewall                : enabled",
        "sideband authentication : disabled",
        "ase detected attack     : enabled",
    ] {
        assert!(
            status.lines().any(|told| told == line),
            "{line} is not in\n{status}"
        );
    }
}

#[test]
fn the_documented_lists_are_kept_apart_by_tag() {
    let daemon = Ase::start();
    let path = "/v5/ase/firewall/blacklist";
    let entry = json!({"type": "ip", "value": "10.10.10.10"});
    let (_, answer) = daemon.admin("POST", path, &entry);
    assert_eq!(
        answer,
        json!({"status": "success", "status_message": "ip 10.10.10.10 added to blacklist"})
    );
    assert_eq!(
        daemon.ask("1", &question("10.10.10.10", "/shop")).status,
        403
    );
    let (_, manual) = daemon.admin("GET", &format!("{path}?tag=manual"), &Value::Null);
    assert_eq!(manual["manual"][0]["value"], "10.10.10.10");
    let (_, decoy) = daemon.admin("GET", &format!("{path}?tag=decoy"), &Value::Null);
    assert_eq!(decoy, json!({"status": "success", "decoy": []}));
    assert_eq!(
        daemon
            .admin("GET", &format!("{path}?tag=x"), &Value::Null)
            .0,
        400
    );
    let (_, answer) = daemon.admin("POST", "/v4/ase/firewall/whitelist", &entry);
    assert_eq!(
        answer["status_message"],
        "ip 10.10.10.10 added to whitelist"
    );
    assert_eq!(
        daemon.ask("2", &question("10.10.10.10", "/shop")).status,
        200
    );
    assert_eq!(daemon.admin("DELETE", path, &entry).0, 200);
    assert_eq!(daemon.admin("DELETE", path, &entry).0, 404);
}

#[test]
fn an_api_is_managed_by_the_command_line_and_its_file_keeps_its_text() {
    let daemon = Ase::start();
    let file = daemon.folder.path().join("cart.json");
    std::fs::write(&file, r#"{"api_metadata": {"url": 3, "hostname": ""}}"#).unwrap();
    let file = file.to_str().unwrap();
    let (code, said) = ase(&daemon, &["api", "add", file]);
    assert!(
        code == Some(1)
            && said.contains("api_metadata.url: ")
            && said.contains("api_metadata.hostname: "),
        "{said}"
    );
    std::fs::write(file, SHOP.replace("/shop", "/cart")).unwrap();
    assert_eq!(
        ase(&daemon, &["api", "add", file]),
        (Some(0), "api cart added\n".to_owned())
    );
    daemon.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    let ask = || {
        daemon
            .ask("1", &question("203.0.113.7", "/cart"))
            .verdict()
            .to_owned()
    };
    assert_eq!(ask(), "blocked");
    assert_eq!(ase(&daemon, &["api", "unblock", "cart"]).0, Some(0));
    assert_eq!(ask(), "would_block");
    let live = std::fs::read_to_string(daemon.folder.path().join("apis/cart.json")).unwrap();
    assert_eq!(
        live,
        SHOP.replace("/shop", "/cart")
            .replace("\"enable_blocking\": true", "\"enable_blocking\": false")
    );
    assert_eq!(ase(&daemon, &["api", "block", "cart"]).0, Some(0));
    assert_eq!(ask(), "blocked");
    let (_, list) = ase(&daemon, &["api", "list"]);
    assert!(
        list.starts_with("cart ( loaded ), http\ncatalog ( loaded ), http\n"),
        "{list}"
    );
    let (_, shown) = ase(&daemon, &["api", "show", "cart", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["api_metadata"]["url"], "/cart");
    assert_eq!(ase(&daemon, &["api", "delete", "cart"]).0, Some(0));
    assert_eq!(ask(), "unregistered");
    assert_eq!(ase(&daemon, &["api", "show", "../ase"]).0, Some(1));
    assert!(daemon.audit_log().contains(" | cli | disable_blocking | "));
}

#[test]
fn the_secret_is_changed_at_once_and_for_good() {
    let daemon = Ase::start();
    let [_, (_, old)] = daemon.credentials();
    let new = daemon.folder.path().join("new.secret");
    std::fs::write(&new, "short\n").unwrap();
    let from = new.to_str().unwrap();
    assert_eq!(
        ase(&daemon, &["password", "change", "--from", from]).0,
        Some(1)
    );
    std::fs::write(&new, "a-much-longer-secret\n").unwrap();
    assert_eq!(
        ase(&daemon, &["password", "change", "--from", from]).0,
        Some(0)
    );
    assert_eq!(daemon.admin("GET", "/v1/deny", &Value::Null).0, 401);
    assert_eq!(
        ase(&daemon, &["deny", "list"]).0,
        Some(0),
        "the state folder has the new one"
    );
    let log = daemon.audit_log();
    assert!(
        log.contains(" | update_password | ") && !log.contains("much-longer") && !log.contains(old)
    );
    let daemon = Ase::in_folder(daemon.stop_and_keep());
    let [_, (_, secret)] = daemon.credentials();
    assert_eq!(secret, "a-much-longer-secret");
    assert_eq!(daemon.admin("GET", "/v1/deny", &Value::Null).0, 200);
}

#[test]
fn the_binary_takes_its_first_secret_follows_its_log_and_changes_its_level() {
    let folder = prepared("");
    let secret = folder.path().join("first");
    std::fs::write(&secret, "the-very-first-secret\n").unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ase"));
    serve
        .arg("serve")
        .arg("--config")
        .arg(folder.path().join("ase.toml"));
    serve.arg("--admin-secret-file").arg(&secret);
    let mut daemon = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(daemon.stdout.as_mut().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let state = folder.path().join("state");
    assert_eq!(
        std::fs::read_to_string(state.join("admin.secret")).unwrap(),
        "the-very-first-secret\n"
    );
    let level = |arguments: &[&str]| told(command(&state, arguments).output().unwrap());
    assert_eq!(level(&["log", "level"]), (Some(0), "info\n".to_owned()));
    assert_eq!(
        level(&["log", "level", "debug"]),
        (Some(0), "debug\n".to_owned())
    );
    assert_eq!(level(&["log", "level"]), (Some(0), "debug\n".to_owned()));
    assert_eq!(level(&["log", "level", "loud"]).0, Some(2));
    let mut follower = command(&state, &["log", "follow"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let data = ready["data"].as_str().unwrap().parse().unwrap();
    // Until the follower is there its lines are not for it.
    let (told, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        told.send(lines.next().unwrap().unwrap()).unwrap();
        lines.count()
    });
    let line: Value = wait_for("a line", || {
        let body = question("192.0.2.1", "/shop").to_string();
        Connection::to(data).call("POST", "/ase/request", &[], body.as_bytes());
        let line = first
            .recv_timeout(std::time::Duration::from_millis(100))
            .ok()?;
        Some(serde_json::from_str(&line).unwrap())
    });
    assert_eq!(line["client_ip"], "192.0.2.1");
    let stop = format!("kill -TERM {}", daemon.id());
    assert!(
        Command::new("sh")
            .args(["-c", &stop])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    assert!(
        follower.wait().unwrap().success(),
        "a follower ends with the daemon"
    );
    reader.join().unwrap();
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(env!("CARGO_BIN_EXE_ase"))
            .args(["completions", shell])
            .output()
            .unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for word in [
            "ase-detected-attack",
            "sideband-auth",
            "unblock",
            "password",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_command_line_reaches_a_management_port_with_tls_and_accepts_its_certificate_alone() {
    let daemon = Ase::with("admin_tls = \"self_signed\"\n");
    assert_eq!(ase(&daemon, &["firewall", "off"]).0, Some(0));
    let made = daemon.folder.path().join("state/admin.crt");
    let first = std::fs::read(&made).unwrap();
    let daemon = Ase::in_folder(daemon.stop_and_keep());
    assert_eq!(
        std::fs::read(&made).unwrap(),
        first,
        "the certificate is made once"
    );
    assert_eq!(ase(&daemon, &["status"]).0, Some(0));
    let mut plain = daemon.connect_admin();
    plain.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        !plain.until_closed().starts_with(b"HTTP/"),
        "no word in the clear"
    );
    let names = vec!["localhost".to_owned()];
    let other = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(&made, other.cert.pem()).unwrap();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        code,
        Some(69),
        "another certificate is no daemon of ours: {said}"
    );
}

#[test]
fn a_new_certificate_of_the_management_port_serves_and_the_command_line_accepts_it() {
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = prepared("admin_tls = {cert = \"admin.pem\", key = \"admin.key\"}\n");
    let write = |folder: &Path, pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(folder.join("admin.key"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.join("admin.pem"), pair.cert.pem()).unwrap();
    };
    write(folder.path(), &made());
    let daemon = Ase::in_folder(folder);
    let state = daemon.folder.path().join("state");
    let shown = || std::fs::read_to_string(state.join("admin.crt")).unwrap();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    let next = made();
    write(daemon.folder.path(), &next);
    wait_for("the new certificate", || {
        (shown() == next.cert.pem()).then_some(())
    });
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    std::fs::write(daemon.folder.path().join("admin.pem"), "nothing").unwrap();
    daemon.reload_certificates();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        (code, shown() == next.cert.pem()),
        (Some(0), true),
        "{said}"
    );
    let last = made();
    write(daemon.folder.path(), &last);
    daemon.reload_certificates();
    let (code, said) = ase(&daemon, &["status"]);
    assert_eq!(
        (code, shown() == last.cert.pem()),
        (Some(0), true),
        "{said}"
    );
}
