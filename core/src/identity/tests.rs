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
fn query_names_and_values_are_percent_decoded_and_fragments_are_not_query() {
    let found = check(
        "/p?x=1&%61ccess_token=a%2Bb&key=k+1&key=&key=100%#&key=no",
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
fn of_too_many_values_the_first_and_the_last_are_kept() {
    let line: Vec<String> = (0..1000).map(|n| format!("S={n}")).collect();
    let line = line.join(";");
    let mut headers = Headers::default();
    headers.push(b"cookie".as_slice(), line.as_bytes());
    let names = names();
    let credentials = Credentials::find(&headers, b"/", &names);
    let values: Vec<&str> = credentials.iter().map(|found| &*found.value).collect();
    assert_eq!(values.len(), MAX_VALUES_PER_KIND);
    assert!(values.contains(&"0") && values.contains(&"63"));
    assert!(values.contains(&"936") && values.contains(&"999"));
    assert_eq!(credentials.left_out(), 1000 - MAX_VALUES_PER_KIND);
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

proptest! {
    #[test]
    fn any_bytes_are_searched_without_a_panic(url: Vec<u8>, cookie: Vec<u8>, authorization: Vec<u8>) {
        let mut headers = Headers::default();
        headers.push(b"cookie".as_slice(), cookie);
        headers.push(b"authorization".as_slice(), authorization);
        let names = names();
        let credentials = Credentials::find(&headers, &url, &names);
        prop_assert!(credentials.iter().all(|found| !found.value.is_empty()));
    }
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
        username_headers: vec![],
    }
}
