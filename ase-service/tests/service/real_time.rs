//! Real-time rules over real HTTP: who is refused, who is listed, and when that holds.

use serde_json::{Value, json};

use crate::harness::{Ase, prepared, question, record, wait_for};

const ON: &str = "enable_ase_detected_attack = true\n";

/// A daemon with these APIs, `id` and the members of their definition beside host and path, which is `/id`.
fn with(config: &str, apis: &[(&str, &str)]) -> Ase {
    let folder = prepared(config);
    for (id, members) in apis {
        let text = format!(
            r#"{{"api_metadata": {{"url": "/{id}", "hostname": "*", "enable_blocking": true, {members}}}}}"#
        );
        std::fs::write(folder.path().join("apis").join(format!("{id}.json")), text).unwrap();
    }
    Ase::in_folder(folder)
}

fn verdict(ase: &Ase, client: &str, url: &str) -> (u16, String) {
    let reply = ase.ask("1", &question(client, url));
    (reply.status, reply.verdict().to_owned())
}

fn allowed() -> (u16, String) {
    (200, "allowed".to_owned())
}

fn blocked() -> (u16, String) {
    (403, "blocked".to_owned())
}

fn would_block() -> (u16, String) {
    (200, "would_block".to_owned())
}

const IN_CONTEXT: &str = r#""decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin"]}"#;
const LURE: &str = r#""decoy_config": {"decoy_enabled": true}"#;
const POST_ONLY: &str = r#""api_pattern_enforcement": {"methods_allowed": ["POST"]}"#;

#[test]
fn who_hits_a_decoy_within_an_api_is_answered_and_blocked_everywhere_from_the_next_call_on() {
    let ase = with(ON, &[("real", IN_CONTEXT)]);
    for round in 0..50 {
        let client = format!("192.0.2.{round}");
        assert_eq!(
            verdict(&ase, &client, "/real/admin/x"),
            allowed(),
            "{round}"
        );
        assert_eq!(verdict(&ase, &client, "/real"), blocked(), "{round}");
    }
    assert_eq!(verdict(&ase, "192.0.2.1", "/shop"), blocked());
    assert_eq!(verdict(&ase, "192.0.2.200", "/real"), allowed());
    let (_, listed) = ase.admin("GET", "/v1/deny", &Value::Null);
    let entry = &listed["entries"][0];
    assert_eq!(entry["source"], json!("real_time:decoy"));
    assert_eq!(entry["reason"], json!("decoy (attack 100) on API real"));
    assert!(entry["expires"].is_string(), "{entry}");
    assert_eq!(ase.counter("real-time detections", "decoy in context"), 50);
    let log = ase.stop();
    let detected = json!({"rule": "decoy", "attack_id": 100});
    let hit = log
        .iter()
        .find(|line| line["url"] == "/real/admin/x")
        .unwrap();
    assert_eq!(
        (&hit["detected"], &hit["verdict"]),
        (&detected, &json!("allowed"))
    );
}

#[test]
fn a_decoy_api_answers_its_visitors_who_are_then_blocked_on_real_ones() {
    let ase = with(ON, &[("lure", LURE)]);
    for _ in 0..3 {
        assert_eq!(verdict(&ase, "192.0.2.1", "/lure/any"), allowed());
    }
    assert_eq!(verdict(&ase, "192.0.2.1", "/shop"), blocked());
    assert_eq!(verdict(&ase, "192.0.2.1", "/catalog"), would_block());
    assert_eq!(
        ase.counter("real-time detections", "decoy out of context"),
        3
    );
}

#[test]
fn a_request_that_breaks_a_pattern_is_refused_at_once_and_its_client_afterwards() {
    let ase = with(ON, &[("posts", POST_ONLY)]);
    assert_eq!(verdict(&ase, "192.0.2.1", "/posts"), blocked());
    let mut post = question("192.0.2.1", "/posts");
    post["method"] = json!("POST");
    assert_eq!(ase.ask("2", &post).status, 403, "the client is listed");
    post["source_ip"] = json!("192.0.2.2");
    assert_eq!(ase.ask("3", &post).status, 200);
    assert_eq!(ase.counter("real-time detections", "invalid_method"), 1);
}

#[test]
fn a_request_without_its_mandatory_token_lists_its_client() {
    let members = r#""oauth2_access_token": true, "is_token_mandatory": true"#;
    let ase = with(ON, &[("closed", members)]);
    let mut with_token = question("192.0.2.1", "/closed");
    with_token["headers"] = json!([{"host": "a"}, {"authorization": "Bearer t"}]);
    assert_eq!(ase.ask("1", &with_token).status, 200);
    assert_eq!(verdict(&ase, "192.0.2.1", "/closed"), blocked());
    assert_eq!(ase.ask("2", &with_token).status, 403);
}

