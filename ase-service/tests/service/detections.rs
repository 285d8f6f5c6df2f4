//! What real-time rules have found: kept, filtered, redacted, undone; and how long whoever was found stays listed.

use std::path::Path;

use serde_json::{Value, json};

use crate::command_line::command;
use crate::harness::{Ase, Connection, prepared, question, record, wait_for};
use crate::processes::{serve, signal};

const ON: &str = "enable_ase_detected_attack = true\n";
const REAL: &str = r#"{"api_metadata": {"url": "/real", "hostname": "*", "enable_blocking": true, "apikey_qs": "pass",
    "decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin"]}, "api_pattern_enforcement": {"methods_allowed": ["GET"]}}}"#;

fn folder(config: &str) -> tempfile::TempDir {
    let folder = prepared(config);
    std::fs::write(folder.path().join("apis/real.json"), REAL).unwrap();
    folder
}

fn found(daemon: &Ase, query: &str) -> Vec<Value> {
    let path = format!("/v1/detections{query}");
    let (status, answer) = daemon.admin("GET", &path, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["detections"].as_array().unwrap().clone()
}

fn ase(folder: &Path, arguments: &[&str]) -> String {
    let output = command(&folder.join("state"), arguments).output().unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8(output.stderr).unwrap());
    said
}

#[test]
fn every_offence_is_in_the_table_with_what_shows_it_and_no_secret() {
    let daemon = Ase::in_folder(folder(ON));
    let url = "/real/admin?pass=opensesame&user=1";
    for _ in 0..3 {
        daemon.ask("1", &question("192.0.2.1", url));
    }
    let mut post = question("192.0.2.2", "/real");
    post["method"] = json!("POST");
    assert_eq!(daemon.ask("2", &post).status, 403);
    let all = found(&daemon, "");
    assert_eq!(all.len(), 2, "{all:?}");
    let of = |client: &str| {
        let of = |found: &&Value| found["identifier"] == client;
        all.iter().find(of).unwrap()
    };
    let decoy = of("192.0.2.1");
    // The first call is answered; of the next ones the list has decided before the rule could.
    for (key, value) in [
        ("attack_id", json!(100)),
        ("name", json!("decoy")),
        ("api", json!("real")),
        ("type", json!("ip")),
        ("scope", json!("all")),
        ("source", json!("real_time:decoy")),
        ("outcome", json!("listed")),
        ("undone", json!(false)),
        ("count", json!(1)),
        ("ttl_s", json!(3600)),
        ("variables", json!({})),
    ] {
        assert_eq!(decoy[key], value, "{key}");
    }
    assert_eq!(decoy["evidence"]["url"], "/real/admin?pass=***&user=1");
    assert_eq!(decoy["evidence"]["method"], "GET");
    assert!(!Value::from(all.clone()).to_string().contains("opensesame"));
    assert_eq!(of("192.0.2.2")["attack_id"], 101);
    assert_eq!(of("192.0.2.2")["name"], "invalid_method");
}

#[test]
fn offences_of_switched_off_rules_and_of_unasked_requests_are_in_the_table_too() {
    let daemon = Ase::in_folder(folder(""));
    for _ in 0..3 {
        daemon.ask("1", &question("192.0.2.1", "/real/admin"));
    }
    let unasked = record("unasked-1", "192.0.2.3", "/real/admin").to_string();
    for _ in 0..2 {
        assert_eq!(daemon.post("/ase/batch", &[], &unasked).status, 200);
    }
    let all = found(&daemon, "?name=decoy");
    let facts: Vec<_> = all
        .iter()
        .map(|found| (&found["identifier"], &found["count"], &found["outcome"]))
        .collect();
    let (one, three) = (json!("192.0.2.1"), json!("192.0.2.3"));
    let reported = json!("reported");
    assert!(facts.contains(&(&one, &json!(3), &reported)), "{facts:?}");
    assert!(facts.contains(&(&three, &json!(1), &reported)), "{facts:?}");
    assert_eq!(facts.len(), 2);
}

#[test]
fn detections_are_filtered_and_a_wrong_filter_is_refused_with_every_fault() {
    let daemon = Ase::in_folder(folder(ON));
    for client in ["192.0.2.1", "192.0.2.2"] {
        daemon.ask("1", &question(client, "/real/admin"));
    }
    let count = |query: &str| found(&daemon, query).len();
    assert_eq!(count("?attack=100&api=real&since=2020-01-01T00:00:00Z"), 2);
    assert_eq!(count("?identifier=192.0.2.2"), 1);
    assert_eq!(count("?limit=1"), 1);
    for none in [
        "?attack=101",
        "?api=shop",
        "?since=2999-01-01T00:00:00Z",
        "?identifier=192.0.2.9",
        "?name=token_missing",
    ] {
        assert_eq!(count(none), 0, "{none}");
    }
    let wrong = "/v1/detections?attack=x&since=now&limit=0&identifier=nobody&sort=up&api=a&api=b";
    let (status, answer) = daemon.admin("GET", wrong, &Value::Null);
    assert_eq!(status, 400);
    assert_eq!(answer["faults"].as_array().unwrap().len(), 6, "{answer}");
    let said = ase(
        daemon.folder.path(),
        &["detections", "list", "--since", "1h", "--attack", "100"],
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.contains("100 decoy\treal\t192.0.2.1\t1x\tlisted\tGET /real/admin"),
        "{said}"
    );
    let json = ase(daemon.folder.path(), &["detections", "list", "--json"]);
    assert!(json.starts_with("{\"detections\":["), "{json}");
}

