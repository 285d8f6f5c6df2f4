//! Values for the list; random operations against a naive model are in `tests/list_model.rs`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::*;
use crate::credential::{CredentialKey, KeyId};

const NOW: UnixMillis = UnixMillis(1_000);

fn api(name: &str) -> ApiId {
    ApiId::parse(name).unwrap()
}

fn group(name: &str) -> ApiGroup {
    ApiGroup::parse(name).unwrap()
}

fn network(text: &str) -> ListedIdentifier {
    ListedIdentifier::Network(Network::parse(text).unwrap())
}

fn entry(scope: &str, source: Source, expires: Option<u64>, reason: &str) -> Entry {
    Entry {
        scope: Scope::parse(scope).unwrap(),
        expires: expires.map(UnixMillis),
        source,
        reason: reason.into(),
        added: UnixMillis(0),
    }
}

fn list(entries: &[(&str, Entry)]) -> IdentifierList {
    let mut list = IdentifierList::default();
    for (text, entry) in entries {
        list.insert(network(text), entry.clone());
    }
    list
}

/// The reason of the entry that lists `address` for API `shop` of group `retail`, with its network.
fn found(list: &IdentifierList, address: &str, now: UnixMillis) -> Option<String> {
    let address = ClientAddress::parse(address).unwrap();
    let (network, entry) =
        list.look_up_address(address, &api("shop"), Some(&group("retail")), now)?;
    Some(format!("{network} {}", entry.reason))
}

fn check(list: &IdentifierList, address: &str, expect: Option<&str>) {
    assert_eq!(found(list, address, NOW).as_deref(), expect, "{address}");
}

#[test]
fn lists_a_client_until_its_entry_expires() {
    let list = list(&[(
        "203.0.113.7",
        entry("all", Source::Manual, Some(2_000), "a"),
    )]);
    assert!(found(&list, "203.0.113.7", UnixMillis(1_999)).is_some());
    assert!(found(&list, "203.0.113.7", UnixMillis(2_000)).is_none());
    check(&list, "203.0.113.8", None);
}

#[test]
fn an_empty_list_matches_nobody() {
    let list = IdentifierList::default();
    check(&list, "203.0.113.7", None);
    check(&list, "::", None);
    assert!(list.is_empty());
}

#[test]
fn the_most_specific_network_with_a_live_entry_for_the_api_wins() {
    let list = list(&[
        ("0.0.0.0/0", entry("all", Source::File, None, "world")),
        (
            "203.0.113.0/24",
            entry("api:shop", Source::File, Some(5_000), "block"),
        ),
        (
            "203.0.113.7",
            entry("api:other", Source::File, None, "elsewhere"),
        ),
        (
            "203.0.113.8",
            entry("all", Source::File, Some(900), "expired"),
        ),
        (
            "203.0.113.9",
            entry("group:retail", Source::File, Some(1_100), "host"),
        ),
        (
            "2001:db8::/64",
            entry("all", Source::Engine, None, "subscriber"),
        ),
    ]);
    check(&list, "203.0.113.7", Some("203.0.113.0/24 block"));
    check(&list, "203.0.113.8", Some("203.0.113.0/24 block"));
    check(&list, "203.0.113.9", Some("203.0.113.9 host"));
    check(&list, "198.51.100.1", Some("0.0.0.0/0 world"));
    check(&list, "2001:db8::42", Some("2001:db8::/64 subscriber"));
    check(&list, "2001:db8:0:1::42", None);
}

#[test]
fn among_the_entries_of_one_identifier_the_longest_wins() {
    let mut list = list(&[
        (
            "203.0.113.7",
            entry("all", Source::Engine, Some(3_000), "short"),
        ),
        (
            "203.0.113.7",
            entry("api:shop", Source::File, Some(9_000), "long"),
        ),
        (
            "203.0.113.7",
            entry("api:other", Source::File, None, "elsewhere"),
        ),
    ]);
    check(&list, "203.0.113.7", Some("203.0.113.7 long"));
    list.insert(
        network("203.0.113.7"),
        entry(
            "group:retail",
            Source::RealTime(Rule::Decoy),
            None,
            "for good",
        ),
    );
    check(&list, "203.0.113.7", Some("203.0.113.7 for good"));
    list.insert(
        network("203.0.113.7"),
        entry("all", Source::Manual, None, "first of equals"),
    );
    check(&list, "203.0.113.7", Some("203.0.113.7 first of equals"));
}

