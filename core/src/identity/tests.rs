//! Which credentials are found, and that gateway and ASE find the same.

use super::*;
use proptest::prelude::*;

#[test]
fn every_occurrence_of_a_cookie_counts_on_every_cookie_line() {
    let found = check(
        "/",
        &[
            ("cookie", "S=one; a=b; S=\"two\""),
            ("Cookie", " S = three ;S="),
        ],
    );
    assert_eq!(found, ["cookie S one", "cookie S two", "cookie S three"]);
}

#[test]
fn only_the_bearer_scheme_of_authorization_is_a_token_and_joined_duplicates_both_count() {
    assert_eq!(check("/", &[("authorization", "Basic dTpw")]), [""; 0]);
    let joined = check("/", &[("Authorization", "bearer  t1, Bearer t2")]);
    assert_eq!(joined, ["token authorization t1", "token authorization t2"]);
    assert_eq!(check("/", &[("x-token", "t3")]), ["token x-token t3"]);
}

#[test]
fn query_names_and_values_are_percent_decoded() {
    let found = check(
        "/p?x=1&%61ccess_token=a%2Bb&key=k+1&key=&key=100%&other=no",
        &[],
    );
    assert_eq!(
        found,
        [
            "token access_token a+b",
            "api_key key k 1",
            "api_key key 100%"
        ]
    );
}

#[test]
fn spellings_that_only_some_servers_accept_are_found_too() {
    let queries = [
        "/?KEY=l",
        "/?a=1;key=l",
        "/?a#&key=l",
        "/?+key=l",
        "/?key[]=l",
        "/?key%5B0%5D=l",
    ];
    for query in queries {
        assert_eq!(check(query, &[]), ["api_key key l"], "{query}");
    }
    let cookies = [
        "S=%6c",
        "S=\"\\154\"",
        "S=\"\\l\"",
        "a=1, S=l",
        "a=1 S=l",
        "s=l",
    ];
    for cookie in cookies {
        let found = check("/", &[("cookie", cookie)]);
        assert!(
            found.contains(&"cookie S l".to_owned()),
            "{cookie}: {found:?}"
        );
    }
    assert_eq!(
        check("/", &[("authorization", "BEARER\tl")]),
        ["token authorization l"]
    );
    assert_eq!(check("/", &[("X_Api_Key", "l")]), ["api_key x-api-key l"]);
}

#[test]
fn a_user_name_with_a_comma_is_one_name() {
    assert_eq!(
        check("/", &[("x-user", "Mallory, eve")]),
        ["username x-user Mallory, eve"]
    );
}

#[test]
fn an_api_key_with_a_comma_counts_as_a_whole_and_in_parts() {
    let found = check("/", &[("x-api-key", "a,b")]);
    assert_eq!(
        found,
        [
            "api_key x-api-key a,b",
            "api_key x-api-key a",
            "api_key x-api-key b"
        ]
    );
}

#[test]
fn of_too_many_values_the_first_and_the_last_of_each_name_are_kept() {
    let line: Vec<String> = (0..1000).map(|n| format!("S={n}")).collect();
    let line = line.join(";");
    let keys: Vec<String> = (0..200).map(|n| format!("key=q{n}")).collect();
    let url = format!("/?key=listed&{}", keys.join("&"));
    let mut headers = Headers::default();
    headers.push(b"cookie".as_slice(), line.as_bytes());
    headers.push(b"x-api-key".as_slice(), line.as_bytes());
    let names = names();
    let credentials = Credentials::find(&headers, url.as_bytes(), &names);
    let values: Vec<&str> = credentials.iter().map(|found| &*found.value).collect();
    for kept in ["0", "63", "936", "999", "listed", "q62", "q136", "q199"] {
        assert!(values.contains(&kept), "{kept}");
    }
    assert_eq!(values.len(), 2 * MAX_VALUES_PER_NAME + 1);
    assert_eq!(credentials.left_out(), 1000 + 201 - 2 * MAX_VALUES_PER_NAME);
}

#[test]
fn the_strongest_provenance_of_a_value_is_kept() {
    let mut credentials = Credentials::default();
    for provenance in [
        Provenance::Claimed,
        Provenance::Verified,
        Provenance::Observed,
    ] {
        credentials.add(Credential {
            provenance,
            ..claimed(CredentialKind::Token, Place::Header, "t", "v".into())
        });
    }
    let found: Vec<Provenance> = credentials.iter().map(|found| found.provenance).collect();
    assert_eq!(found, [Provenance::Verified]);
}

