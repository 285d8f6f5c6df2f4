//! What an operator changes while ASE runs, by command line or by the documented calls.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command_line::{ase, command, told};
use crate::harness::{Ase, Connection, SHOP, prepared, question, wait_for};

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
