//! What leaves the gateway, and that no secret does where none may.

use ase_core::headers::Headers;
use ase_core::identity::Provenance;
use ase_core::metadata::RequestMetadata;
use ase_core::wire::{body_text, read_request};
use proptest::prelude::*;

use super::super::{Client, SeenRequest, write_request_half, write_response_half};
use super::*;
use crate::config::Config;

const KEYS: &str = r#"[{"id": "k7", "secret": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}]"#;
const NAMES: &str = r#""credentials": {"oauth_token": {"headers": ["authorization", "x-token"], "query": ["access_token"]}, "api_key": {"headers": ["x-shop-id"], "query": ["shop"]}, "cookies": ["session"]}, "user_info": {"username_header": "x-user", "client_id_header": "x-client"}"#;

fn ids() -> Config {
    config(&format!(
        r#"{{{NAMES}, "report": {{"credentials": "ids", "credential_keys": {KEYS}}}}}"#
    ))
}

fn removed() -> Config {
    config(&format!(
        r#"{{{NAMES}, "report": {{"credentials": "removed"}}}}"#
    ))
}

fn config(document: &str) -> Config {
    Config::parse(document.as_bytes()).unwrap_or_else(|faults| panic!("{document}: {faults}"))
}

fn request_half(config: &Config, lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    let seen = SeenRequest {
        headers: &headers,
        source_address: None,
        protocol: None,
        verified: super::super::Verified::default(),
        tls: None,
    };
    let client = Client {
        address: None,
        port: None,
    };
    let mut out = Vec::new();
    write_request_half(&mut out, &seen, client, config);
    out
}

fn names<'m>(metadata: &'m RequestMetadata<'_>) -> Vec<&'m str> {
    let names = metadata.headers.iter();
    names
        .map(|header| std::str::from_utf8(&header.name).unwrap())
        .collect()
}

/// A request with a secret in every place that is known.
const SECRETS: [(&[u8], &[u8]); 12] = [
    (b":authority", b"h"),
    (b":method", b"GET"),
    (
        b":path",
        b"/a;v=1?id=7&access_token=S3CRET-t&%73hop[]=S3CRET-s&next=/b?shop=S3CRET-n",
    ),
    (b"authorization", b"Bearer S3CRET-a"),
    (b"x_token", b"S3CRET-x"),
    (b"X-Shop-Id", b"S3CRET-k"),
    (b"cookie", b"session=S3CRET-c; other=S3CRET-o"),
    (b"proxy-authorization", b"Basic S3CRET"),
    (b"referer", b"https://h/?access_token=S3CRET"),
    (b"x-user", b"anna"),
    (b"x-client", b"web"),
    (b"accept", b"caf\xe9"),
];

#[test]
fn with_ids_a_credential_is_told_by_its_id_alone() {
    let half = request_half(&ids(), &SECRETS);
    let body = body_text(&half);
    assert!(!body.contains("S3CRET") && !body.contains("anna"), "{body}");
    let read = read_request(&body).unwrap();
    assert_eq!(
        read.url.as_deref(),
        Some("/a;v=1?id=7&access_token=&%73hop[]=&next=/b?shop=")
    );
    assert_eq!(names(&read), ["host", "referer", "x-client", "accept"]);
    assert!(read.credentials.is_empty() && read.usernames.is_empty());
    assert_eq!(read.client_ids, ["web"]);
    let ids: Vec<_> = read
        .hashed
        .iter()
        .map(|found| (found.kind, &*found.name, found.place, found.id.to_string()))
        .collect();
    // As Python's hashlib makes them; see the tests of `ase_core::credential` for how.
    let expected = [
        (
            CredentialKind::Token,
            "authorization",
            Place::Header,
            "k7:6d6973c4281c48a648777d8d8680a873",
        ),
        (
            CredentialKind::Token,
            "x-token",
            Place::Header,
            "k7:abc855e2c95a57dbffbbd4961c943776",
        ),
        (
            CredentialKind::ApiKey,
            "x-shop-id",
            Place::Header,
            "k7:b0e48301b3601882885c559708444168",
        ),
        (
            CredentialKind::Username,
            "x-user",
            Place::Header,
            "k7:1080fa40c2af799de739b41d80a15ab0",
        ),
        (
            CredentialKind::Token,
            "access_token",
            Place::Query,
            "k7:3f21e777fade84e1b8c1e8b7e22aaf6c",
        ),
        (
            CredentialKind::ApiKey,
            "shop",
            Place::Query,
            "k7:1b2ba9590b19c47379111806a2d09ccf",
        ),
        (
            CredentialKind::Cookie,
            "session",
            Place::Cookie,
            "k7:955d698a18f8137839c020a051269a67",
        ),
    ];
    assert_eq!(
        ids,
        expected.map(|(kind, name, place, id)| (kind, name, place, id.to_owned()))
    );
    assert!(
        read.hashed
            .iter()
            .all(|found| found.provenance == Provenance::Claimed)
    );
}

