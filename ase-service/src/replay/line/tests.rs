//! Lines as real servers write them.

use super::*;

#[test]
fn a_combined_line_gives_its_request() {
    let line = br#"203.0.113.7 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 20 "http://x/" "Mozilla \"5\" \x41""#;
    let request = request(Format::of(line), line);
    assert_eq!(request.client, Some([203, 0, 113, 7].into()));
    assert_eq!(
        (request.method, request.target.to_string()),
        (hyper::Method::GET, "/a?b=c".to_owned())
    );
    assert_eq!(request.referer.unwrap(), b"http://x/");
    assert_eq!(request.user_agent.unwrap(), b"Mozilla \"5\" A");
}

#[test]
fn an_envoy_line_gives_its_request_under_any_spelling_of_its_keys() {
    let line = br#"{":METHOD":"POST","path":"/p","downstream_remote_address":"[2001:db8::1]:4711","authority":"shop","user-agent":"curl","referer":null,"bytes":3}"#;
    let request = request(Format::of(line), line);
    assert_eq!(request.client.unwrap().to_string(), "2001:db8::1");
    assert_eq!(
        (request.method, request.target.to_string()),
        (hyper::Method::POST, "/p".to_owned())
    );
    assert_eq!(
        (request.host.unwrap(), request.referer),
        (b"shop".to_vec(), None)
    );
}

#[test]
fn odd_targets_are_sent_with_as_few_changes_as_possible() {
    for (logged, sent, encoded) in [
        (r"/a b", "/a%20b", 1),
        (r"/%00/..%2f", "/%00/..%2f", 0),
        (r"/caf\xc3\xa9?q=\x80", "/caf%C3%A9?q=%80", 3),
        (
            r#"/\"<script>`?x=<y>`#z"#,
            "/\"%3Cscript%3E%60?x=%3Cy%3E`%23z",
            6,
        ),
        (r"/a\\b|c^{d}", "/a\\b|c^{d}", 0),
        (r#"/?\"'[]"#, "/?%22'[]", 1),
        (r"http://elsewhere:80/x?y", "/x?y", 0),
        (r"https://elsewhere", "/", 0),
        (r"no-slash", "/no-slash", 0),
    ] {
        let line = format!(r#"::1 - - [t] "GET {logged} HTTP/1.1" 200 1 "-" "-""#);
        let request = request(Format::Combined, line.as_bytes());
        assert_eq!(request.target.to_string(), sent, "{logged}");
        assert_eq!(request.change.encoded, encoded, "{logged}");
        assert_eq!((request.user_agent, request.referer), (None, None));
    }
}

#[test]
fn what_is_no_request_is_named() {
    for (logged, why) in [
        ("-", Unsendable::NoRequest),
        ("", Unsendable::NoRequest),
        (r"\x16\x03\x01 \x02", Unsendable::NotHttp),
        ("garbage", Unsendable::NotHttp),
        ("CONNECT a:443 HTTP/1.1", Unsendable::Connect),
    ] {
        let line = format!(r#"::1 - - [t] "{logged}" 400 1 "-" "-""#);
        assert_eq!(
            Format::Combined.parse(line.as_bytes()),
            Err(why),
            "{logged}"
        );
    }
    for line in [
        &b"nonsense"[..],
        b"1.2.3.4 - - [t] \"GET / HTTP/1.1",
        b"\xff\xfe",
    ] {
        assert_eq!(Format::Combined.parse(line), Err(Unsendable::Unparsable));
    }
    assert_eq!(
        Format::Json.parse(b"{\"method\":1}"),
        Err(Unsendable::NoRequest)
    );
    assert_eq!(Format::Json.parse(b"[]"), Err(Unsendable::Unparsable));
    let open = br#"{"method":"GET","url":"/","outcome":"open"}"#;
    assert_eq!(Format::Json.parse(open), Err(Unsendable::StillOpen));
}

#[test]
fn http_0_9_and_a_host_name_as_client_are_sent() {
    let request = request(
        Format::Combined,
        br#"crawler.example - - [t] "GET /old" 200 1"#,
    );
    assert_eq!(
        (request.client, request.target.to_string()),
        (None, "/old".to_owned())
    );
}

/// A target is sendable whatever its bytes, up to the length that hyper takes.
#[test]
fn every_byte_has_a_way_to_be_sent() {
    for byte in 0..=255_u8 {
        for target in [vec![b'/', byte], vec![b'/', b'?', byte], vec![byte]] {
            assert!(target::sendable(&target).is_some(), "{target:?}");
        }
    }
    assert!(target::sendable(&[b'/'; 70_000]).is_none());
}

fn request(format: Format, line: &[u8]) -> Request {
    match format.parse(line) {
        Ok(request) => request,
        Err(why) => panic!("{why:?}: {}", String::from_utf8_lossy(line)),
    }
}
