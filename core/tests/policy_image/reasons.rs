//! Why a gateway asks, one reason at a time.

use std::sync::Arc;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, CredentialKind};
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::identity::Credentials;
use ase_core::policy_image::{
    AskReason, FingerprintBits, Judgement, LocalRequest, PolicyImage, Settings, build,
};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;

use super::world::{Key, key_ring};

const API: &str = r#"{"api_metadata": {"hostname": "*", "url": "/shop", "cookie": "sid", "apikey_header": "x-api-key"}}"#;

/// An image of one API and one listed API key, `s3cret`.
fn image() -> PolicyImage {
    let keys = key_ring((Key(2, 2), None));
    let (api, _) = ApiDefinition::from_json(ApiId::parse("shop").unwrap(), API.as_bytes()).unwrap();
    let mut snapshot = Snapshot {
        registry: Arc::new(Registry::compile([api]).unwrap()),
        ..Snapshot::default()
    };
    let kind = CredentialKind::ApiKey;
    let id = keys.current().id_of(kind, "", b"s3cret");
    let entry = Entry::everywhere(Source::Manual, "", UnixMillis(0));
    snapshot
        .attack
        .insert(ListedIdentifier::Credential { kind, id }, entry);
    let settings = Settings::new(&keys, FingerprintBits::Sixteen, 1, [3; 16]);
    PolicyImage::parse(build(&snapshot, &settings).unwrap()).unwrap()
}

fn check(lines: &[(&str, &str)], keys: &[CredentialKey], expected: Judgement) {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let local = LocalRequest {
        client: ClientAddress::parse("192.0.2.1").ok(),
        headers: &headers,
        url: b"/shop/cart",
        host: Some(b"h"),
        credentials: &Credentials::default(),
        username: None,
    };
    assert_eq!(image().judge(&local, keys), expected, "{lines:?}");
    let nameless = LocalRequest {
        host: None,
        ..local
    };
    let undecidable = Judgement::Ask(AskReason::Undecidable);
    assert_eq!(image().judge(&nameless, keys), undecidable);
}

#[test]
fn a_credential_is_looked_up_by_a_gateway_that_has_the_key_and_asked_about_by_others() {
    let kind = CredentialKind::ApiKey;
    let key = || Key(2, 2).make();
    let no_key = Judgement::Ask(AskReason::NoKey(kind));
    let listed = Judgement::Ask(AskReason::ListedCredential(kind));
    check(&[], &[], Judgement::Pass);
    check(&[("x-api-key", "mine")], &[], no_key);
    check(&[("x-api-key", "mine")], &[Key(1, 1).make()], no_key);
    check(&[("x-api-key", "mine")], &[Key(2, 7).make()], no_key);
    check(&[("x-api-key", "mine")], &[key()], Judgement::Pass);
    check(
        &[("x-api-key", "mine")],
        &[Key(1, 1).make(), key()],
        Judgement::Pass,
    );
    check(&[("X_Api_Key", "mine, s3cret")], &[key()], listed);
    // No cookie is listed, so nobody needs a key to tell.
    check(&[("cookie", "sid=s3cret")], &[], Judgement::Pass);
}

#[test]
fn more_values_than_are_kept_are_asked_about_since_ase_may_be_told_of_fewer() {
    let mut lines = vec![("X_Api_Key", "mine"); 140];
    for (number, line) in lines.iter_mut().enumerate() {
        line.1 = ["a", "b", "c", "d", "e"][number % 5];
    }
    // Equal values are kept once.
    check(&lines, &[Key(2, 2).make()], Judgement::Pass);
    let names: Vec<String> = (0..140).map(|number| format!("v{number}")).collect();
    let mut lines: Vec<(&str, &str)> = names
        .iter()
        .map(|name| ("X_Api_Key", name.as_str()))
        .collect();
    lines.insert(70, ("x-api-key", "s3cret"));
    let undecidable = Judgement::Ask(AskReason::Undecidable);
    check(&lines, &[Key(2, 2).make()], undecidable);
}