#[test]
fn who_is_listed_stands_with_the_detection_after_kill_9() {
    let folder = folder(ON);
    let ask = |data, client: &str, url: &str| {
        let body = question(client, url).to_string();
        Connection::to(data)
            .call("POST", "/ase/request", &[], body.as_bytes())
            .status
    };
    for round in 0..5_usize {
        let process = serve(folder.path());
        let client = format!("192.0.2.{round}");
        assert_eq!(ask(process.data, &client, "/real/admin"), 200);
        assert_eq!(ask(process.data, &client, "/real"), 403);
        signal(process.child.id(), "-KILL");
    }
    let _process = serve(folder.path());
    let said = ase(folder.path(), &["detections", "list"]);
    assert_eq!(said.matches("100 decoy").count(), 5, "{said}");
}

#[test]
fn a_client_taken_off_the_list_by_hand_is_free_and_its_detection_is_marked() {
    let daemon = Ase::in_folder(folder(ON));
    daemon.ask("1", &question("192.0.2.1", "/real/admin"));
    let blocked = || daemon.ask("2", &question("192.0.2.1", "/real")).status;
    assert_eq!(blocked(), 403);
    let said = ase(daemon.folder.path(), &["deny", "remove", "ip", "192.0.2.1"]);
    assert_eq!(blocked(), 200, "{said}");
    assert_eq!(found(&daemon, "")[0]["undone"], true);
    daemon.ask("3", &question("192.0.2.1", "/real/admin"));
    let again = found(&daemon, "");
    assert_eq!((again.len(), blocked()), (2, 403));
}

#[test]
fn a_default_lifetime_counts_for_new_entries_of_its_type_and_stays_over_a_restart() {
    let daemon = Ase::in_folder(folder(&format!("{ON}[attack_ttl_min]\nip = 30\n")));
    let minutes = |daemon: &Ase, client: &str| {
        let (_, listed) = daemon.admin("GET", "/v1/deny", &Value::Null);
        let entries = listed["entries"].as_array().unwrap().clone();
        let entry = entries.into_iter().find(|entry| entry["value"] == client);
        let entry = entry.unwrap();
        let time = |key: &str| {
            let text = entry[key].as_str()?;
            Some(ase_service::clock::parse_rfc3339(text).unwrap().0)
        };
        time("expires").map(|expires| (expires - time("added").unwrap()) / 60_000)
    };
    let hit = |daemon: &Ase, client: &str| {
        daemon.ask("1", &question(client, "/real/admin"));
        wait_for("the listing", || {
            let status = daemon.ask("2", &question(client, "/real")).status;
            (status == 403).then_some(())
        });
    };
    hit(&daemon, "192.0.2.1");
    assert_eq!(minutes(&daemon, "192.0.2.1"), Some(30));
    let said = ase(daemon.folder.path(), &["ttl", "set", "attack", "ip", "7"]);
    assert!(said.contains("attack\tip\t7 min"), "{said}");
    hit(&daemon, "192.0.2.2");
    assert_eq!(minutes(&daemon, "192.0.2.2"), Some(7));
    assert_eq!(minutes(&daemon, "192.0.2.1"), Some(30), "only new entries");
    ase(daemon.folder.path(), &["ttl", "set", "manual", "ip", "5"]);
    let daemon = Ase::in_folder(daemon.stop_and_keep());
    hit(&daemon, "192.0.2.3");
    assert_eq!(minutes(&daemon, "192.0.2.3"), Some(7));
    daemon.deny(&json!({"type": "ip", "value": "192.0.2.7"}));
    daemon.deny(&json!({"type": "ip", "value": "192.0.2.8", "ttl_s": 60}));
    daemon.deny(&json!({"type": "ip", "value": "192.0.2.9", "ttl_s": 0}));
    let by_hand = ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|value| minutes(&daemon, value));
    assert_eq!(by_hand, [Some(5), Some(1), None]);
    let allowed = json!({"type": "ip", "value": "192.0.2.7"});
    let (_, allowed) = daemon.admin("POST", "/v1/allow", &allowed);
    assert_eq!(allowed["expires"], Value::Null);
    let (status, now) = daemon.admin(
        "PUT",
        "/v1/ttl",
        &json!({"attack": {"ip": 0}, "manual": {"ip": null}}),
    );
    assert_eq!((status, &now["attack"]["ip"]), (200, &json!(0)), "{now}");
    hit(&daemon, "192.0.2.4");
    assert_eq!(minutes(&daemon, "192.0.2.4"), None, "0 is for ever");
    ase(
        daemon.folder.path(),
        &["ttl", "set", "attack", "ip", "default"],
    );
    hit(&daemon, "192.0.2.5");
    assert_eq!(minutes(&daemon, "192.0.2.5"), Some(30), "as configured");
    let before = daemon.admin("GET", "/v1/ttl", &Value::Null).1;
    for wrong in [
        json!({"attack": {"ip": -1}}),
        json!({"attack": {"ip": 60, "id": 1}}),
        json!({}),
    ] {
        assert_eq!(daemon.admin("PUT", "/v1/ttl", &wrong).0, 400, "{wrong}");
    }
    assert_eq!(daemon.admin("GET", "/v1/ttl", &Value::Null).1, before);
    assert!(
        daemon
            .audit_log()
            .contains("| set_ttl | username=admin, peer=")
    );
}
