//! Statuses, bodies, verdict headers and counters as `docs/wire.md` tables them.

use serde_json::{Value, json};

use crate::harness::{Ase, question};

const JSON: &[(&str, &str)] = &[];

#[test]
fn every_verdict_has_its_status_body_and_header() {
    let ase = Ase::start();
    ase.deny(&json!({"type": "ip", "value": "203.0.113.7"}));
    let elsewhere = json!({"source_ip": "192.0.2.1", "method": "GET", "url": "/hosted", "headers": [{"host": "other"}]});
    for (body, status, text, verdict) in [
        (question("192.0.2.1", "/shop"), 200, "OK", "allowed"),
        (
            question("203.0.113.7", "/catalog/1"),
            200,
            "OK",
            "would_block",
        ),
        (
            question("203.0.113.7", "/shop/books?id=7"),
            403,
            "Error: Unauthorized",
            "blocked",
        ),
        (
            question("203.0.113.7", "/sh%6fp/../shop//books"),
            403,
            "Error: Unauthorized",
            "blocked",
        ),
        (
            question("203.0.113.7", "/nowhere"),
            503,
            "Error: Unknown API",
            "unregistered",
        ),
        (elsewhere, 503, "Error: Unknown Hostname", "unregistered"),
    ] {
        let reply = ase.ask("id", &body);
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.verdict()),
            (status, text, verdict),
            "{body}"
        );
        assert_eq!(reply.header("server"), Some("ASE"));
        assert_eq!(reply.header("retry-after"), None);
    }
    for (name, count) in [
        ("allowed", 1),
        ("would_block", 1),
        ("blocked", 2),
        ("unregistered", 2),
    ] {
        assert_eq!(ase.counter("verdicts", name), count, "{name}");
    }
}

#[test]
fn a_faulty_question_is_refused_with_every_fault_named_and_counted() {
    let ase = Ase::start();
    let whole = question("192.0.2.1", "/shop");
    let without = |key: &str| {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(key);
        body.to_string()
    };
    for (body, fault) in [
        (String::new(), "request body absent"),
        ("{".to_owned(), "request body malformed"),
        ("[]".to_owned(), "request body malformed"),
        (without("source_ip"), "request source ip absent"),
        (
            question("203.0.113", "/").to_string(),
            "request source ip invalid",
        ),
        (without("method"), "request method absent"),
        (without("url"), "request url absent"),
        (without("headers"), "request host header absent"),
    ] {
        let before = ase.counter("request parsing errors", fault);
        let reply = ase.post("/ase/request", JSON, &body);
        assert_eq!((reply.status, reply.verdict()), (400, "rejected"), "{body}");
        assert_eq!(reply.body, format!("Error: Malformed Request\n{fault}"));
        assert_eq!(ase.counter("request parsing errors", fault), before + 1);
    }
    let all = ase.post("/ase/request", JSON, "{}").body;
    assert_eq!(all.lines().count(), 5, "{all}");
    assert_eq!(
        ase.counter("request parsing errors", "total requests failed"),
        9
    );
    assert_eq!(ase.stop(), Vec::<Value>::new());
}

#[test]
fn a_faulty_response_call_is_refused_with_its_fault_named_and_counted() {
    let ase = Ase::start();
    for (body, fault) in [
        ("", "response body absent"),
        ("nonsense", "response body malformed"),
        ("{}", "response code absent"),
        (r#"{"response_code": "soon"}"#, "response code absent"),
        (
            r#"{"response_code": 200}"#,
            "response correlation id not found",
        ),
    ] {
        let reply = ase.post("/ase/response", &[("X-CorrelationID", "unknown")], body);
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.body, format!("Error: Malformed Request\n{fault}"));
        assert!(
            ase.counter("response parsing errors", fault) >= 1,
            "{fault}"
        );
    }
    assert_eq!(
        ase.counter("response parsing errors", "total responses failed"),
        5
    );
}

#[test]
fn other_paths_and_methods_are_refused_and_the_probe_is_answered() {
    let ase = Ase::start();
    for (method, path, status, allow) in [
        ("GET", "/ase", 200, None),
        ("POST", "/ase", 405, Some("GET, HEAD")),
        ("GET", "/ase/request", 405, Some("POST")),
        ("PUT", "/ase/batch", 405, Some("POST")),
        ("POST", "/ase/reques", 404, None),
        ("GET", "/", 404, None),
    ] {
        let reply = ase.connect().call(method, path, &[], b"");
        assert_eq!(
            (reply.status, reply.header("allow")),
            (status, allow),
            "{method} {path}"
        );
        assert_eq!(reply.header("server"), Some("ASE"));
        assert_eq!(reply.verdict() == "rejected", status != 200);
    }
}

#[test]
fn a_body_over_its_limit_is_refused_whether_sized_or_chunked() {
    let ase = Ase::with("[limits]\nbody_bytes = 2048\n");
    let mut body = question("192.0.2.1", "/shop");
    body["padding"] = "x".repeat(4000).into();
    let body = body.to_string();
    let sized = ase.post("/ase/request", JSON, &body);
    assert_eq!(
        (sized.status, sized.body.as_str(), sized.verdict()),
        (413, "Error: Body Too Large", "rejected")
    );
    let mut connection = ase.connect();
    connection.send(b"POST /ase/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for part in body.as_bytes().chunks(500) {
        connection.send(format!("{:x}\r\n", part.len()).as_bytes());
        connection.send(part);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(connection.reply().status, 413);
    assert_eq!(
        ase.counter("request parsing errors", "request error unknown"),
        2
    );
    assert_eq!(ase.ask("id", &question("192.0.2.1", "/shop")).status, 200);
}

#[test]
fn a_connection_is_kept_unless_configured_otherwise() {
    let body = question("192.0.2.1", "/shop").to_string();
    let ase = Ase::start();
    let mut connection = ase.connect();
    for _ in 0..3 {
        let reply = connection.call("POST", "/ase/request", &[], body.as_bytes());
        assert_eq!((reply.status, reply.header("connection")), (200, None));
    }
    let closing = Ase::with("keep_alive = false\n");
    let reply = closing.post("/ase/request", JSON, &body);
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
}
