//! A secret that a client sends never reaches the log, whichever way it came.

use serde_json::json;

use crate::harness::{Ase, record};

#[test]
fn no_secret_reaches_the_log_and_equal_secrets_have_equal_ids() {
    let ase = Ase::start();
    let request = json!({
        "source_ip": "192.0.2.1", "method": "GET",
        "url": "/shop?access_token=s3cr3t-a&shopkey=s3cr3t-b&id=7&next=http%3A%2F%2Fx%2F%3Ftoken%3Ds3cr3t-c",
        "headers": [
            {"host": "a"}, {"authorization": "Bearer s3cr3t-d"}, {"cookie": "SHOPSID=s3cr3t-e; theme=s3cr3t-f"},
            {"x-shop-key": "s3cr3t-b"}, {"referer": "https://u:s3cr3t-g@x/?api_key=s3cr3t-h&shopkey=s3cr3t-b#access_token=s3cr3t-i"},
            {"proxy-authorization": "Basic s3cr3t-j"}
        ],
        "user_info": [{"username": "s3cr3t-user"}],
        "client_identifiers": [{"type": "token", "name": "t", "in": "query", "value": "s3cr3t-d", "provenance": "verified"},
            {"type": "api_key", "name": "user-agent", "in": "header", "value": "s3cr3t-k", "provenance": "claimed"}]
    });
    let mut request = request;
    request["headers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"user-agent": "s3cr3t-k"}));
    assert_eq!(ase.ask("Id-1", &request).status, 200);
    let response = json!({"response_code": 200, "headers": [{"set-cookie": "SHOPSID=s3cr3t-l"}, {"location": "/?token=s3cr3t-m"}]});
    assert_eq!(ase.respond("Id-1", &response).status, 200);
    let mut batched = record("1", "192.0.2.1", "/shop");
    batched["request"] = request;
    batched["response"] = response;
    assert_eq!(ase.post("/ase/batch", &[], batched.to_string()).status, 200);
    let log = ase.stop();
    assert_eq!(log.len(), 2);
    for line in &log {
        assert!(!line.to_string().contains("s3cr3t"), "{line}");
        assert!(line["url"].as_str().unwrap().contains("id=7"), "{line}");
        let ids = |kind: &str| -> Vec<String> {
            let credentials = line["credentials"].as_array().unwrap().iter();
            credentials
                .filter(|c| c["kind"] == kind)
                .map(|c| c["id"].to_string())
                .collect()
        };
        let (tokens, keys) = (ids("token"), ids("api_key"));
        assert!(
            tokens.len() >= 2 && tokens.iter().all(|id| *id == tokens[0]),
            "{line}"
        );
        assert_eq!(keys[0], keys[1], "{line}");
        assert_eq!(
            (ids("cookie").len(), ids("username").len()),
            (1, 1),
            "{line}"
        );
    }
    assert_eq!(log[0]["credentials"], log[1]["credentials"]);
}

#[test]
fn values_of_any_length_are_cut() {
    let ase = Ase::start();
    let long = "\u{e9}".repeat(100_000);
    let request = json!({"source_ip": "192.0.2.1", "method": "G".repeat(9000), "url": format!("/shop/{long}"),
        "headers": [{"host": long}, {"user-agent": long}, {"referer": long}, {"content-type": long}]});
    let id = "i".repeat(8000);
    assert_eq!(ase.ask(&id, &request).status, 200);
    let log = ase.stop();
    assert!(
        log[0].to_string().len() < 16_384,
        "{}",
        log[0].to_string().len()
    );
    assert!(log[0]["url"].as_str().unwrap().starts_with("/shop/\u{e9}"));
}
