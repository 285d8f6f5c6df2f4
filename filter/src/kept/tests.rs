//! What is kept says later what it would have said at once.

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

fn written(kept: &Kept, config: &Config) -> (String, Option<String>) {
    let (mut request, mut response) = (Vec::new(), Vec::new());
    kept.write_request(None, config, &mut request);
    let answered = kept.write_response(config, &mut response);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(request), answered.then(|| text(response)))
}

const HALF: &str = r#"{"source_ip":"203.0.113.7","source_port":41234,"method":"GET","url":"/books?page=2","http_version":"1.1","headers":[{"host":"api.example.com"},{"accept":"*/*"}]}"#;

#[test]
fn what_was_asked_about_is_what_the_record_says() {
    let config = config("{}");
    let mut kept = Kept::of(request());
    assert_eq!(written(&kept, &config).0, HALF);
    assert_eq!(kept.question(&config), HALF.as_bytes());
    assert_eq!(written(&kept, &config), (HALF.to_owned(), None));
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
    let mut kept = Kept::unseen();
    assert_eq!(written(&kept, &config), ("{}".to_owned(), None));
    assert_eq!(kept.question(&config), b"{}");
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