#[test]
fn the_same_scope_and_source_replaces_and_another_one_adds() {
    let mut list = list(&[("203.0.113.7", entry("all", Source::Engine, None, "old"))]);
    let replaced = list.insert(
        network("203.0.113.7"),
        entry("all", Source::Engine, Some(5_000), "new"),
    );
    assert_eq!(
        replaced.map(|entry| entry.reason.to_string()).as_deref(),
        Some("old")
    );
    assert_eq!(list.len(), 1);
    assert_eq!(
        list.insert(
            network("203.0.113.7"),
            entry("all", Source::Manual, None, "more")
        ),
        None
    );
    assert_eq!(list.len(), 2);
}

#[test]
fn a_scope_keeps_an_entry_to_its_apis() {
    let listed = list(&[
        ("203.0.113.1", entry("api:other", Source::Manual, None, "a")),
        (
            "203.0.113.2",
            entry("group:other", Source::Manual, None, "b"),
        ),
        (
            "203.0.113.3",
            entry("group:retail", Source::Manual, None, "c"),
        ),
    ]);
    check(&listed, "203.0.113.1", None);
    check(&listed, "203.0.113.2", None);
    check(&listed, "203.0.113.3", Some("203.0.113.3 c"));
    let client = ClientAddress::parse("203.0.113.3").unwrap();
    assert!(
        listed
            .look_up_address(client, &api("shop"), None, NOW)
            .is_none(),
        "an API without a group is in no group"
    );
}

#[test]
fn removes_exactly_the_entries_that_were_asked_for() {
    let whole = list(&[
        ("203.0.113.7", entry("all", Source::Manual, None, "")),
        ("203.0.113.7", entry("all", Source::Engine, None, "")),
        ("203.0.113.7", entry("api:shop", Source::Engine, None, "")),
        ("203.0.113.8", entry("all", Source::Engine, None, "")),
    ]);
    for (which, removed) in [
        (RemoveWhich::Every, 3),
        (RemoveWhich::OfScope(Scope::All), 2),
        (RemoveWhich::OfSource(Source::Engine), 2),
        (RemoveWhich::Exactly(Scope::All, Source::Engine), 1),
        (RemoveWhich::OfSource(Source::File), 0),
    ] {
        let mut list = whole.clone();
        assert_eq!(
            list.remove(&network("203.0.113.7"), &which),
            removed,
            "{which:?}"
        );
        assert_eq!(list.len(), 4 - removed, "{which:?}");
        check(&list, "203.0.113.8", Some("203.0.113.8 "));
    }
    assert_eq!(whole.len(), 4);
}

#[test]
fn clearing_a_source_leaves_the_others() {
    let mut list = list(&[
        ("203.0.113.7", entry("all", Source::Manual, None, "kept")),
        ("203.0.113.7", entry("all", Source::File, None, "")),
        ("203.0.113.8", entry("all", Source::File, None, "")),
    ]);
    assert_eq!(list.clear(Sources::Only(Source::File)), 2);
    assert_eq!(list.len(), 1);
    check(&list, "203.0.113.7", Some("203.0.113.7 kept"));
    check(&list, "203.0.113.8", None);
}

#[test]
fn an_expired_entry_counts_until_it_is_purged() {
    let mut list = list(&[
        ("203.0.113.7", entry("all", Source::File, Some(900), "")),
        ("203.0.113.8", entry("all", Source::File, Some(1_001), "")),
    ]);
    assert_eq!(list.len(), 2);
    let one = Purged {
        entries: 1,
        rest: Rest::Done,
    };
    assert_eq!(list.purge_expired(NOW, 8), one);
    assert_eq!(list.len(), 1);
}