#[test]
fn bytes_and_their_latin_1_text_are_the_same_credential() {
    let (mut raw, mut decoded) = (Headers::default(), Headers::default());
    raw.push(b"cookie".as_slice(), b"S=\xff\x80".as_slice());
    decoded.push(b"cookie".as_slice(), "S=\u{ff}\u{80}".as_bytes());
    let names = names();
    let value = |headers| {
        let found = Credentials::find(headers, b"/", &names);
        found
            .iter()
            .next()
            .map(|found| found.value.clone().into_owned())
    };
    assert_eq!(value(&raw), value(&decoded));
}

/// Pieces of which odd credentials are made.
fn grammar() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        &b"S="[..],
        b"key=",
        b"Bearer ",
        b";",
        b",",
        b"&",
        b"?",
        b"\"",
        b"\\",
        b"%c3",
        b"%a9",
        b"%",
        b"+",
        b" ",
        b"\xc3",
        b"\xa9",
        b"\xff",
        b"abc",
        b"1",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn gateway_and_ase_find_the_same_credentials_in_any_request(url in grammar(), cookie in grammar(), token in grammar(), key in grammar()) {
        let lines: [(&[u8], &[u8]); 3] = [(b"cookie", &cookie), (b"authorization", &token), (b"x-api-key", &key)];
        let url = [b"/?".as_slice(), &url].concat();
        let names = names();
        let mut raw = Headers::default();
        for (name, value) in lines {
            raw.push(name, value);
        }
        let at_gateway = Credentials::find(&raw, &url, &names);

        let head = crate::wire::RequestHead {
            source_ip: None, source_port: None, method: b"GET", url: &url, host: Some(b"h"), http_version: None, tls: None, username: None, client_id: None,
        };
        let mut body = Vec::new();
        crate::wire::write_request(&mut body, &head, lines.into_iter(), std::iter::empty());
        let body = crate::wire::body_text(&body);
        let read = crate::wire::read_request(&body).unwrap();
        let url = read.url.clone().unwrap();
        let at_ase = Credentials::find(&read.headers, url.as_bytes(), &names);
        prop_assert_eq!(at_gateway, at_ase);
    }
}

#[test]
fn what_is_not_asked_for_is_not_looked_for() {
    let mut headers = Headers::default();
    headers.push(b"authorization".as_slice(), b"Bearer t".as_slice());
    headers.push(b"x-api-key".as_slice(), b"k".as_slice());
    headers.push(b"cookie".as_slice(), b"S=s".as_slice());
    headers.push(b"x-user".as_slice(), b"u".as_slice());
    let (names, url) = (names(), b"/?access_token=t2&key=k2");
    for kind in CredentialKind::ALL {
        let kinds = Kinds::NONE.with(kind);
        let found = Credentials::find_some(&headers, url, &names, kinds);
        let all = Credentials::find(&headers, url, &names);
        let of_kind: Vec<_> = all.iter().filter(|found| found.kind == kind).collect();
        assert!(!of_kind.is_empty(), "{kind}");
        assert_eq!(found.iter().collect::<Vec<_>>(), of_kind, "{kind}");
    }
    let none = Credentials::find_some(&headers, url, &names, Kinds::NONE);
    assert_eq!(none.iter().count(), 0);
}

fn check(url: &str, lines: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let names = names();
    let credentials = Credentials::find(&headers, url.as_bytes(), &names);
    let shown =
        |found: &Credential<'_>| format!("{} {} {}", found.kind.as_str(), found.name, found.value);
    credentials.iter().map(shown).collect()
}

fn names() -> CredentialNames {
    CredentialNames {
        token_headers: vec!["authorization".into(), "x-token".into()],
        token_query: vec!["access_token".into()],
        api_key_headers: vec!["x-api-key".into()],
        api_key_query: vec!["key".into()],
        cookies: vec!["S".into()],
        username_headers: vec!["x-user".into()],
    }
}

#[test]
fn a_url_without_credentials_has_empty_values_in_their_places_and_its_whole_path() {
    let names = CredentialNames {
        token_query: vec!["access_token".to_owned()],
        api_key_query: vec!["key".to_owned()],
        ..CredentialNames::default()
    };
    for (url, expected) in [
        ("/a?id=7&access_token=S&x=1", "/a?id=7&access_token=&x=1"),
        ("/a?Key=S", "/a?Key="),
        ("/a?key=S=S&key=", "/a?key=&key="),
        (
            "/a?%6bey=S#access_token[]=S;+key=S&y",
            "/a?%6bey=#access_token[]=;+key=&y",
        ),
        ("/a?b?key=S", "/a?b?key="),
        ("/a?key", "/a?key"),
        ("/key=x/../b?c=1", "/key=x/../b?c=1"),
        ("/key=x?key=S", "/key=x?key="),
        ("/a", "/a"),
    ] {
        let told = without_credentials(url.as_bytes(), &names);
        assert_eq!(std::str::from_utf8(&told).unwrap(), expected);
    }
}
