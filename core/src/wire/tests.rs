//! Reports in every shape that deployed policies send.

use super::*;
use crate::credential::CredentialKind;
use crate::metadata::RequestReport;
use proptest::prelude::*;

#[test]
fn what_the_gateway_writes_is_what_ase_reads() {
    let tls = TlsFacts {
        version: Some("TLSv1.3".into()),
        client_subject: Some("CN=\"é".into()),
        ..TlsFacts::default()
    };
    let head = RequestHead {
        source_ip: ClientAddress::parse("::ffff:203.0.113.7").ok(),
        source_port: Some(41234),
        method: b"GET",
        url: b"/a?b=\"c\"\\\xff",
        host: Some(b"api.example.com"),
        http_version: Some(b"1.1"),
        tls: Some(&tls),
        username: Some(b"anna"),
        client_id: Some(b"web"),
    };
    let headers: [(&[u8], &[u8]); 2] = [(b"x-dup", b"1"), (b"x-dup", b"\x80")];
    let credential = Credential {
        kind: CredentialKind::Token,
        name: "access_token".into(),
        place: Place::Query,
        value: "t".into(),
        provenance: Provenance::Verified,
    };
    let mut out = Vec::new();
    write_request(
        &mut out,
        &head,
        headers.into_iter(),
        std::iter::once(Identifier::Value(&credential)),
    );
    let body = body_text(&out);
    let read = read_request(&body).unwrap();
    assert_eq!(read.source_ip, source_ip("203.0.113.7"));
    assert_eq!(read.source_port, Some(41234));
    assert_eq!(read.url.as_deref(), Some("/a?b=\"c\"\\\u{ff}"));
    let dup: Vec<&[u8]> = read.headers.values_of(b"x-dup").map(|v| &**v).collect();
    assert_eq!(dup, ["1".as_bytes(), "\u{80}".as_bytes()]);
    assert_eq!((&*read.usernames[0], &*read.client_ids[0]), ("anna", "web"));
    assert_eq!(read.tls, tls);
    assert_eq!(read.credentials, [credential]);
    assert!(RequestReport::of(&read).is_ok());
}

#[test]
fn every_shape_that_deployed_policies_send_is_read() {
    let shapes = [
        r#"{"source_ip":"10.0.0.6","source_port":80,"method":"GET","url":"/shop","http_version":"HTTP/1.1","headers":[{"host":"a"},{"X-Forwarded-For":"10.0.0.6"}]}"#,
        r#"{"source_ip":"10.0.0.6","source_port":"message.source","method":"GET","url":"/shop","headers":[{"HOST":"a","x":"y"}]}"#,
        r#"{"ASEPayload":{"source_ip":" 10.0.0.6 ","method":"GET","url":"/shop","headers":{"Host":"a"},"unknown":[1,{"x":null}]}}"#,
        r#"{"source_ip":"10.0.0.6","source_port":-1,"method":"GET","url":"/shop","headers":[{"host":"a"},{"n":7},{"none":null},{"l":[1]}],"user_info":[{"username":"anonymous"},{"client_id":5}]}"#,
    ];
    for shape in shapes {
        let read = read_request(shape).unwrap();
        let report =
            RequestReport::of(&read).unwrap_or_else(|faults| panic!("{shape}: {faults:?}"));
        assert_eq!((report.method, report.url), ("GET", "/shop"), "{shape}");
        assert_eq!(report.client.to_string(), "10.0.0.6", "{shape}");
    }
}

#[test]
fn a_header_written_as_an_array_is_one_header_per_value() {
    let body = r#"{"source_ip":"10.0.0.6:4711","method":"GET","url":"/","headers":[{"host":"a"},{"x-api-key":["x","listed",7]}]}"#;
    let read = read_request(body).unwrap();
    let keys: Vec<&[u8]> = read.headers.values_of(b"x-api-key").map(|v| &**v).collect();
    assert_eq!(keys, [b"x".as_slice(), b"listed", b"7"]);
    assert_eq!(read.source_ip, source_ip("10.0.0.6"));
}

#[test]
fn an_identifier_that_cannot_be_read_is_left_out_and_refuses_nothing() {
    let body = r#"{"client_identifiers":[{"type":"x"},{"type":"token"},{"value":"v"},{"type":"token","value":"v","in":"moon"},
        {"type":"token","value":"good"}]}"#;
    let read = read_request(body).unwrap();
    let values: Vec<&str> = read.credentials.iter().map(|c| &*c.value).collect();
    assert_eq!(values, ["good"]);
}