#[test]
fn a_credential_is_listed_by_kind_and_id() {
    let key = CredentialKey::from_bytes(KeyId(1), [9; 32]);
    let id = key.id_of(CredentialKind::Token, "", b"secret");
    let mut list = IdentifierList::default();
    list.insert(
        ListedIdentifier::Credential {
            kind: CredentialKind::Token,
            id,
        },
        entry("api:shop", Source::Engine, Some(2_000), "stolen"),
    );
    let look_up = |kind, api_name, now| {
        list.look_up_credential(kind, &id, &api(api_name), None, now)
            .is_some()
    };
    assert!(look_up(CredentialKind::Token, "shop", NOW));
    assert!(!look_up(CredentialKind::ApiKey, "shop", NOW));
    assert!(!look_up(CredentialKind::Token, "other", NOW));
    assert!(!look_up(CredentialKind::Token, "shop", UnixMillis(2_000)));
}

#[test]
fn a_change_to_a_clone_leaves_the_original() {
    let original = list(&[
        ("203.0.113.7", entry("all", Source::File, None, "a")),
        ("203.0.113.0/24", entry("all", Source::File, None, "b")),
    ]);
    let mut changed = original.clone();
    changed.remove(&network("203.0.113.7"), &RemoveWhich::Every);
    changed.insert(
        network("198.51.100.1"),
        entry("all", Source::Manual, None, "c"),
    );
    check(&changed, "203.0.113.7", Some("203.0.113.0/24 b"));
    check(&changed, "198.51.100.1", Some("198.51.100.1 c"));
    assert_eq!(changed.len(), 2);
    check(&original, "203.0.113.7", Some("203.0.113.7 a"));
    check(&original, "198.51.100.1", None);
}

#[test]
fn a_purge_goes_in_steps_and_says_when_it_is_done() {
    let mut list = IdentifierList::default();
    for n in 0..2000_u32 {
        let expires = (n % 2 == 0).then_some(900);
        let address = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(n)));
        let identifier = ListedIdentifier::Network(Network::of(address));
        list.insert(identifier, entry("all", Source::Manual, expires, "same"));
    }
    let untouched = list.clone();
    let mut steps = 0;
    let mut gone = 0;
    loop {
        let purged = list.purge_expired(NOW, 100);
        steps += 1;
        gone += purged.entries;
        assert!(steps < 100, "it ends");
        if purged.rest == Rest::Done {
            break;
        }
    }
    assert!(steps > 5, "{steps} steps");
    assert_eq!((gone, list.len(), untouched.len()), (1000, 1000, 2000));
    assert!(
        list.iter()
            .all(|(_, entry)| entry.expires.is_none() && entry.reason == "same")
    );
}

#[test]
fn the_blocks_of_a_list_have_each_entry_once_and_come_in_the_same_order_each_time() {
    let key = CredentialKey::from_bytes(KeyId(1), [9; 32]);
    let mut list = IdentifierList::default();
    for n in 0..2_000_u32 {
        let (kind, id) = (CredentialKind::Cookie, n.to_be_bytes());
        let id = key.id_of(kind, "", &id);
        let v6 = Network::v6(u128::from(n) << 64, 64);
        let v4 = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(n)));
        for identifier in [
            ListedIdentifier::Network(v4.prefixed(32)),
            ListedIdentifier::Network(v6),
            ListedIdentifier::Credential { kind, id },
        ] {
            list.insert(identifier, entry("all", Source::Manual, None, ""));
        }
    }
    let blocks = list.blocks().count();
    assert!(blocks > 100, "{blocks}");
    // One by one, as whoever comes back for the next one finds them.
    let one_by_one = (0..blocks).filter_map(|at| list.blocks().nth(at));
    let found: Vec<_> = one_by_one.flat_map(Block::entries).collect();
    let distinct: BTreeSet<_> = found.iter().map(|(identifier, _)| *identifier).collect();
    assert_eq!((found.len(), distinct.len()), (6_000, 6_000));
    assert!(found.into_iter().eq(list.iter()));
}

#[test]
fn credentials_are_counted_by_kind() {
    let key = CredentialKey::from_bytes(KeyId(1), [9; 32]);
    let mut list = IdentifierList::default();
    let kind = CredentialKind::Token;
    let id = key.id_of(kind, "", b"secret");
    let identifier = ListedIdentifier::Credential { kind, id };
    list.insert(identifier, entry("all", Source::Manual, None, ""));
    list.insert(identifier, entry("api:shop", Source::Manual, None, ""));
    let counts =
        |list: &IdentifierList| CredentialKind::ALL.map(|kind| list.credentials_listed(kind));
    assert_eq!(counts(&list), [0, 2, 0, 0]);
    assert_eq!(list.remove(&identifier, &RemoveWhich::Every), 2);
    assert_eq!(counts(&list), [0, 0, 0, 0]);
}

