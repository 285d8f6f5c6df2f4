//! Which names win, and that hostile tokens only name nobody.

use ase_core::headers::Headers;
use ase_core::wire::{body_text, read_request};
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::head::{Client, write_request_half};

/// Header, claims and signature; the claims are `{"sub":"bert","azp":"app"}`.
const BERT: &str = "e30.eyJzdWIiOiJiZXJ0IiwiYXpwIjoiYXBwIn0.x";
const ALL: &str = r#"{"user_info": {"verified_jwt": {"metadata": "p", "username_claim": "sub", "client_id_claim": "azp"}, "claimed_jwt": {"location": "h:x-jwt", "username_claim": "sub", "client_id_claim": "azp"}, "username_header": "x-user", "client_id_header": "x-client"}}"#;

/// The gateway vouches for the header.
const VOUCHED: &str = r#"{"user_info": {"claimed_jwt": {"location": "h:x-jwt", "username_claim": "sub"}, "username_header": "x-user", "header_provenance": "verified"}}"#;

/// Who is named, and by whose word.
fn named(credentials: &[Credential<'_>]) -> Vec<(String, Provenance)> {
    let names = credentials.iter();
    names
        .map(|found| (found.value.to_string(), found.provenance))
        .collect()
}

fn half(lines: &[(&[u8], &[u8])], verified: Verified<'_>) -> Vec<u8> {
    half_by(ALL, lines, verified)
}

fn half_by(document: &str, lines: &[(&[u8], &[u8])], verified: Verified<'_>) -> Vec<u8> {
    let config = Config::parse(document.as_bytes()).unwrap();
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    let seen = SeenRequest {
        headers: &headers,
        source_address: None,
        protocol: None,
        verified,
        tls: None,
    };
    let client = Client {
        address: None,
        port: None,
    };
    let mut out = Vec::new();
    write_request_half(&mut out, &seen, client, &config);
    out
}

#[test]
fn a_verified_token_goes_before_a_token_and_a_token_before_a_header_and_every_name_is_an_identifier()
 {
    let lines: [(&[u8], &[u8]); 3] = [
        (b"x-user", b"cleo"),
        (b"x-client", b"other"),
        (b"x-jwt", BERT.as_bytes()),
    ];
    let verified = Verified {
        username: Some(b"anna"),
        client_id: Some(b"web"),
    };
    let by = |lines, verified| {
        let half = half(lines, verified);
        let body = body_text(&half).into_owned();
        let read = read_request(&body).unwrap();
        let names = named(&read.credentials);
        (read.usernames.concat(), read.client_ids.concat(), names)
    };
    let of = |name: &str, provenance| (name.to_owned(), provenance);
    let (cleo, bert) = (
        of("cleo", Provenance::Claimed),
        of("bert", Provenance::Claimed),
    );
    assert_eq!(
        by(&lines, verified),
        (
            "anna".to_owned(),
            "web".to_owned(),
            vec![cleo.clone(), of("anna", Provenance::Verified), bert.clone()]
        )
    );
    assert_eq!(
        by(&lines, Verified::default()),
        (
            "bert".to_owned(),
            "app".to_owned(),
            vec![cleo.clone(), bert]
        )
    );
    assert_eq!(
        by(&lines[..2], Verified::default()),
        ("cleo".to_owned(), "other".to_owned(), vec![cleo])
    );
}

#[test]
fn a_header_that_the_gateway_vouches_for_is_verified_while_it_is_the_only_one_of_its_name() {
    let names = |lines: &[(&[u8], &[u8])]| {
        let half = half_by(VOUCHED, lines, Verified::default());
        let body = body_text(&half).into_owned();
        let read = read_request(&body).unwrap();
        (read.usernames.concat(), named(&read.credentials))
    };
    let anna: (&[u8], &[u8]) = (b"X-User", b"anna");
    let victim: (&[u8], &[u8]) = (b"x-user", b"cleo");
    let spelled: (&[u8], &[u8]) = (b"x_user", b"cleo");
    let of = |name: &str, provenance| (name.to_owned(), provenance);
    let bert = of("bert", Provenance::Claimed);
    assert_eq!(
        names(&[anna, (b"x-jwt", BERT.as_bytes())]),
        (
            "anna".to_owned(),
            vec![of("anna", Provenance::Verified), bert.clone()]
        )
    );
    for doubtful in [victim, spelled] {
        let claimed = vec![
            of("anna", Provenance::Claimed),
            of("cleo", Provenance::Claimed),
        ];
        assert_eq!(names(&[anna, doubtful]).1, claimed);
    }
    assert_eq!(
        names(&[spelled, (b"x-jwt", BERT.as_bytes())]),
        (
            "bert".to_owned(),
            vec![of("cleo", Provenance::Claimed), bert]
        )
    );
    assert_eq!(names(&[(b"x-user", b"")]).1, []);
}

#[test]
fn a_verified_number_is_not_taken_for_a_name() {
    let number = 7.0_f64.to_le_bytes();
    let verified = Verified {
        username: Some(&number),
        client_id: Some(b""),
    };
    let half = half(&[(b":path", b"/")], verified);
    let body = body_text(&half);
    let read = read_request(&body).unwrap();
    assert!(read.usernames.is_empty() && read.client_ids.is_empty() && read.credentials.is_empty());
}

proptest! {
    #[test]
    fn hostile_tokens_and_claims_are_told_readably(
        token in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[A-Za-z0-9_.=-]{0,60}".prop_map(String::into_bytes), "(\\.|e30|eyJzdWIiOiJiZXJ0IiwiYXpwIjoiYXBwIn0|eyJzdWIiOltbXV19|,| |Bearer ){0,9}".prop_map(String::into_bytes)],
        username in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let verified = Verified { username: Some(&username), client_id: Some(&token) };
        let half = half(&[(b"x-jwt", &token), (b"x-jwt", &username)], verified);
        prop_assert!(read_request(&body_text(&half)).is_ok());
    }
}
