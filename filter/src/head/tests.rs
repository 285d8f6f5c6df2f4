//! From header lists to the two halves of a report.

use super::*;

fn headers<'a>(pairs: &[(&'a str, &'a [u8])]) -> Headers<'a> {
    let mut headers = Headers::default();
    for (name, value) in pairs {
        headers.push(name.as_bytes(), *value);
    }
    headers
}

fn check(config: &str, pairs: &[(&str, &[u8])], source_address: Option<&str>, expected: &str) {
    let config = Config::parse(config.as_bytes()).unwrap();
    let headers = headers(pairs);
    let seen = SeenRequest {
        headers: &headers,
        source_address: source_address.map(str::as_bytes),
        protocol: Some(b"HTTP/1.1"),
        verified: Verified::default(),
        tls: None,
    };
    let mut out = Vec::new();
    let client = client(config.client_address(), &seen);
    write_request_half(&mut out, &seen, client, &config);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let is_whole = expected.contains("source_ip") && !expected.contains(r#""url":"""#);
    let (head, question) = if is_whole {
        (Head::Read, expected)
    } else {
        (Head::Incomplete, "")
    };
    let mut out = Vec::new();
    let written = write_question(&mut out, &seen, client, &config, &mut |_| false);
    assert_eq!(
        (written, &*String::from_utf8(out).unwrap()),
        (head, question)
    );
}

#[test]
fn a_request_is_reported_with_its_host_first_and_without_pseudo_and_reserved_headers() {
    check(
        r#"{"user_info": {"username_header": "X-User"}, "credentials": {"oauth_token": {"query": ["access_token"]}}}"#,
        &[
            (":authority", b"api.example.com"),
            (":path", b"/books?access_token=t1"),
            (":method", b"GET"),
            (":scheme", b"https"),
            ("x-user", b"anna"),
            ("host", b"other"),
            ("X-ASE-Delivery", b"batch"),
            ("x-dup", b"1"),
            ("x-dup", b"caf\xe9"),
        ],
        Some("203.0.113.7:41234"),
        r#"{"source_ip":"203.0.113.7","source_port":41234,"method":"GET","url":"/books?access_token=t1","http_version":"1.1","headers":[{"host":"api.example.com"},{"x-user":"anna"},{"x-dup":"1"},{"x-dup":"café"}],"user_info":[{"username":"anna"}],"client_identifiers":[{"type":"username","name":"x-user","in":"header","value":"anna","provenance":"claimed"},{"type":"token","name":"access_token","in":"query","value":"t1","provenance":"claimed"}]}"#,
    );
}

#[test]
fn connect_has_its_authority_for_a_url() {
    check(
        "{}",
        &[
            (":authority", b"db.example.com:443"),
            (":method", b"CONNECT"),
        ],
        Some("[2001:db8::1]:0"),
        r#"{"source_ip":"2001:db8::1","method":"CONNECT","url":"db.example.com:443","http_version":"1.1","headers":[{"host":"db.example.com:443"}]}"#,
    );
}

#[test]
fn an_empty_host_is_reported_as_it_is() {
    check(
        "{}",
        &[(":authority", b""), (":path", b"/"), (":method", b"GET")],
        Some("203.0.113.7:1"),
        r#"{"source_ip":"203.0.113.7","source_port":1,"method":"GET","url":"/","http_version":"1.1","headers":[{"host":""}]}"#,
    );
    check(
        "{}",
        &[(":authority", b""), (":method", b"CONNECT")],
        Some("203.0.113.7:1"),
        r#"{"source_ip":"203.0.113.7","source_port":1,"method":"CONNECT","url":"","http_version":"1.1","headers":[{"host":""}]}"#,
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    check(
        "{}",
        &[(":path", b"/"), (":method", b"GET")],
        None,
        r#"{"method":"GET","url":"/","http_version":"1.1","headers":[]}"#,
    );
    check(
        "{}",
        &[(":path", b"/"), (":method", b"GET"), ("host", b"h")],
        Some("@/internal"),
        r#"{"method":"GET","url":"/","http_version":"1.1","headers":[{"host":"h"}]}"#,
    );
}

#[test]
fn hops_are_counted_from_the_right_over_every_occurrence() {
    let config = r#"{"client_address": {"from": "xff", "trusted_hops": 2}}"#;
    check(
        config,
        &[
            (":method", b"GET"),
            (":path", b"/"),
            ("x-forwarded-for", b"6.6.6.6, 203.0.113.7"),
            ("x-forwarded-for", b"10.0.0.1"),
        ],
        Some("10.0.0.2:5"),
        r#"{"source_ip":"203.0.113.7","method":"GET","url":"/","http_version":"1.1","headers":[{"x-forwarded-for":"6.6.6.6, 203.0.113.7"},{"x-forwarded-for":"10.0.0.1"}]}"#,
    );
    check(
        config,
        &[
            (":method", b"GET"),
            (":path", b"/"),
            ("x-forwarded-for", b"10.0.0.1"),
        ],
        Some("10.0.0.2:5"),
        r#"{"method":"GET","url":"/","http_version":"1.1","headers":[{"x-forwarded-for":"10.0.0.1"}]}"#,
    );
}

#[test]
fn a_status_has_three_digits_from_100_on() {
    for (text, expected) in [
        ("200", Some(200)),
        ("999", Some(999)),
        ("099", None),
        ("20", None),
        ("2000", None),
        ("+20", None),
        ("", None),
        ("abc", None),
    ] {
        assert_eq!(
            status(&headers(&[(":status", text.as_bytes())])),
            expected,
            "{text}"
        );
    }
    assert_eq!(status(&headers(&[("status", b"200")])), None);
}

#[test]
fn each_reserved_name_is_taken_off_once() {
    let headers = headers(&[
        ("x-ase-token", b"1"),
        ("x-ase-a", b"1"),
        ("x-ase-token", b"2"),
        ("ase-token", b"3"),
        ("x-as", b"4"),
        ("X-Unchecked", b"5"),
    ]);
    let plain = Config::parse(b"{}").unwrap();
    let marking = Config::parse(br#"{"fail_open_header": "x-unchecked"}"#).unwrap();
    assert_eq!(
        reserved_names(&headers, &plain),
        [&b"x-ase-token"[..], b"x-ase-a"]
    );
    assert_eq!(
        reserved_names(&headers, &marking),
        [&b"x-ase-token"[..], b"x-ase-a", b"X-Unchecked"]
    );
}