#[test]
fn an_ipv6_network_over_the_mapped_range_comes_back_as_itself() {
    let listed = list(&[("::/80", entry("all", Source::Manual, None, "low"))]);
    let shown: Vec<String> = listed
        .iter_sorted()
        .map(|(identifier, _)| identifier.to_string())
        .collect();
    assert_eq!(shown, ["::/80"]);
    check(&listed, "::1", Some("::/80 low"));
    check(&listed, "::ffff:10.0.0.1", None);
}

#[test]
fn shows_entries_in_one_order_whatever_the_history() {
    let key = CredentialKey::from_bytes(KeyId(1), [9; 32]);
    let cookie = ListedIdentifier::Credential {
        kind: CredentialKind::Cookie,
        id: key.id_of(CredentialKind::Cookie, "sid", b"1"),
    };
    let rows = [
        (cookie, entry("all", Source::Engine, None, "")),
        (
            network("2001:db8::/32"),
            entry("all", Source::File, None, ""),
        ),
        (
            network("203.0.113.7"),
            entry("api:shop", Source::Engine, None, ""),
        ),
        (
            network("203.0.113.7"),
            entry("all", Source::Engine, None, ""),
        ),
        (
            network("203.0.113.0/24"),
            entry("all", Source::Manual, None, ""),
        ),
        (
            network("9.0.0.0/8"),
            entry("all", Source::RealTime(Rule::Decoy), None, ""),
        ),
    ];
    let show = |list: &IdentifierList| {
        list.iter_sorted()
            .map(|(identifier, entry)| format!("{identifier} {} {}", entry.scope, entry.source))
            .collect::<Vec<_>>()
    };
    let mut list = IdentifierList::default();
    let mut reversed = IdentifierList::default();
    for (row, back) in rows.iter().zip(rows.iter().rev()) {
        list.insert(row.0, row.1.clone());
        reversed.insert(back.0, back.1.clone());
    }
    let expect = [
        "9.0.0.0/8 all real_time:decoy",
        "203.0.113.0/24 all manual",
        "203.0.113.7 all engine",
        "203.0.113.7 api:shop engine",
        "2001:db8::/32 all file",
        &format!("{cookie} all engine"),
    ];
    assert_eq!(show(&list), expect);
    assert_eq!(show(&reversed), expect);
}

#[test]
fn a_plain_list_gives_its_good_lines_and_names_its_bad_ones() {
    let text = "\u{feff}# hostile\n77.90.185.20\t10\n\n  203.0.113.0/24  # block\r\n2001:db8::/32#why\nnonsense 5\n::ffff:198.51.100.1\n10.0.0.1/8\n1.2.3.4,10";
    let list = parse_plain(text);
    let networks: Vec<_> = list.networks.iter().map(ToString::to_string).collect();
    assert_eq!(
        networks,
        [
            "77.90.185.20",
            "203.0.113.0/24",
            "2001:db8::/32",
            "198.51.100.1"
        ]
    );
    let faults: Vec<_> = list.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            r#"line 6: "nonsense" is not an IP address"#,
            "line 8: 10.0.0.1/8 has bits set beyond its prefix: the network is 10.0.0.0/8",
            r#"line 9: "1.2.3.4,10" is not an IP address"#,
        ]
    );
    assert_eq!(parse_plain(""), PlainList::default());
}

#[test]
fn scopes_and_sources_are_read_back_from_their_text() {
    for text in ["all", "api:shop", "group:retail"] {
        assert_eq!(Scope::parse(text).unwrap().to_string(), text);
    }
    for bad in ["", "All", "all:", "api:", "api:a.b", "host:x"] {
        assert!(Scope::parse(bad).is_err(), "{bad:?}");
    }
    for source in Source::ALL {
        assert_eq!(Source::parse(source.as_str()), Ok(source));
    }
    assert!(Source::parse("Manual").is_err());
}
