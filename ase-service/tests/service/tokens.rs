//! Sideband tokens: who may call, and under which name.

use serde_json::json;

use crate::harness::{Ase, question, record};

const TOKENS: &str = "tokens = [{name = \"kong\", value = \"kong-0123456789abcdef\"}, {name = \"edge\", value_file = \"edge.token\"}]\n";

fn with_tokens() -> Ase {
    let folder = crate::harness::prepared(TOKENS);
    std::fs::write(folder.path().join("edge.token"), "edge-0123456789abcdef\n").unwrap();
    Ase::in_folder(folder)
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
        let report: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
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
