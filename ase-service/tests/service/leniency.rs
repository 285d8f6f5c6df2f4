//! What deployed gateway policies really send is understood.

use serde_json::{Value, json};

use crate::harness::Ase;

/// Each body is accepted, and the log shows what was read from it.
#[test]
fn odd_requests_of_deployed_policies_are_understood() {
    let ase = Ase::start();
    let table: &[(&[u8], &str, Value)] = &[
        (br#"{"source_ip":"192.0.2.1","source_port":"8080","method":"GET","url":"/shop","headers":[{"host":"a"}]}"#, "client_port", json!(8080)),
        (br#"{"source_ip":"192.0.2.1","source_port":"client.example","method":"GET","url":"/shop","headers":[{"host":"a"}]}"#, "client_port", Value::Null),
        (br#"{"source_ip":"192.0.2.1","source_port":0,"method":"GET","url":"/shop","headers":[{"host":"a"}]}"#, "client_port", Value::Null),
        (br#"{"source_ip":"192.0.2.1","method":"GET","url":"/shop","http_version":"HTTP/1.1","headers":[{"HOST":"a"}]}"#, "http_version", json!("HTTP/1.1")),
        (br#"{"source_ip":"192.0.2.1","method":"GET","url":"/shop","http_version":1.1,"headers":[{"Host":"a","User-Agent":"b"}]}"#, "user_agent", json!("b")),
        (br#"{"ASEPayload":{"source_ip":"192.0.2.1","method":"GET","url":"/shop","headers":[{"host":"a"}]}}"#, "host", json!("a")),
        (br#"{"source_ip":"::ffff:192.0.2.1","method":"GET","url":"/shop","headers":[{"host":"a"}],"unknown":{"x":[1]}}"#, "client_ip", json!("192.0.2.1")),
        (b"{\"source_ip\":\"192.0.2.1\",\"method\":\"GET\",\"url\":\"/shop\",\"headers\":[{\"host\":\"a\"},{\"user-agent\":\"caf\xe9\"}]}", "user_agent", json!("caf\u{e9}")),
        (br#"{"source_ip":"192.0.2.1","method":"GET","url":"/shop","headers":[{"host":"a"},{"user-agent":"first"},{"user-agent":"second"}]}"#, "user_agent", json!("first")),
    ];
    for (body, _, _) in table {
        let reply = ase.post("/ase/request", &[], body);
        assert_eq!(
            reply.status,
            200,
            "{}: {}",
            String::from_utf8_lossy(body),
            reply.body
        );
    }
    let log = ase.stop();
    assert_eq!(log.len(), table.len());
    for ((body, key, expected), line) in table.iter().zip(&log) {
        assert_eq!(
            line.get(key).unwrap_or(&Value::Null),
            expected,
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn user_info_in_either_shape_names_the_same_user() {
    let ase = Ase::start();
    for user_info in [
        json!([{"username": "anna", "client_id": "web"}]),
        json!([{"username": "anna"}, {"client_id": "web"}]),
        json!([{"client_id": "web"}, {"username": "anna"}]),
    ] {
        let body = json!({"source_ip": "192.0.2.1", "method": "GET", "url": "/shop", "headers": [{"host": "a"}], "user_info": user_info});
        assert_eq!(ase.post("/ase/request", &[], body.to_string()).status, 200);
    }
    ase.deny(&json!({"type": "username", "value": "anna"}));
    let body = json!({"source_ip": "192.0.2.1", "method": "GET", "url": "/shop", "headers": [{"host": "a"}], "user_info": [{"username": "anna"}]});
    assert_eq!(ase.post("/ase/request", &[], body.to_string()).status, 403);
    let log = ase.stop();
    let ids: Vec<&Value> = log
        .iter()
        .map(|line| &line["credentials"][0]["id"])
        .collect();
    assert!(
        ids.iter().all(|id| id.is_string() && *id == ids[0]),
        "{ids:?}"
    );
}

#[test]
fn odd_responses_of_deployed_policies_are_understood() {
    let ase = Ase::start();
    let bodies = [
        r#"{"response_code":"404","response_status":"Not Found"}"#,
        r#"{"ASEPayload":{"response_code":404,"headers":[{"content-type":"a"},{"content-type":"a"}]}}"#,
        r#"{"response_code":404,"http_version":"HTTP/1.1","headers":{"content-type":"a"}}"#,
    ];
    for (number, body) in bodies.iter().enumerate() {
        let id = format!("Id-{number}");
        let headers = [
            ("x-correlationid", id.as_str()),
            ("Content-Type", "text/plain; charset=ISO-8859-1"),
        ];
        let question =
            r#"{"source_ip":"192.0.2.1","method":"GET","url":"/shop","headers":[{"host":"a"}]}"#;
        assert_eq!(ase.post("/ase/request", &headers, question).status, 200);
        assert_eq!(
            ase.post("/ase/response", &headers, body).status,
            200,
            "{body}"
        );
    }
    let log = ase.stop();
    assert_eq!(log.len(), 3);
    for line in log {
        assert_eq!(
            (&line["response_code"], &line["outcome"]),
            (&json!(404), &json!("upstream"))
        );
    }
}

#[test]
fn a_chunked_question_with_foreign_headers_is_understood() {
    let ase = Ase::start();
    let mut connection = ase.connect();
    connection.send(b"POST /ase/request HTTP/1.1\r\nHost: who.knows\r\nUser-Agent: Mashery\r\nCookie: a=b\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n");
    let body = r#"{"source_ip":"192.0.2.1","method":"GET","url":"/shop","headers":[{"host":"a"}]}"#;
    let (first, second) = body.split_at(30);
    connection.send(
        format!(
            "1e\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            second.len()
        )
        .as_bytes(),
    );
    assert_eq!(connection.reply().status, 200);
}
