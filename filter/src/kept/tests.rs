//! What is kept says later what it would have said at once.

use std::time::Duration;

use ase_core::time::UnixMillis;
use ase_core::transaction::{End, GatewayDecision, Mode, RecordId};

use super::*;

fn config(document: &str) -> Config {
    Config::parse(document.as_bytes()).unwrap()
}

fn request() -> KeptRequest {
    KeptRequest {
        headers: pairs::write(&[
            (":authority", "api.example.com"),
            (":path", "/books?page=2"),
            (":method", "GET"),
            ("accept", "*/*"),
        ]),
        source_address: Some(b"203.0.113.7:41234".to_vec()),
        protocol: Some(b"HTTP/1.1".to_vec()),
        ..KeptRequest::default()
    }
}

/// The two halves of the record.
fn written(kept: &Kept, config: &Config) -> (String, Option<String>) {
    let course = Course {
        id: RecordId::mint(1, 1),
        started: UnixMillis(1),
        duration: Duration::ZERO,
        mode: Mode::Async,
        decision: GatewayDecision::Async,
        verdict: None,
        asked_for: None,
        end: End::Upstream,
    };
    let text = |write: &Write<'_>| {
        let mut half = Vec::new();
        write(&mut half);
        String::from_utf8(half).unwrap()
    };
    let mut halves = None;
    kept.record(&course, None, config, |record| {
        halves = Some((text(record.request), record.response.map(text)));
    });
    halves.unwrap()
}

const HALF: &str = r#"{"source_ip":"203.0.113.7","source_port":41234,"method":"GET","url":"/books?page=2","http_version":"1.1","headers":[{"host":"api.example.com"},{"accept":"*/*"}]}"#;

#[test]
fn what_is_kept_is_told_as_it_would_have_been_asked_about() {
    let config = config("{}");
    let unasked = Kept::of(request());
    assert_eq!(written(&unasked, &config), (HALF.to_owned(), None));
    let asked = Kept::asked(HALF.as_bytes().to_vec());
    assert_eq!(asked.question(), HALF.as_bytes());
    assert_eq!(written(&asked, &config), (HALF.to_owned(), None));
}

#[test]
fn a_response_is_told_with_its_status_and_without_what_is_not_to_be_told() {
    let config = config(r#"{"report": {"response_headers": {"deny": ["etag"]}}}"#);
    let mut kept = Kept::of(request());
    kept.response(
        201,
        pairs::write(&[(":status", "201"), ("etag", "x"), ("server", "a")]),
    );
    let (_, response) = written(&kept, &config);
    let half = r#"{"response_code":201,"headers":[{"server":"a"}]}"#;
    assert_eq!(response.as_deref(), Some(half));
}

#[test]
fn a_request_that_the_host_did_not_show_has_an_empty_half() {
    let config = config("{}");
    let kept = Kept::unseen();
    assert_eq!(written(&kept, &config), ("{}".to_owned(), None));
}

#[test]
fn nginx_s_own_words_for_target_and_port_are_kept_as_well() {
    let config = config(r#"{"host_profile": "nginx", "ase": {"cluster": "127.0.0.1:9"}}"#);
    let kept = Kept::of(KeptRequest {
        headers: pairs::write(&[
            ("host", "Api.example.com"),
            (":authority", "other"),
            (":path", "/a"),
            (":method", "GET"),
        ]),
        target: Some(b"/a?b=c".to_vec()),
        ..request()
    });
    let (half, _) = written(&kept, &config);
    assert!(half.contains(r#""url":"/a?b=c""#), "{half}");
    assert!(half.contains(r#"{"host":"Api.example.com"}"#), "{half}");
}