#[test]
fn an_allowed_client_may_break_every_rule() {
    let ase = with(ON, &[("posts", POST_ONLY), ("real", IN_CONTEXT)]);
    let (status, _) = ase.admin(
        "POST",
        "/v1/allow",
        &json!({"type": "ip", "value": "192.0.2.1"}),
    );
    assert_eq!(status, 201);
    for url in ["/posts", "/real/admin", "/posts", "/shop"] {
        assert_eq!(verdict(&ase, "192.0.2.1", url), allowed(), "{url}");
    }
}

#[test]
fn until_the_switch_is_on_rules_only_report() {
    let ase = with("", &[("posts", POST_ONLY), ("real", IN_CONTEXT)]);
    assert_eq!(verdict(&ase, "192.0.2.1", "/posts"), would_block());
    assert_eq!(verdict(&ase, "192.0.2.1", "/real/admin"), allowed());
    assert_eq!(verdict(&ase, "192.0.2.1", "/shop"), allowed());
    assert_eq!(ase.counter("real-time detections", "invalid_method"), 1);
    let firewall_off = with("enable_firewall = false\n", &[]);
    firewall_off.deny(&json!({"type": "ip", "value": "192.0.2.1"}));
    assert_eq!(verdict(&firewall_off, "192.0.2.1", "/shop"), would_block());
}

#[test]
fn a_client_over_its_limit_is_refused_and_others_are_not() {
    let members = r#""flow_control": {"client_spike_threshold": "3/hour"}"#;
    let ase = with("", &[("slow", members), ("other", members)]);
    // Two windows of an hour may meet within the test.
    let answers: Vec<u16> = (0..8)
        .map(|_| verdict(&ase, "192.0.2.1", "/slow").0)
        .collect();
    let passed = answers.iter().filter(|status| **status == 200).count();
    assert!((3..=6).contains(&passed), "{answers:?}");
    assert_eq!(answers[0], 200);
    assert_eq!(verdict(&ase, "192.0.2.2", "/slow"), allowed());
    assert_eq!(verdict(&ase, "192.0.2.1", "/other"), allowed());
    assert!(ase.counter("real-time detections", "client_spike") >= 2);
}

#[test]
fn the_record_of_an_unasked_request_lists_its_client_once_and_that_of_an_asked_one_does_nothing() {
    let ase = with(ON, &[("real", IN_CONTEXT)]);
    let mut asked = record("asked-1", "192.0.2.1", "/real/admin");
    asked["mode"] = json!("sync");
    asked["decision"] = json!("verdict");
    asked["verdict"] = json!("allowed");
    let mut missed = record("missed-1", "192.0.2.2", "/real/admin");
    missed["mode"] = json!("sync");
    missed["decision"] = json!("fail_open");
    missed["cause"] = json!("unreachable");
    let unasked = record("unasked-1", "192.0.2.3", "/real/admin");
    let batch = format!("{asked}\n{missed}\n{unasked}\n{unasked}\n");
    for _ in 0..2 {
        assert_eq!(ase.post("/ase/batch", &[], &batch).status, 200);
    }
    for client in ["192.0.2.2", "192.0.2.3"] {
        wait_for("the listing", || {
            (verdict(&ase, client, "/real") == blocked()).then_some(())
        });
    }
    assert_eq!(verdict(&ase, "192.0.2.1", "/real"), allowed());
    assert_eq!(ase.counter("real-time detections", "decoy in context"), 2);
}

#[test]
fn a_listing_by_a_rule_outlives_a_restart() {
    let ase = with(ON, &[("real", IN_CONTEXT)]);
    assert_eq!(verdict(&ase, "2001:db8::1", "/real/admin"), allowed());
    let ase = Ase::in_folder(ase.stop_and_keep());
    assert_eq!(
        verdict(&ase, "2001:db8::2", "/shop"),
        blocked(),
        "the client is its /64"
    );
}

#[test]
fn turning_real_time_detections_off_forgets_whom_they_listed_and_nobody_else() {
    let ase = with(ON, &[("real", IN_CONTEXT)]);
    ase.deny(&json!({"type": "ip", "value": "192.0.2.9"}));
    assert_eq!(verdict(&ase, "192.0.2.1", "/real/admin"), allowed());
    assert_eq!(verdict(&ase, "192.0.2.1", "/real"), blocked());
    let mut folder = ase.stop_and_keep();
    let config = std::fs::read_to_string(folder.path().join("ase.toml")).unwrap();
    for switch in ["false", "true"] {
        let changed = config.replace(ON, &format!("enable_ase_detected_attack = {switch}\n"));
        std::fs::write(folder.path().join("ase.toml"), changed).unwrap();
        let ase = Ase::in_folder(folder);
        assert_eq!(verdict(&ase, "192.0.2.1", "/real"), allowed(), "{switch}");
        assert_eq!(verdict(&ase, "192.0.2.9", "/real"), blocked(), "{switch}");
        folder = ase.stop_and_keep();
    }
}
