//! Old policies: two calls, one line.

use serde_json::{Value, json};

use crate::harness::{Ase, lines, question, wait_for};

#[test]
fn two_calls_give_one_line_with_both_halves() {
    let ase = Ase::start();
    assert_eq!(
        ase.ask("Id-1", &question("192.0.2.1", "/shop/a")).status,
        200
    );
    let response = json!({"response_code": 201, "headers": [{"content-type": "text/html"}, {"Content-Length": "12"}]});
    assert_eq!(ase.respond("Id-1", &response).status, 200);
    assert_eq!(ase.respond("Id-1", &response).status, 400);
    let log = ase.stop();
    assert_eq!(log.len(), 1);
    for (key, value) in [
        ("id", json!("Id-1")),
        ("gateway", json!("-")),
        ("mode", json!("sideband")),
        ("client_ip", json!("192.0.2.1")),
        ("client_port", json!(4711)),
        ("method", json!("GET")),
        ("host", json!("api.example.com")),
        ("url", json!("/shop/a")),
        ("http_version", json!("1.1")),
        ("user_agent", json!("curl/8")),
        ("api", json!("shop")),
        ("decision", json!("verdict")),
        ("verdict", json!("allowed")),
        ("outcome", json!("upstream")),
        ("response_code", json!(201)),
        ("response_content_type", json!("text/html")),
        ("response_content_length", json!(12)),
        ("listed", Value::Null),
    ] {
        assert_eq!(log[0].get(key).unwrap_or(&Value::Null), &value, "{key}");
    }
    assert!(log[0]["duration_us"].as_u64().unwrap() > 0);
}

#[test]
fn a_denied_exchange_is_logged_at_once_and_only_once() {
    let ase = Ase::start();
    ase.deny(&json!({"type": "ip", "value": "203.0.113.7", "reason": "stuffing"}));
    assert_eq!(
        ase.ask("Id-1", &question("203.0.113.7", "/shop")).status,
        403
    );
    assert_eq!(
        ase.respond("Id-1", &json!({"response_code": 403})).status,
        200
    );
    let log = ase.stop();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (&log[0]["outcome"], &log[0]["decision"]),
        (&json!("denied"), &json!("denied"))
    );
    assert_eq!(
        log[0]["listed"],
        json!({"identifier": "203.0.113.7", "source": "manual", "reason": "stuffing"})
    );
}

#[test]
fn an_exchange_without_its_response_is_logged_as_aborted() {
    let ase = Ase::with("[limits]\ncorrelation_ttl_s = 1\ncorrelation_entries = 2\n");
    let log = ase.folder.path().join("access.jsonl");
    let asked = [
        ("twice", "/shop"),
        ("twice", "/shop/2"),
        ("other", "/shop"),
        ("evicts", "/shop"),
    ];
    for (id, url) in asked {
        assert_eq!(ase.ask(id, &question("192.0.2.1", url)).status, 200);
    }
    wait_for("the expired exchanges", || {
        (lines(&log).len() == 4).then_some(())
    });
    for (name, count) in [
        ("replaced by the same id", 1),
        ("evicted", 1),
        ("expired", 2),
    ] {
        assert_eq!(ase.counter("correlation", name), count, "{name}");
    }
    assert_eq!(
        ase.respond("other", &json!({"response_code": 200})).status,
        400
    );
    assert_eq!(ase.ask("late", &question("192.0.2.1", "/shop")).status, 200);
    let log = ase.stop();
    assert_eq!(log.len(), 5);
    assert!(
        log.iter()
            .all(|line| line["outcome"] == "aborted" && line.get("duration_us").is_none())
    );
}

#[test]
fn a_question_whose_record_comes_in_a_batch_keeps_nothing() {
    let ase = Ase::start();
    let headers = [("X-CorrelationID", "Id-1")];
    let body = question("192.0.2.1", "/shop").to_string();
    assert_eq!(
        ase.post("/ase/request?delivery=batch", &headers, body)
            .verdict(),
        "allowed"
    );
    assert_eq!(
        ase.respond("Id-1", &json!({"response_code": 200})).status,
        400
    );
    assert!(ase.stop().is_empty());
}

/// Some policies let headers of their clients ride along on the call.
#[test]
fn a_client_cannot_hide_its_exchange_by_a_header() {
    let ase = Ase::start();
    let headers = [("X-CorrelationID", "Id-1"), ("x-ase-delivery", "batch")];
    let body = question("192.0.2.1", "/shop").to_string();
    ase.post("/ase/request", &headers, body);
    assert_eq!(ase.stop().len(), 1);
}

#[test]
fn a_question_that_is_asked_again_is_one_exchange() {
    let ase = Ase::start();
    for client in ["192.0.2.1", "203.0.113.7"] {
        let headers = [("X-CorrelationID", client)];
        for _ in 0..3 {
            ase.post(
                "/ase/request",
                &headers,
                question(client, "/shop").to_string(),
            );
        }
        assert_eq!(
            ase.respond(client, &json!({"response_code": 200})).status,
            200
        );
    }
    assert_eq!(ase.stop().len(), 2);
}

#[test]
fn a_question_without_a_correlation_id_is_logged_and_counted() {
    let ase = Ase::start();
    let body = question("192.0.2.1", "/nowhere").to_string();
    assert_eq!(ase.post("/ase/request", &[], body).status, 503);
    assert_eq!(
        ase.counter("correlation", "request correlation id absent"),
        1
    );
    let log = ase.stop();
    assert_eq!(
        (&log[0]["decision"], &log[0]["verdict"]),
        (&json!("unregistered"), &json!("unregistered"))
    );
}
