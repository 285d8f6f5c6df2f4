//! Verdicts over a small world of APIs and lists.

use super::*;
use crate::address::{ClientAddress, Network};
use crate::api_id::{ApiGroup, ApiId};
use crate::credential::{CredentialKey, CredentialKind, KeyId};
use crate::identifier_list::{Entry, Scope};
use crate::identity::Provenance;
use crate::metadata::{RequestMetadata, SourceIp};
use crate::wire::read_request;

const NOW: UnixMillis = UnixMillis(1_000_000);

#[test]
fn blocks_a_listed_address_until_its_listing_expires() {
    let mut world = World::new();
    world.attack_network("203.0.113.0/24", Scope::All, Some(UnixMillis(NOW.0 + 1)));
    assert_eq!(world.check("/shop/a", ""), Verdict::Blocked);
    assert_eq!(
        world.check_at("/shop/a", "", UnixMillis(NOW.0 + 1)),
        Verdict::NotListed
    );
}

#[test]
fn an_api_with_blocking_off_only_reports() {
    let mut world = World::new();
    world.attack_network("203.0.113.7", Scope::All, None);
    assert_eq!(world.check("/catalog", ""), Verdict::WouldBlock);
}

#[test]
fn the_allow_list_wins_over_the_attack_list_whatever_the_identifier() {
    let mut world = World::new();
    world.attack_network("203.0.113.7", Scope::All, None);
    world.allow_credential(CredentialKind::Cookie, "S", "good");
    assert_eq!(world.check("/shop", ""), Verdict::Blocked);
    assert_eq!(
        world.check("/shop", r#",{"cookie":"S=good"}"#),
        Verdict::AllowListed
    );
}

#[test]
fn any_listed_occurrence_of_a_credential_blocks() {
    let mut world = World::new();
    world.attack_credential(CredentialKind::Cookie, "S", "bad");
    world.attack_credential(CredentialKind::ApiKey, "", "key1");
    world.attack_credential(CredentialKind::Token, "", "tok");
    for headers in [
        r#",{"cookie":"S=fine; S=bad"}"#,
        r#",{"cookie":"S=fine"},{"Cookie":"S=bad"}"#,
        r#",{"X-Api-Key":"key1"}"#,
        r#",{"Authorization":"bearer tok"}"#,
    ] {
        assert_eq!(world.check("/shop", headers), Verdict::Blocked, "{headers}");
    }
    assert_eq!(world.check("/shop?key=key1", ""), Verdict::Blocked);
    assert_eq!(
        world.check("/shop?key=key2", r#",{"cookie":"T=bad"}"#),
        Verdict::NotListed
    );
}

#[test]
fn an_entry_for_one_api_leaves_the_others_alone() {
    let mut world = World::new();
    let shop = Scope::Api(ApiId::parse("shop").unwrap());
    world.attack_network("203.0.113.7", shop, None);
    assert_eq!(world.check("/shop", ""), Verdict::Blocked);
    assert_eq!(world.check("/pay", ""), Verdict::NotListed);
}

#[test]
fn a_variant_spelling_of_a_blocked_path_is_blocked() {
    let mut world = World::new();
    world.attack_network(
        "203.0.113.7",
        Scope::Api(ApiId::parse("shop").unwrap()),
        None,
    );
    let into = [
        "/x/../shop/a",
        "//shop",
        "/%73hop",
        "/./shop;v=1/a",
        "/shop?x=/pay",
    ];
    let out_of = [
        "/shop//../pay",
        "/shop/..%2fcatalog/1",
        "/shop/..\\\\nowhere",
        "/shop/../nowhere",
    ];
    for path in into.into_iter().chain(out_of) {
        assert_eq!(world.check(path, ""), Verdict::Blocked, "{path}");
    }
    assert_eq!(world.check("/catalog/../pay", ""), Verdict::NotListed);
}

#[test]
fn a_variant_spelling_of_a_blocked_host_is_blocked_and_a_foreign_host_is_unknown() {
    let mut world = World::new();
    world.attack_network("203.0.113.7", Scope::All, None);
    for host in [
        "only.example:000443",
        "ONLY.example..",
        "other,only.example",
    ] {
        assert_eq!(world.check_host(host, "/only"), Verdict::Blocked, "{host}");
    }
    assert_eq!(
        world.check("/only", r#",{"host":"only.example"}"#),
        Verdict::Blocked
    );
    assert_eq!(
        world.check_host("other.example", "/only"),
        Verdict::UnknownHostname
    );
}

#[test]
fn a_user_name_that_nobody_verified_opens_no_door() {
    let mut world = World::new();
    world.attack_network("203.0.113.7", Scope::All, None);
    world.allow_credential(CredentialKind::Username, "", "anna");
    let claimed = r#","user_info":[{"username":"anna"}],"client_identifiers":[{"type":"username","name":"x-user","value":"anna"}]"#;
    let verified = r#","user_info":[{"username":"anna"}]"#;
    assert_eq!(world.check_with(claimed).verdict, Verdict::Blocked);
    assert_eq!(world.check_with(verified).verdict, Verdict::AllowListed);
}

#[test]
fn a_user_name_in_an_unverified_token_is_claimed_and_blocks_when_listed() {
    let mut world = World::new();
    world.attack_credential(CredentialKind::Username, "", "eve");
    // {"sub":"eve"}, {"sub":["eve","x"]}, {"sub":7}, not base64, too few parts
    let cases = [
        ("h.eyJzdWIiOiJldmUifQ.s", Verdict::Blocked),
        ("h.eyJzdWIiOlsiZXZlIiwieCJdfQ==.s", Verdict::Blocked),
        ("h.eyJzdWIiOjd9.s", Verdict::NotListed),
        ("h.%%%.s", Verdict::NotListed),
        ("h", Verdict::NotListed),
    ];
    for (token, verdict) in cases {
        let headers = format!(r#",{{"authorization":"Bearer {token}"}}"#);
        assert_eq!(world.check("/shop", &headers), verdict, "{token}");
    }
}

#[test]
fn an_entry_for_a_group_counts_and_an_allow_listed_address_wins() {
    let mut world = World::new();
    let retail = Scope::Group(ApiGroup::parse("retail").unwrap());
    world.attack_network("203.0.113.0/24", retail, None);
    assert_eq!(world.check("/shop", ""), Verdict::Blocked);
    let address = ListedIdentifier::Network(Network::parse("203.0.113.7").unwrap());
    world
        .snapshot
        .allow
        .insert(address, entry(Scope::All, None));
    let decision = world.check_with("");
    assert_eq!(decision.verdict, Verdict::AllowListed);
    assert_eq!(
        decision.listing.map(|listing| listing.identifier),
        Some(address)
    );
}

#[test]
fn values_that_are_too_many_are_counted() {
    let cookies: Vec<String> = (0..200).map(|n| format!("S={n}")).collect();
    let body = format!(
        r#"{{"source_ip":"203.0.113.7","method":"GET","url":"/shop","headers":[{{"host":"a"}},{{"cookie":"{}"}}]}}"#,
        cookies.join(";")
    );
    let (world, metadata) = (World::new(), read_request(&body).unwrap());
    let report = RequestReport::of(&metadata).unwrap();
    let api = world.decide(&metadata, NOW).api;
    let identified = Identified::of(&report, api.as_deref(), &world.key);
    assert_eq!(identified.left_out, 72);
}

#[test]
fn an_unregistered_path_has_its_own_verdict_even_for_a_listed_client() {
    let mut world = World::new();
    world.attack_network("203.0.113.7", Scope::All, None);
    assert_eq!(world.check("/nowhere", ""), Verdict::UnknownApi);
}

#[test]
fn a_gateway_finding_counts_beside_the_definition_and_keeps_its_provenance() {
    let mut world = World::new();
    world.attack_credential(CredentialKind::Token, "", "q");
    let body = r#"{"source_ip":"203.0.113.7","method":"GET","url":"/pay","headers":[{"host":"a"}],
        "user_info":[{"username":"anna"},{"username":"eve"}],
        "client_identifiers":[{"type":"token","name":"t","in":"query","value":"q"},
                              {"type":"username","name":"x-user","in":"header","value":"anna","provenance":"claimed"}]}"#;
    let metadata = read_request(body).unwrap();
    let decision = world.decide(&metadata, NOW);
    assert_eq!(decision.verdict, Verdict::Blocked);
    let report = RequestReport::of(&metadata).unwrap();
    let identified = Identified::of(&report, decision.api.as_deref(), &world.key);
    let names: Vec<_> = identified
        .credentials
        .iter()
        .map(|c| (&*c.name, c.provenance))
        .collect();
    let expected = [
        ("t", Provenance::Claimed),
        ("x-user", Provenance::Claimed),
        ("user_info", Provenance::Verified),
    ];
    assert_eq!(names, expected);
}

struct World {
    snapshot: Snapshot,
    key: KeyRing,
}

impl World {
    fn new() -> Self {
        let api = |id: &str, host: &str, path: &str, blocking: bool| {
            let document = format!(
                r#"{{"api_metadata":{{"protocol":"http","url":"{path}","hostname":"{host}","cookie":"S","oauth2_access_token":true,
                    "apikey_qs":"key","apikey_header":"x-api-key","enable_blocking":{blocking},"group":"retail",
                    "jwt":{{"location":"h:authorization:bearer","username":"sub"}}}}}}"#
            );
            let id = ApiId::parse(id).unwrap();
            ApiDefinition::from_json(id, document.as_bytes()).unwrap().0
        };
        let apis = [
            api("shop", "*", "/shop", true),
            api("pay", "*", "/pay", true),
            api("catalog", "*", "/catalog", false),
            api("only", "only.example", "/only", true),
        ];
        Self {
            snapshot: Snapshot {
                registry: Arc::new(Registry::compile(apis).unwrap()),
                ..Snapshot::default()
            },
            key: KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None),
        }
    }

    fn attack_network(&mut self, network: &str, scope: Scope, expires: Option<UnixMillis>) {
        let identifier = ListedIdentifier::Network(Network::parse(network).unwrap());
        self.snapshot
            .attack
            .insert(identifier, entry(scope, expires));
    }

    fn attack_credential(&mut self, kind: CredentialKind, name: &str, value: &str) {
        let identifier = self.credential(kind, name, value);
        self.snapshot
            .attack
            .insert(identifier, entry(Scope::All, None));
    }

    fn allow_credential(&mut self, kind: CredentialKind, name: &str, value: &str) {
        let identifier = self.credential(kind, name, value);
        self.snapshot
            .allow
            .insert(identifier, entry(Scope::All, None));
    }

    fn credential(&self, kind: CredentialKind, name: &str, value: &str) -> ListedIdentifier {
        let id = self.key.current().id_of(kind, name, value.as_bytes());
        ListedIdentifier::Credential { kind, id }
    }

    fn check(&self, url: &str, more_headers: &str) -> Verdict {
        self.check_at(url, more_headers, NOW)
    }

    fn check_with(&self, more_members: &str) -> Decision {
        let body = format!(
            r#"{{"source_ip":"203.0.113.7","method":"GET","url":"/shop","headers":[{{"host":"a"}}]{more_members}}}"#
        );
        self.decide(&read_request(&body).unwrap(), NOW)
    }

    fn check_host(&self, host: &str, url: &str) -> Verdict {
        let body = format!(
            r#"{{"source_ip":"203.0.113.7","method":"GET","url":"{url}","headers":[{{"host":"{host}"}}]}}"#
        );
        self.decide(&read_request(&body).unwrap(), NOW).verdict
    }

    fn check_at(&self, url: &str, more_headers: &str, now: UnixMillis) -> Verdict {
        let body = format!(
            r#"{{"source_ip":"203.0.113.7","method":"GET","url":"{url}","headers":[{{"host":"a"}}{more_headers}]}}"#
        );
        let metadata = read_request(&body).unwrap();
        assert!(
            matches!(metadata.source_ip, SourceIp::Known(address) if address == ClientAddress::parse("203.0.113.7").unwrap())
        );
        self.decide(&metadata, now).verdict
    }

    fn decide(&self, metadata: &RequestMetadata<'_>, now: UnixMillis) -> Decision {
        let report = RequestReport::of(metadata).unwrap();
        decide(&report, &self.snapshot, &self.key, &NoCounts, now)
    }
}

