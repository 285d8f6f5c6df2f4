//! The identifier list against a naive model (a vector, scanned), under random operations and clock steps; and addresses under arbitrary bytes.
//!
//! The universe is small on purpose, so that networks nest, entries collide and listings expire all the time.
#![expect(clippy::unwrap_used, reason = "test code outside of a test function")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;

use ase_core::address::{
    ClientAddress, Ipv6Width, Network, NetworkError, PeerAddress, forwarded_for,
};
use ase_core::api_id::{ApiGroup, ApiId};
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId};
use ase_core::identifier_list::{
    Entry, IdentifierList, ListedIdentifier, Purged, RemoveWhich, Rest, Scope, Source, Sources,
    parse_plain,
};
use ase_core::time::UnixMillis;
use proptest::prelude::*;
use proptest::sample::select;

/// The model: every entry, in no order.
#[derive(Clone, Default)]
struct Model(Vec<(ListedIdentifier, Entry)>);

#[derive(Clone, Debug)]
enum Operation {
    Insert(ListedIdentifier, Entry),
    Remove(ListedIdentifier, RemoveWhich),
    Clear(Sources),
    Purge,
    /// Keep a snapshot of the list as it is; it must never change.
    Share,
    /// Forget the oldest snapshot.
    Unshare,
    Step(u64),
}

impl Model {
    fn insert(&mut self, identifier: ListedIdentifier, entry: Entry) -> Option<Entry> {
        let same = |row: &(ListedIdentifier, Entry)| {
            row.0 == identifier && row.1.scope == entry.scope && row.1.source == entry.source
        };
        let replaced = self
            .0
            .iter()
            .position(same)
            .map(|at| self.0.swap_remove(at).1);
        self.0.push((identifier, entry));
        replaced
    }

    fn retain(&mut self, keep: impl Fn(&ListedIdentifier, &Entry) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|(identifier, entry)| keep(identifier, entry));
        before - self.0.len()
    }

    fn look_up(
        &self,
        names: impl Fn(&ListedIdentifier) -> bool,
        api: &ApiId,
        group: Option<&ApiGroup>,
        now: UnixMillis,
    ) -> Option<&(ListedIdentifier, Entry)> {
        let in_scope = |scope: &Scope| match scope {
            Scope::All => true,
            Scope::Api(own) => own == api,
            Scope::Group(own) => Some(own) == group,
        };
        let live = self.0.iter().filter(|row| {
            names(&row.0) && in_scope(&row.1.scope) && row.1.expires.is_none_or(|at| now < at)
        });
        live.min_by_key(|(identifier, entry)| {
            let prefix = match identifier {
                ListedIdentifier::Network(network) => network.prefix(),
                ListedIdentifier::Credential { .. } => 0,
            };
            let expires = entry.expires.unwrap_or(UnixMillis(u64::MAX));
            (
                std::cmp::Reverse(prefix),
                std::cmp::Reverse(expires),
                entry.scope.clone(),
                entry.source,
            )
        })
    }
}

fn addresses() -> Vec<ClientAddress> {
    let texts = [
        "10.0.0.0",
        "10.0.0.1",
        "10.0.1.1",
        "10.1.0.1",
        "11.0.0.1",
        "::",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
        "2001:db9::1",
    ];
    texts
        .iter()
        .map(|text| ClientAddress::parse(text).unwrap())
        .collect()
}

fn credentials() -> Vec<(CredentialKind, CredentialId)> {
    let key = CredentialKey::from_bytes(KeyId(1), [3; 32]);
    let pair = |kind| (kind, key.id_of(kind, "name", b"value"));
    vec![
        pair(CredentialKind::Cookie),
        pair(CredentialKind::Token),
        (CredentialKind::ApiKey, pair(CredentialKind::Token).1),
    ]
}

fn calls() -> Vec<(ApiId, Option<ApiGroup>)> {
    let group = ApiGroup::parse("g").unwrap();
    vec![
        (ApiId::parse("a").unwrap(), None),
        (ApiId::parse("b").unwrap(), Some(group)),
    ]
}