#[test]
fn named_clients_are_read_up_to_a_bound() {
    let users = vec![r#"{"username":"u"}"#; 30_000].join(",");
    let identifiers = vec![r#"{"type":"username","value":"u"}"#; 30_000].join(",");
    let body = format!(r#"{{"user_info":[{users}],"client_identifiers":[{identifiers}]}}"#);
    let read = read_request(&body).unwrap();
    assert_eq!((read.usernames.len(), read.credentials.len()), (128, 128));
}

#[test]
fn fields_in_an_array_are_no_object() {
    for body in [r#"["203.0.113.7"]"#, r#"{"ASEPayload":["203.0.113.7"]}"#] {
        assert_eq!(
            read_request(body),
            Err(RequestFault::BodyMalformed),
            "{body}"
        );
    }
}

#[test]
fn port_0_is_unknown() {
    let port = |text: &str| read_request(text).unwrap().source_port;
    assert_eq!(port(r#"{"source_port":0}"#), None);
    assert_eq!(port(r#"{"source_port":"80"}"#), Some(80));
}

#[test]
fn a_latin_1_body_is_read() {
    let body = b"{\"source_ip\":\"10.0.0.6\",\"method\":\"GET\",\"url\":\"/caf\xe9\",\"headers\":[{\"host\":\"a\"}]}";
    let body = body_text(body);
    assert_eq!(
        read_request(&body).unwrap().url.as_deref(),
        Some("/caf\u{e9}")
    );
}

#[test]
fn every_missing_or_invalid_part_is_named_at_once() {
    let read = read_request(r#"{"source_ip":"example.com","method":"","headers":[]}"#).unwrap();
    let faults = RequestReport::of(&read).unwrap_err();
    let names: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let expected = [
        "request source ip invalid",
        "request method absent",
        "request url absent",
        "request host header absent",
    ];
    assert_eq!(names, expected);
    assert_eq!(read_request(" \n"), Err(RequestFault::BodyAbsent));
    assert_eq!(
        read_request("{\"url\":\"a\"b\"}"),
        Err(RequestFault::BodyMalformed)
    );
    assert_eq!(read_request("[]"), Err(RequestFault::BodyMalformed));
}

#[test]
fn a_response_code_is_read_as_a_number_or_as_text_and_must_be_a_status() {
    for good in [
        r#"{"response_code":200}"#,
        r#"{"ASEPayload":{"response_code":" 200","response_status":"OK","headers":[]}}"#,
    ] {
        assert_eq!(read_response(good).unwrap().code, 200, "{good}");
    }
    for bad in [
        r#"{"response_code":"OK"}"#,
        r#"{"response_code":99}"#,
        "{}",
        r#"{"response_code":null}"#,
    ] {
        assert_eq!(read_response(bad), Err(ResponseFault::CodeAbsent), "{bad}");
    }
    assert_eq!(read_response(""), Err(ResponseFault::BodyAbsent));
    assert_eq!(read_response("{"), Err(ResponseFault::BodyMalformed));
}

#[test]
fn a_deeply_nested_body_is_refused_without_overflowing_the_stack() {
    let body = "{\"ASEPayload\":".repeat(100_000);
    assert_eq!(read_request(&body), Err(RequestFault::BodyMalformed));
    let body = format!("{{\"x\":{}", "[".repeat(100_000));
    assert_eq!(read_request(&body), Err(RequestFault::BodyMalformed));
}

/// A member as some gateway may write it, right or wrong.
fn member() -> impl Strategy<Value = String> {
    let key = prop::sample::select(
        &[
            "source_ip",
            "source_port",
            "method",
            "url",
            "http_version",
            "headers",
            "response_code",
            "response_status",
            "user_info",
            "x",
        ][..],
    );
    let value = prop_oneof![
        "\"[ -~é]{0,6}\"",
        "\"(192\\.0\\.2\\.[0-9]{1,3}|2001:db8::1|GET|200)\"",
        "(0|-?[0-9]{1,6}|[0-9]{9,12}|1\\.5|1e2|null|true)[ \n]?",
        "\\[( ?\\{\"[a-z]{0,3}\": ?\"[a-z\\\\n]{0,4}\"(,\"b\":(\"c\"|1))?\\},?){0,3}\\]",
        Just("{\"host\":\"h\"}".to_owned()),
        Just("[{}]".to_owned()),
    ];
    (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"))
}

/// The bodies that are meant to be read quickly, so that the comparison compares something.
#[test]
fn what_gateways_usually_write_is_read_quickly() {
    let question = r#"{"source_ip":"192.0.2.1","source_port":"4711","method":"GET","url":"/a","http_version":"1.1",
        "headers": [{"host":"h"}, {"x-a":"é","x-b":""}]}"#;
    let read = quick::request(question);
    assert_eq!(read, read_any_request(question).ok());
    assert_eq!(read.map(|read| read.headers.len()), Some(3));
    let response = r#"{"response_code": 200, "response_status":"OK", "http_version":"1.1", "headers":[{"a":"b"}]} "#;
    let read = quick::response(response);
    assert_eq!(read, read_any_response(response).ok());
    assert_eq!(read.map(|read| read.code), Some(200));
}

proptest! {
    #[test]
    fn any_request_reads_back_as_its_text(
        url in proptest::collection::vec(any::<u8>(), 1..40),
        name in "[a-z-]{1,8}",
        value: Vec<u8>,
    ) {
        let head = RequestHead {
            source_ip: None, source_port: None, method: b"M", url: &url, host: Some(b"h"),
            http_version: None, tls: None, username: None, client_id: None,
        };
        let mut out = Vec::new();
        let headers = std::iter::once((name.as_bytes(), value.as_slice()));
        write_request(&mut out, &head, headers, std::iter::empty());
        let body = body_text(&out);
        let read = read_request(&body).unwrap();
        let url_text = text::of(&url);
        prop_assert_eq!(read.url.as_deref(), Some(&*url_text));
        let last = read.headers.iter().last().unwrap();
        let value_text = text::of(&value);
        prop_assert_eq!(&*last.value, value_text.as_bytes());
    }

    #[test]
    fn what_is_read_quickly_is_read_alike_at_length(
        members in prop::collection::vec(member(), 0..8),
        before in "[ \n]?", after in "[ \n\x0c\x00x,}]?",
        bent in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[]:, 09ae\n\x01\xc3"[..]))),
    ) {
        let mut body = format!("{before}{{{}}}{after}", members.join(",")).into_bytes();
        if let Some((at, byte)) = bent {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let body = body_text(&body);
        if let Some(quick) = quick::request(&body) {
            prop_assert_eq!(Ok(quick), read_any_request(&body));
        }
        if let Some(quick) = quick::response(&body) {
            prop_assert_eq!(Ok(quick), read_any_response(&body));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(body: Vec<u8>) {
        let body = body_text(&body);
        let _either = (read_request(&body), read_response(&body));
    }
}