fn entry(scope: Scope, expires: Option<UnixMillis>) -> Entry {
    Entry {
        scope,
        expires,
        source: Source::Manual,
        reason: "test".into(),
        added: UnixMillis(0),
    }
}

#[test]
fn a_credential_meets_its_entry_raw_or_hashed_and_under_both_keys_of_a_rotation() {
    let key = |id| CredentialKey::from_bytes(KeyId(id), [id; 32]);
    let old = key(1).id_of(CredentialKind::Token, "", b"stolen");
    let new = key(2).id_of(CredentialKind::Token, "", b"stolen");
    for (listed, sent, expect) in [
        (old, r#""value":"stolen""#.to_owned(), Verdict::Blocked),
        (new, r#""value":"stolen""#.to_owned(), Verdict::Blocked),
        (old, format!(r#""id":"{old}""#), Verdict::Blocked),
        (new, format!(r#""id":"{old}""#), Verdict::NotListed),
        (new, r#""value":"other""#.to_owned(), Verdict::NotListed),
        (new, r#""id":"stolen""#.to_owned(), Verdict::NotListed),
    ] {
        let mut world = World::new();
        world.key = KeyRing::new(key(2), Some(key(1)));
        let kind = CredentialKind::Token;
        let identifier = ListedIdentifier::Credential { kind, id: listed };
        world
            .snapshot
            .attack
            .insert(identifier, entry(Scope::All, None));
        let body = format!(
            r#"{{"source_ip":"203.0.113.7","method":"GET","url":"/shop","headers":[{{"host":"api.example.com"}}],
            "client_identifiers":[{{"type":"token","name":"authorization","in":"header",{sent}}}]}}"#
        );
        let verdict = world.decide(&read_request(&body).unwrap(), NOW).verdict;
        assert_eq!(verdict, expect, "{listed} {sent}");
    }
}
