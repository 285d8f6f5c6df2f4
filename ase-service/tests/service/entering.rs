//! What operators type: values that must not be seen, values that would hit everybody, names of nothing.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::command_line::command;
use crate::harness::{Ase, question};

/// Exit code and both outputs of a command that is given `input`.
fn ase(ase: &Ase, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = command(&ase.folder.path().join("state"), arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that asks for no input may have ended.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code(), said)
}

fn with_token(daemon: &Ase, token: &str) -> u16 {
    let mut body = question("192.0.2.1", "/shop");
    let header = json!({"authorization": format!("Bearer {token}")});
    body["headers"].as_array_mut().unwrap().push(header);
    daemon.ask("1", &body).status
}

#[test]
fn a_value_may_come_from_standard_input_and_is_never_shown() {
    let daemon = Ase::start();
    let (code, said) = ase(&daemon, &["deny", "add", "token", "-"], "stolen\n");
    assert_eq!((code, with_token(&daemon, "stolen")), (Some(0), 403));
    assert!(!said.contains("stolen"), "{said}");
    let (code, said) = ase(&daemon, &["deny", "remove", "token", "-"], "stolen\n");
    assert_eq!(
        (code, with_token(&daemon, "stolen")),
        (Some(0), 200),
        "{said}"
    );
    let (code, said) = ase(
        &daemon,
        &["deny", "add", "cookie", "SHOPSID", "-"],
        "cookie-value\n",
    );
    assert_eq!(code, Some(0), "{said}");
    let mut body = question("192.0.2.1", "/shop");
    let header = json!({"cookie": "SHOPSID=cookie-value"});
    body["headers"].as_array_mut().unwrap().push(header);
    assert_eq!(daemon.ask("1", &body).status, 403);
    let (code, said) = ase(&daemon, &["allow", "add", "token", "-"], "");
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn the_scheme_before_a_token_is_no_part_of_it() {
    let daemon = Ase::start();
    let entry = json!({"type": "token", "value": "bearer  abc"});
    let (status, answer) = daemon.admin("POST", "/v1/deny", &entry);
    assert_eq!((status, with_token(&daemon, "abc")), (201, 403));
    let note = answer["note"].as_str().unwrap();
    assert!(note.contains("Bearer") && !note.contains("abc"), "{note}");
    let (_, hashed) = ase(&daemon, &["hash", "token", "-"], "Bearer abc\n");
    assert!(hashed.contains("on the deny list"), "{hashed}");
    let (code, said) = ase(&daemon, &["deny", "remove", "token", "Bearer abc"], "");
    assert_eq!((code, with_token(&daemon, "abc")), (Some(0), 200), "{said}");
    let (status, answer) = daemon.admin(
        "POST",
        "/v1/deny",
        &json!({"type": "token", "value": "Bearer "}),
    );
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn everybody_is_listed_only_by_force() {
    let daemon = Ase::start();
    let ask = || daemon.ask("1", &question("192.0.2.1", "/shop")).status;
    for everybody in ["0.0.0.0/0", "::/0"] {
        for list in ["deny", "allow"] {
            let (code, said) = ase(&daemon, &[list, "add", "ip", everybody], "");
            assert_eq!((code, ask()), (Some(1), 200), "{said}");
            assert!(said.contains("--force"), "{said}");
        }
        let import = ["deny", "import", "-"];
        let (code, said) = ase(&daemon, &import, &format!("203.0.113.7\n{everybody}\n"));
        assert_eq!((code, ask()), (Some(1), 200), "{said}");
        assert!(said.contains("line 2"), "{said}");
    }
    let (status, answer) = daemon.admin(
        "POST",
        "/v5/ase/firewall/blacklist",
        &json!({"type": "ip", "value": "0.0.0.0/0"}),
    );
    assert_eq!((status, ask()), (400, 200), "{answer}");
    let (code, said) = ase(&daemon, &["deny", "add", "ip", "0.0.0.0/0", "--force"], "");
    assert_eq!((code, ask()), (Some(0), 403), "{said}");
    let (code, said) = ase(&daemon, &["deny", "remove", "ip", "0.0.0.0/0"], "");
    assert_eq!((code, ask()), (Some(0), 200), "{said}");
    let (code, said) = ase(&daemon, &["deny", "import", "-", "--force"], "0.0.0.0/0\n");
    assert_eq!((code, ask()), (Some(0), 403), "{said}");
}

#[test]
fn a_scope_that_nothing_has_is_taken_with_a_warning() {
    let daemon = Ase::start();
    for (scope, warned) in [
        ("api:shop", false),
        ("all", false),
        ("api:shpo", true),
        ("group:retail", true),
    ] {
        let add = ["deny", "add", "ip", "192.0.2.9", "--scope", scope];
        let (code, said) = ase(&daemon, &add, "");
        assert_eq!(
            (code, said.contains("warning: scope")),
            (Some(0), warned),
            "{said}"
        );
    }
    let entry = json!({"type": "ip", "value": "192.0.2.9", "scope": "api:shpo"});
    let (_, answer) = daemon.admin("POST", "/v1/allow", &entry);
    assert_eq!(
        answer["warnings"],
        json!(["scope: no API has the id shpo, so the entry counts nowhere until one has"])
    );
}

#[test]
fn a_tag_clears_its_section_by_the_documented_path_and_nothing_else() {
    let daemon = Ase::start();
    for version in ["v4", "v5"] {
        for list in ["blacklist", "whitelist"] {
            let path = format!("/{version}/ase/firewall/{list}");
            for value in ["192.0.2.7", "192.0.2.8"] {
                let entry = json!({"type": "ip", "value": value});
                assert_eq!(daemon.admin("POST", &path, &entry).0, 200);
            }
            let tagged = |tag: &str| format!("{path}?tag={tag}");
            let shown = || {
                // The original's documents have the view of a whitelist as a POST.
                let (status, answer) = daemon.admin("POST", &tagged("manual"), &Value::Null);
                assert_eq!(status, 200, "{answer}");
                answer["manual"].as_array().unwrap().len()
            };
            let (_, answer) = daemon.admin("DELETE", &tagged("decoy"), &Value::Null);
            assert_eq!((&answer["status"], shown()), (&json!("success"), 2));
            let (status, answer) = daemon.admin("DELETE", &tagged("none"), &Value::Null);
            assert_eq!((status, shown()), (400, 2), "{answer}");
            let entry = json!({"type": "ip", "value": "192.0.2.7"});
            let (status, answer) = daemon.admin("DELETE", &tagged("all"), &entry);
            assert_eq!((status, shown()), (400, 2), "{answer}");
            let (_, answer) = daemon.admin("DELETE", &tagged("manual"), &Value::Null);
            let message = format!("2 entries deleted from {list}");
            assert_eq!(
                (&answer["status_message"], shown()),
                (&json!(message), 0),
                "{answer}"
            );
        }
    }
    assert!(daemon.audit_log().contains("| clear_whitelist | "));
}

#[test]
fn persistent_connections_are_said_to_be_none_of_an_api_that_is_served() {
    let daemon = Ase::start();
    for version in ["v4", "v5"] {
        let path = |id: &str| format!("/{version}/ase/persistentconnection{id}");
        let (status, answer) = daemon.admin("GET", &path("?api_id=shop"), &Value::Null);
        assert_eq!(status, 200);
        assert_eq!(
            (&answer["api_id"], &answer["persistent_connection"]),
            (&json!("shop"), &json!("not available"))
        );
        assert_eq!(
            daemon
                .admin("GET", &path("?api_id=nothing"), &Value::Null)
                .0,
            404
        );
        assert_eq!(daemon.admin("GET", &path(""), &Value::Null).0, 400);
    }
}