fn identifiers() -> impl Strategy<Value = ListedIdentifier> {
    let network = (
        select(addresses()),
        select(vec![0_u8, 1, 8, 16, 24, 31, 32, 64, 127, 128]),
    );
    prop_oneof![
        4 => network.prop_map(|(address, prefix)| ListedIdentifier::Network(address.prefixed(prefix))),
        1 => select(credentials()).prop_map(|(kind, id)| ListedIdentifier::Credential { kind, id }),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    select(
        ["all", "api:a", "api:b", "group:g", "group:h"]
            .map(|text| Scope::parse(text).unwrap())
            .to_vec(),
    )
}

fn sources() -> impl Strategy<Value = Source> {
    select(Source::ALL.to_vec())
}

fn choices() -> impl Strategy<Value = Sources> {
    prop_oneof![
        1 => Just(Sources::RealTime),
        1 => Just(Sources::All),
        8 => sources().prop_map(Sources::Only),
    ]
}

fn entries() -> impl Strategy<Value = Entry> {
    (
        scopes(),
        proptest::option::of(0_u64..60),
        sources(),
        0_u64..1000,
    )
        .prop_map(|(scope, expires, source, number)| Entry {
            scope,
            expires: expires.map(UnixMillis),
            source,
            reason: number.to_string().into(),
            added: UnixMillis(number),
        })
}

fn operations() -> impl Strategy<Value = Operation> {
    let which = prop_oneof![
        Just(RemoveWhich::Every),
        scopes().prop_map(RemoveWhich::OfScope),
        sources().prop_map(RemoveWhich::OfSource),
        (scopes(), sources()).prop_map(|(scope, source)| RemoveWhich::Exactly(scope, source)),
    ];
    prop_oneof![
        12 => (identifiers(), entries()).prop_map(|(identifier, entry)| Operation::Insert(identifier, entry)),
        6 => (identifiers(), which).prop_map(|(identifier, which)| Operation::Remove(identifier, which)),
        1 => choices().prop_map(Operation::Clear),
        1 => Just(Operation::Purge),
        2 => Just(Operation::Share),
        2 => Just(Operation::Unshare),
        3 => (0_u64..5).prop_map(Operation::Step),
    ]
}

fn check(list: &IdentifierList, model: &Model, now: UnixMillis) -> Result<(), TestCaseError> {
    for (api, group) in calls() {
        let group = group.as_ref();
        for address in addresses() {
            let names = |identifier: &ListedIdentifier| matches!(identifier, ListedIdentifier::Network(network) if network.contains(address));
            let got = list
                .look_up_address(address, &api, group, now)
                .map(|(network, entry)| (ListedIdentifier::Network(network), entry.to_entry()));
            let expect = model
                .look_up(names, &api, group, now)
                .map(|(identifier, entry)| (*identifier, entry.clone()));
            prop_assert_eq!(got, expect, "{} for {}", address, api);
        }
        for (kind, id) in credentials() {
            let names = |identifier: &ListedIdentifier| {
                *identifier == ListedIdentifier::Credential { kind, id }
            };
            let expect = model
                .look_up(names, &api, group, now)
                .map(|(_, entry)| entry);
            prop_assert_eq!(
                list.look_up_credential(kind, &id, &api, group, now),
                expect.map(Entry::as_ref),
                "{} for {}",
                kind,
                api
            );
        }
    }
    let mut rows: Vec<_> = model
        .0
        .iter()
        .map(|(identifier, entry)| (*identifier, entry))
        .collect();
    rows.sort_by_key(|(identifier, entry)| (*identifier, entry.scope.clone(), entry.source));
    prop_assert_eq!(list.len(), rows.len());
    let held: Vec<_> = list.iter_sorted().collect();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(identifier, entry)| (identifier, entry.as_ref()))
        .collect();
    prop_assert_eq!(list.iter().count(), held.len());
    prop_assert_eq!(held, rows);
    Ok(())
}