#[test]
fn removed_credentials_leave_no_trace_and_a_user_name_is_told_where_it_is_asked_for() {
    let half = request_half(&removed(), &SECRETS);
    let body = body_text(&half);
    assert!(!body.contains("S3CRET"), "{body}");
    let read = read_request(&body).unwrap();
    assert!(read.hashed.is_empty());
    let told: Vec<_> = read
        .credentials
        .iter()
        .map(|found| (found.kind, &*found.value))
        .collect();
    assert_eq!(told, [(CredentialKind::Username, "anna")]);
    assert_eq!(read.usernames, ["anna"]);
    assert_eq!(
        names(&read),
        ["host", "referer", "x-user", "x-client", "accept"]
    );
}

#[test]
fn a_path_is_told_whole_so_that_nobody_hides_a_part_of_it_behind_the_name_of_a_secret() {
    let path = b"/open/access_token=/../shop;shop=x%2f..%2fshop";
    let half = request_half(&removed(), &[(b":path", path)]);
    let body = body_text(&half);
    let read = read_request(&body).unwrap();
    assert_eq!(read.url.as_deref().map(str::as_bytes), Some(&path[..]));
}

#[test]
fn a_response_keeps_its_secrets_back_as_well() {
    let mut headers = Headers::default();
    for (name, value) in [
        ("set-cookie", "session=S3CRET"),
        ("location", "/cb?code=S3CRET"),
        ("server", "nginx"),
        ("x-inner", "1"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let config = config(
        r#"{"report": {"credentials": "removed", "response_headers": {"deny": ["x-inner"]}}}"#,
    );
    let mut out = Vec::new();
    write_response_half(&mut out, 302, &headers, &config);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"response_code":302,"headers":[{"location":"/cb"},{"server":"nginx"}]}"#
    );
}

#[test]
fn a_credential_of_a_header_that_is_not_told_is_told_by_id_or_not_at_all() {
    let deny = r#""request_headers": {"deny": ["authorization", "cookie"]}"#;
    let values = config(&format!(r#"{{{NAMES}, "report": {{{deny}}}}}"#));
    let half = request_half(&values, &SECRETS);
    let body = body_text(&half);
    assert!(
        !body.contains("S3CRET-a") && !body.contains("S3CRET-c"),
        "{body}"
    );
    assert!(
        body.contains("S3CRET-x") && body.contains("S3CRET-t"),
        "{body}"
    );
    let with_ids = config(&format!(
        r#"{{{NAMES}, "report": {{{deny}, "credentials": "ids", "credential_keys": {KEYS}}}}}"#
    ));
    assert_eq!(
        request_half(&with_ids, &SECRETS),
        request_half(&ids(), &SECRETS)
    );
}

proptest! {
    #[test]
    fn no_credential_that_is_found_is_told_by_its_value(
        lines in prop::collection::vec(
            (prop::sample::select(&["authorization", "x-token", "x_shop-id", "cookie", "Cookie"][..]), "(Bearer |session=|, ?|;|\")?S3CRET-[a-z%]{1,4}[,; \"]?.{0,6}"),
            0..6,
        ),
        query in "([&;#?]((access_token(\\[\\])?|%61ccess_token|shop|Sh%6fp)=S3CRET-[a-c%+]{1,3}|x=[a-z%]{0,3}|[a-z%+]{0,3})){0,9}",
        form: bool,
    ) {
        let path = format!("/a?{query}");
        let mut all: Vec<(&[u8], &[u8])> = vec![(b":path", path.as_bytes())];
        all.extend(lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let config = if form { ids() } else { removed() };
        let half = request_half(&config, &all);
        let mut headers = Headers::default();
        for (name, value) in &all {
            headers.push(*name, *value);
        }
        let body = body_text(&half);
        for found in Credentials::find(&headers, path.as_bytes(), config.credentials()).iter() {
            if found.value.contains("S3CRET-") {
                prop_assert!(!body.contains(&*found.value), "{:?} in {}", found.value, body);
            }
        }
    }

    #[test]
    fn what_is_told_of_any_bytes_can_be_read(
        lines in prop::collection::vec(("[a-z:_-]{1,9}|authorization|cookie|referer", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        path in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut all: Vec<(&[u8], &[u8])> = vec![(b":path", &path)];
        all.extend(lines.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())));
        for config in [ids(), removed()] {
            let half = request_half(&config, &all);
            prop_assert!(read_request(&body_text(&half)).is_ok());
        }
    }
}
