//! Deny and allow lists: through the management port and through the real command line.

use std::process::Output;

use serde_json::{Value, json};

use crate::command_line::command;
use crate::harness::{Ase, prepared, question, wait_for};

fn ase(ase: &Ase, arguments: &[&str]) -> Output {
    let output = command(&ase.folder.path().join("state"), arguments).output();
    output.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_client_denied_on_the_command_line_is_blocked_on_its_next_request_until_it_is_removed() {
    let daemon = Ase::start();
    let ask = || daemon.ask("1", &question("203.0.113.7", "/shop")).status;
    assert_eq!(ask(), 200);
    let added = ase(
        &daemon,
        &[
            "deny",
            "add",
            "ip",
            "203.0.113.7",
            "--ttl",
            "10m",
            "--reason",
            "stuffing",
        ],
    );
    assert_eq!((added.status.code(), ask()), (Some(0), 403));
    assert!(
        said(&added).starts_with("ip 203.0.113.7 added to the deny list until 20"),
        "{}",
        said(&added)
    );
    let listed = ase(&daemon, &["deny", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (
            &listed["entries"][0]["value"],
            &listed["entries"][0]["reason"]
        ),
        (&json!("203.0.113.7"), &json!("stuffing"))
    );
    assert!(said(&ase(&daemon, &["deny", "list"])).contains("203.0.113.7\tall\tmanual"));
    assert_eq!(
        ase(&daemon, &["deny", "remove", "ip", "203.0.113.7"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        (
            ase(&daemon, &["deny", "remove", "ip", "203.0.113.7"])
                .status
                .code(),
            ask()
        ),
        (Some(1), 200)
    );
}

#[test]
fn each_kind_of_identifier_can_be_denied_and_the_allow_list_wins() {
    let daemon = Ase::start();
    let with = |header: Value, user: Value| {
        let mut body = question("192.0.2.1", "/shop");
        body["headers"].as_array_mut().unwrap().push(header);
        body["user_info"] = user;
        daemon.ask("1", &body).status
    };
    for (arguments, header, user) in [
        (
            &["cookie", "SHOPSID", "abc"][..],
            json!({"cookie": "a=b; SHOPSID=abc"}),
            json!([]),
        ),
        (
            &["token", "eyJh"],
            json!({"authorization": "Bearer eyJh"}),
            json!([]),
        ),
        (&["api_key", "k-1"], json!({"x-shop-key": "k-1"}), json!([])),
        (
            &["username", "anna"],
            json!({"accept": "*/*"}),
            json!([{"username": "anna"}]),
        ),
    ] {
        assert_eq!(with(header.clone(), user.clone()), 200, "{arguments:?}");
        let added = ase(&daemon, &[&["deny", "add"], arguments].concat());
        assert_eq!(added.status.code(), Some(0), "{arguments:?}");
        assert!(
            !said(&added).contains(arguments[arguments.len() - 1]),
            "a raw credential is not repeated: {}",
            said(&added)
        );
        assert_eq!(with(header.clone(), user.clone()), 403, "{arguments:?}");
        assert_eq!(
            ase(&daemon, &[&["allow", "add"], arguments].concat())
                .status
                .code(),
            Some(0)
        );
        assert_eq!(with(header.clone(), user.clone()), 200, "{arguments:?}");
        assert_eq!(
            ase(&daemon, &[&["allow", "remove"], arguments].concat())
                .status
                .code(),
            Some(0)
        );
        assert_eq!(with(header, user), 403, "{arguments:?}");
    }
    let (_, listed) = daemon.admin("GET", "/v1/deny", &Value::Null);
    let id = listed["entries"][0]["value"].as_str().unwrap().to_owned();
    assert_eq!(
        ase(&daemon, &["deny", "remove", "cookie", &id])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(with(json!({"cookie": "SHOPSID=abc"}), json!([])), 200);
}

#[test]
fn a_bare_ipv6_address_is_listed_as_its_network_and_a_prefix_is_honoured() {
    let daemon = Ase::start();
    let ask = |client: &str| daemon.ask("1", &question(client, "/shop")).status;
    let added = ase(&daemon, &["deny", "add", "ip", "2001:db8::1"]);
    assert!(
        said(&added).contains("2001:db8::/64") && said(&added).contains("2001:db8::1 is listed as"),
        "{}",
        said(&added)
    );
    assert_eq!((ask("2001:db8::ffff"), ask("2001:db8:0:1::1")), (403, 200));
    assert_eq!(
        ase(&daemon, &["deny", "add", "ip", "2001:db8:0:1::1/128"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!((ask("2001:db8:0:1::1"), ask("2001:db8:0:1::2")), (403, 200));
}

#[test]
fn a_scope_keeps_an_entry_to_its_api_and_a_short_entry_ends() {
    let daemon = Ase::start();
    daemon.deny(&json!({"type": "ip", "value": "203.0.113.7", "scope": "api:catalog"}));
    assert_eq!(
        daemon.ask("1", &question("203.0.113.7", "/shop")).status,
        200
    );
    assert_eq!(
        daemon
            .ask("2", &question("203.0.113.7", "/catalog"))
            .verdict(),
        "would_block"
    );
    daemon.deny(&json!({"type": "ip", "value": "203.0.113.8", "ttl_s": 1}));
    let ask = || daemon.ask("3", &question("203.0.113.8", "/shop")).status;
    assert_eq!(ask(), 403);
    wait_for("the end of the entry", || (ask() == 200).then_some(()));
    let (_, listed) = daemon.admin("GET", "/v1/deny", &Value::Null);
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_list_file_is_loaded_and_its_entries_are_changed_in_the_file_only() {
    let folder = prepared("attack_list_file = \"bad.txt\"\nallow_list_file = \"good.txt\"\n");
    std::fs::write(
        folder.path().join("bad.txt"),
        "# hostile\n203.0.113.7\t9\n198.51.100.0/24\nnonsense\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("good.txt"), "198.51.100.9\n").unwrap();
    let daemon = Ase::in_folder(folder);
    let ask = |client: &str| daemon.ask("1", &question(client, "/shop")).status;
    assert_eq!(
        (ask("203.0.113.7"), ask("198.51.100.1"), ask("198.51.100.9")),
        (403, 403, 200)
    );
    let (status, answer) = daemon.admin(
        "DELETE",
        "/v1/deny",
        &json!({"type": "ip", "value": "203.0.113.7"}),
    );
    assert_eq!((status, ask("203.0.113.7")), (409, 403), "{answer}");
}

#[test]
fn management_is_refused_without_the_secret_and_names_every_fault_with_it() {
    let daemon = Ase::start();
    for headers in [
        &[][..],
        &[("x-ase-access-key", "admin"), ("x-ase-secret-key", "admin")],
    ] {
        assert_eq!(daemon.admin_without_secret(headers).status, 401);
    }
    let (status, answer) = daemon.admin(
        "POST",
        "/v1/deny",
        &json!({"type": "cookie", "value": "", "ttl_s": -1, "scope": "x", "resaon": "y"}),
    );
    assert_eq!(
        (status, answer["faults"].as_array().unwrap().len()),
        (400, 4),
        "{answer}"
    );
    assert_eq!(
        daemon
            .admin(
                "POST",
                "/v1/allow",
                &json!({"type": "ip", "value": "203.0.113.1/24"})
            )
            .0,
        400
    );
    assert_eq!(daemon.admin("GET", "/v1/nothing", &Value::Null).0, 404);
    assert_eq!(daemon.admin("PUT", "/v1/deny", &Value::Null).0, 405);
}

#[test]
fn exit_codes_tell_wrong_usage_a_refusal_and_a_missing_daemon_apart() {
    let daemon = Ase::start();
    for (arguments, code) in [
        (
            &["deny", "add", "ip", "203.0.113.7", "--ttl", "soon"][..],
            2,
        ),
        (&["deny", "add", "ip", "1.2.3.4", "5.6.7.8"], 2),
        (&["deny", "add", "person", "x"], 2),
        (&["deny", "add", "ip", "here"], 1),
        (&["deny", "list", "--admin", "http://127.0.0.1:1"], 69),
    ] {
        let output = ase(&daemon, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!output.stderr.is_empty());
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