proptest! {
    #[test]
    fn answers_as_a_scan_over_all_entries_would(operations in prop::collection::vec(operations(), 1..60)) {
        let mut list = IdentifierList::default();
        let mut model = Model::default();
        let mut snapshots = Vec::new();
        let mut now = UnixMillis(0);
        for operation in operations {
            match operation {
                Operation::Insert(identifier, entry) => {
                    prop_assert_eq!(list.insert(identifier, entry.clone()), model.insert(identifier, entry));
                }
                Operation::Remove(identifier, which) => {
                    let selected = |entry: &Entry| match &which {
                        RemoveWhich::Every => true,
                        RemoveWhich::OfScope(scope) => entry.scope == *scope,
                        RemoveWhich::OfSource(source) => entry.source == *source,
                        RemoveWhich::Exactly(scope, source) => entry.scope == *scope && entry.source == *source,
                    };
                    prop_assert_eq!(list.remove(&identifier, &which), model.retain(|held, entry| *held != identifier || !selected(entry)));
                }
                Operation::Clear(choice) => prop_assert_eq!(list.clear(choice), model.retain(|_, entry| !choice.include(entry.source))),
                Operation::Purge => {
                    let entries = model.retain(|_, entry| entry.expires.is_none_or(|at| now < at));
                    prop_assert_eq!(list.purge_expired(now, usize::MAX), Purged { entries, rest: Rest::Done });
                }
                Operation::Share => snapshots.push((list.clone(), model.clone())),
                Operation::Unshare if snapshots.is_empty() => {}
                Operation::Unshare => drop(snapshots.remove(0)),
                Operation::Step(millis) => now = UnixMillis(now.0 + millis),
            }
            check(&list, &model, now)?;
        }
        for (list, model) in &snapshots {
            check(list, model, now)?;
        }
    }

    #[test]
    fn an_address_reads_back_from_every_spelling_as_itself(bits: u32, wide: u128, port: u16) {
        let v4 = Ipv4Addr::from_bits(bits);
        let expect = ClientAddress::from(IpAddr::V4(v4));
        for text in [v4.to_string(), format!("::ffff:{v4}"), format!(" [::ffff:{v4}]\t"), format!("{:?}", v4.to_ipv6_mapped())] {
            prop_assert_eq!(ClientAddress::parse(&text), Ok(expect), "{}", text);
        }
        for ip in [IpAddr::V4(v4), IpAddr::V6(v4.to_ipv6_mapped()), IpAddr::V6(Ipv6Addr::from_bits(wide))] {
            let peer = PeerAddress::parse(&std::net::SocketAddr::new(ip, port).to_string()).unwrap();
            prop_assert_eq!(peer.address, ClientAddress::from(ip));
            prop_assert_eq!(peer.port.map_or(0, |port| port.get()), port);
            prop_assert_eq!(PeerAddress::parse(&peer.to_string()), Ok(peer));
            prop_assert_eq!(ClientAddress::parse(&peer.address.to_string()), Ok(peer.address));
        }
    }

    #[test]
    fn a_network_reads_back_and_holds_exactly_the_addresses_with_its_bits(wide: u128, other: u128, is_v4: bool, prefix in 0_u8..=128, width in 1_u8..=128) {
        let ip = |bits: u128| if is_v4 { IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32)) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) };
        let address = ClientAddress::from(ip(wide));
        let network = address.prefixed(prefix);
        prop_assert!(network.contains(address));
        prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        prop_assert_eq!(Network::parse(&format!("{}/{}", network.first(), network.prefix())), Ok(network));
        let near = ClientAddress::from(ip(wide ^ other.checked_shr(u32::from(prefix)).unwrap_or(0)));
        let far = ClientAddress::from(ip(other));
        let agree = |one: ClientAddress| one.ip().is_ipv4() == address.ip().is_ipv4() && one.prefixed(prefix) == network;
        prop_assert!(network.contains(near) || near.ip().is_ipv4() != address.ip().is_ipv4());
        prop_assert_eq!(network.contains(far), agree(far));
        match Network::parse(&format!("{address}/{}", network.prefix())) {
            Ok(exact) => prop_assert_eq!(exact, network),
            Err(NetworkError::HostBits { meant, .. }) => prop_assert_eq!(meant, network),
            Err(error) => prop_assert!(false, "{}", error),
        }
        let client = address.network(Ipv6Width::new(width).unwrap());
        prop_assert_eq!(client.prefix(), if address.ip().is_ipv4() { 32 } else { width });
    }

    #[test]
    fn the_forwarded_client_is_the_entry_that_a_split_from_the_right_finds(
        values in prop::collection::vec(prop::collection::vec(prop_oneof!["[0-9]{1,3}(\\.[0-9]{1,3}){3}", "unknown| *|_x|\\[2001:db8::1\\]:80"], 0..5), 0..4),
        hops in 1_u8..8,
    ) {
        let values: Vec<String> = values.into_iter().map(|entries| entries.join(",")).collect();
        let joined = values.join(",");
        let expect = joined.rsplit(',').nth(usize::from(hops) - 1).and_then(|entry| PeerAddress::parse(entry).ok());
        let got = forwarded_for(values.iter().map(String::as_bytes), NonZeroU8::new(hops).unwrap());
        prop_assert_eq!(got.ok(), expect.map(|peer| peer.address));
    }

    #[test]
    fn any_bytes_are_an_address_or_an_error(bytes: Vec<u8>, text in "[0-9a-f:.,/%\\[\\] ]{0,50}", hops in 1_u8..) {
        for input in [bytes.as_slice(), text.as_bytes()] {
            let hops = NonZeroU8::new(hops).unwrap();
            prop_assert!(forwarded_for([input].into_iter(), hops).is_ok_or_says_why());
            let input = String::from_utf8_lossy(input);
            prop_assert!(ClientAddress::parse(&input).is_ok_or_says_why());
            prop_assert!(PeerAddress::parse(&input).is_ok_or_says_why());
            prop_assert!(Network::parse(&input).is_ok_or_says_why());
            prop_assert!(CredentialId::parse(&input).is_ok_or_says_why());
            let plain = parse_plain(&input);
            prop_assert!(plain.networks.len() + plain.faults.len() <= input.lines().count());
        }
    }
}

/// A result that can be shown to people whichever way it went.
trait SaysWhy {
    fn is_ok_or_says_why(&self) -> bool;
}

impl<T, E: std::fmt::Display> SaysWhy for Result<T, E> {
    fn is_ok_or_says_why(&self) -> bool {
        self.as_ref()
            .err()
            .is_none_or(|error| !error.to_string().is_empty() && error.to_string().len() < 1000)
    }
}
