//! Each host's differences, and that there are none but these.

use super::*;
use crate::config::Config;

fn headers(lines: &[(&'static str, &'static str)]) -> Headers<'static> {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

#[test]
fn on_nginx_the_pseudo_headers_say_what_the_client_wrote() {
    let shown = [
        (":path", "/a/b c"),
        (":method", "GET"),
        (":authority", "server:80"),
        ("Host", "api.example.com"),
    ];
    let target = Some(b"/a/%2e/b%20c".to_vec());
    let seen = HostProfile::Nginx.request_headers(headers(&shown), target.clone());
    let first = |name: &[u8]| seen.first(name).map(|value| value.to_vec());
    assert_eq!(first(b":path"), target);
    assert_eq!(first(b":authority"), Some(b"api.example.com".to_vec()));
    assert_eq!(first(b":method"), Some(b"GET".to_vec()));
    let without = HostProfile::Nginx.request_headers(headers(&shown[..3]), None);
    assert_eq!(without, headers(&shown[..3]));
    let envoy = HostProfile::Envoy.request_headers(headers(&shown), target);
    assert_eq!(envoy, headers(&shown));
}

#[test]
fn an_address_and_a_port_that_come_apart_are_one_peer() {
    let peer = |address: &'static str, port: Option<&str>| {
        let joined = HostProfile::Nginx.peer(address.as_bytes().to_vec(), port.map(str::as_bytes));
        String::from_utf8(joined).unwrap()
    };
    assert_eq!(peer("192.0.2.7", Some("41000")), "192.0.2.7:41000");
    assert_eq!(peer("2001:db8::7", Some("41000")), "[2001:db8::7]:41000");
    assert_eq!(peer("192.0.2.7", None), "192.0.2.7");
    assert_eq!(peer("192.0.2.7", Some("")), "192.0.2.7");
    let whole = HostProfile::Envoy.peer(b"192.0.2.7:1".to_vec(), Some(b"2"));
    assert_eq!(whole, b"192.0.2.7:1");
}

#[test]
fn a_call_that_failed_on_nginx_is_classed_by_the_hosts_word() {
    for (word, class) in [
        (Some("timeout"), FailureClass::Timeout),
        (Some("broken connection"), FailureClass::Unreachable),
        (Some("tls handshake failure"), FailureClass::Unreachable),
        (Some("resolver failure"), FailureClass::Unreachable),
        (Some("reader failure"), FailureClass::BadReply),
        (None, FailureClass::Unreachable),
    ] {
        let found = HostProfile::Nginx.failure(word.map(str::as_bytes));
        assert_eq!(found, class, "{word:?}");
    }
}

#[test]
fn a_response_is_upstreams_where_the_host_says_so() {
    let origin = |host: HostProfile, status, lines: &[_], word: Option<&'static str>| {
        host.origin(Some(status), &headers(lines), |_| word.map(str::as_bytes))
    };
    let (own, upstream) = (ResponseOrigin::Gateway, ResponseOrigin::Upstream);
    let timed = [("x-envoy-upstream-service-time", "1")];
    use HostProfile::{Envoy, Nginx};
    for (host, status, lines, word, expected) in [
        (Envoy, 200, &[][..], None, upstream),
        (Envoy, 503, &timed, Some("overload"), upstream),
        (Envoy, 404, &[], Some("route_not_found"), own),
        (Envoy, 404, &[], Some("via_upstream"), upstream),
        (Envoy, 404, &[], None, upstream),
        (Nginx, 200, &[], None, upstream),
        (Nginx, 404, &[], Some("0.003"), upstream),
        (Nginx, 502, &[], Some("-"), own),
        (Nginx, 502, &[], Some("0.003, -"), own),
        (Nginx, 404, &[], None, own),
    ] {
        let found = origin(host, status, lines, word);
        assert_eq!(found, expected, "{host:?} {status} {word:?}");
    }
}

#[test]
fn a_local_reply_on_nginx_tells_clients_no_cause_and_gets_one_line_feed() {
    let reply = |host: HostProfile| host.local_reply("ase_denied", b"Forbidden\n");
    assert_eq!(reply(HostProfile::Nginx), ("", &b"Forbidden"[..]));
    assert_eq!(
        reply(HostProfile::Envoy),
        ("ase_denied", &b"Forbidden\n"[..])
    );
}

#[test]
fn what_nginx_cannot_do_is_refused_at_once_with_its_paths() {
    let document = r#"{"host_profile": "nginx", "route_metadata": "ase", "ase": {"retry": {"attempts": 1}},
        "user_info": {"verified_jwt": {"metadata": "payload", "username_claim": "sub"}}, "report": {"tls": ["version", "client_certificate"]}}"#;
    let faults = Config::parse(document.as_bytes()).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path()).collect();
    for path in [
        "route_metadata",
        "user_info.verified_jwt",
        "report.tls",
        "ase.retry",
        "ase.cluster",
    ] {
        assert!(paths.contains(&path), "{path}: {faults}");
    }
    let envoy = document.replace("nginx", "envoy");
    assert!(Config::parse(envoy.as_bytes()).is_ok());
}

#[test]
fn on_nginx_ase_is_known_by_the_name_that_it_gives_itself() {
    let document = br#"{"host_profile": "nginx", "ase": {"cluster": "127.0.0.1:8000"}}"#;
    let config = Config::parse(document).unwrap();
    let mark = &config.ase().answer_mark;
    assert!(mark.is_on(&headers(&[(":status", "200"), ("Server", "ASE")])));
    assert!(!mark.is_on(&headers(&[(":status", "200"), ("Server", "nginx")])));
    assert_eq!(config.host(), HostProfile::Nginx);
}
