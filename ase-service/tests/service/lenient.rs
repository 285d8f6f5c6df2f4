//! Gateways that take 400, 401 and 503 for a block are told 200, and only they.

use serde_json::Value;

use crate::harness::{Ase, Reply, question, record};

const KONG: (&str, &str) = ("ASE-Token", "kong-0123456789abcdef");
const AXWAY: (&str, &str) = ("ASE-Token", "axway-0123456789abcdef");
const TOKENS: &str = "tokens = [{name = \"kong\", value = \"kong-0123456789abcdef\"}, {name = \"axway\", value = \"axway-0123456789abcdef\", lenient = true}]\n";

fn is(reply: &Reply, status: u16, verdict: &str, body: &str) {
    assert_eq!((reply.status, reply.verdict()), (status, verdict));
    assert!(reply.body.starts_with(body), "{}", reply.body);
}

#[test]
fn a_lenient_gateway_is_told_200_with_the_true_verdict_and_a_strict_one_the_status() {
    let ase = Ase::with(TOKENS);
    let unknown = question("192.0.2.1", "/nowhere").to_string();
    let malformed = "{\"source_ip\":\"192.0.2.1\" \"";
    let ask = |token, body: &str| ase.post("/ase/request", &[token], body);
    is(
        &ask(KONG, &unknown),
        503,
        "unregistered",
        "Error: Unknown API",
    );
    is(
        &ask(AXWAY, &unknown),
        200,
        "unregistered",
        "Error: Unknown API",
    );
    is(&ask(KONG, malformed), 400, "rejected", "Error: Malformed");
    is(&ask(AXWAY, malformed), 200, "rejected", "Error: Malformed");
    is(
        &ase.post("/ase/response", &[AXWAY], "{}"),
        200,
        "rejected",
        "Error: Malformed",
    );
    // Whose token it would have been cannot be known.
    is(
        &ase.post("/ase/request", &[], &unknown),
        401,
        "rejected",
        "Error: Unauthorized",
    );
    assert_eq!(ase.counter("data port", "lenient answers"), 3);
    ase.stop();
}

#[test]
fn a_block_is_never_softened() {
    let ase = Ase::with("lenient = true\n");
    ase.deny(&serde_json::json!({"type": "ip", "value": "192.0.2.66"}));
    let listed = question("192.0.2.66", "/shop").to_string();
    is(
        &ase.post("/ase/request", &[], &listed),
        403,
        "blocked",
        "Error: Unauthorized",
    );
    let passed = question("192.0.2.1", "/shop").to_string();
    is(
        &ase.post("/ase/request", &[], &passed),
        200,
        "allowed",
        "OK",
    );
    assert_eq!(ase.counter("data port", "lenient answers"), 0);
    ase.stop();
}

#[test]
fn leniency_to_everyone_includes_callers_without_a_token() {
    let ase = Ase::with(&format!("lenient = true\n{TOKENS}"));
    let body = question("192.0.2.1", "/shop").to_string();
    is(
        &ase.post("/ase/request", &[], &body),
        200,
        "rejected",
        "Error: Unauthorized ASE-Token",
    );
    assert_eq!(ase.counter("data port", "lenient answers"), 1);
    assert_eq!(
        ase.counter("request parsing errors", "request authentication failure"),
        1
    );
    ase.stop();
}

/// A filter that is told 200 forgets its batch, and takes it for a verdict.
#[test]
fn batches_and_questions_of_the_filter_keep_their_status() {
    let ase = Ase::with("lenient = true\nlimits = {batch_bytes = 1024}\n");
    let unknown = question("192.0.2.1", "/nowhere").to_string();
    let asked = ase.post("/ase/request?delivery=batch", &[], &unknown);
    is(&asked, 503, "unregistered", "Error: Unknown API");
    let large = [
        record("a-1", "192.0.2.1", "/shop"),
        Value::from("x".repeat(2000)),
    ];
    let large = large.map(|line| line.to_string()).join("\n");
    is(
        &ase.post("/ase/batch", &[], large),
        413,
        "rejected",
        "Error: Body Too Large",
    );
    assert_eq!(ase.post("/elsewhere", &[], "").status, 404);
    ase.stop();
}
