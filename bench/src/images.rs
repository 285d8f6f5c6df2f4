//! Snapshots for measurements of policy images: as many entries as asked for, of addresses alone or mixed, and two hundred APIs.
//!
//! An entry is a function of its number, so that two runs measure the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::policy_image::{BuildError, FingerprintBits, Settings, build};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;

const APIS: u32 = 200;

/// The key of every credential.
#[must_use]
pub fn key() -> CredentialKey {
    CredentialKey::from_bytes(KeyId(1), [7; 32])
}

/// The image of a snapshot, with the usual settings.
///
/// # Errors
/// When there can be no such image.
pub fn built(snapshot: &Snapshot, width: FingerprintBits) -> Result<Vec<u8>, BuildError> {
    let keys = KeyRing::new(key(), None);
    build(snapshot, &Settings::new(&keys, width, 1, [9; 16]))
}

/// So many entries: half IPv4 clients, a fifth IPv6 clients, the rest credentials.
#[must_use]
pub fn mixed(entries: u32) -> Snapshot {
    let key = key();
    listing((0..entries).map(|n| identifier(n, &key)))
}

/// So many IPv4 clients.
#[must_use]
pub fn addresses(entries: u32) -> Snapshot {
    listing((0..entries).map(|n| network(v4(n))))
}

/// The same with two hundred APIs.
///
/// # Errors
/// When the APIs are wrong.
pub fn with_apis(snapshot: Snapshot) -> Result<Snapshot> {
    let apis = (0..APIS).map(|n| {
        let document = format!(
            r#"{{"api_metadata": {{"hostname": "*", "url": "/api{n}", "oauth2_access_token": true, "cookie": "sid"}}}}"#
        );
        let id = ApiId::parse(&format!("api{n}")).map_err(|fault| anyhow!("{fault}"))?;
        let read = ApiDefinition::from_json(id, document.as_bytes());
        let (api, _) = read.map_err(|fault| anyhow!("{fault}"))?;
        Ok(api)
    });
    let apis: Vec<ApiDefinition> = apis.collect::<Result<_>>()?;
    let registry = Registry::compile(apis).map_err(|fault| anyhow!("{fault:?}"))?;
    Ok(Snapshot {
        registry: Arc::new(registry),
        ..snapshot
    })
}

/// The entry of that number in the mix.
#[must_use]
pub fn identifier(n: u32, key: &CredentialKey) -> ListedIdentifier {
    match n % 10 {
        0..5 => network(v4(n)),
        5..7 => network(v6(n)),
        _ => {
            let kind = CredentialKind::Token;
            let id = key.id_of(kind, "", &n.to_le_bytes());
            ListedIdentifier::Credential { kind, id }
        }
    }
}

/// The IPv4 client of that number.
#[must_use]
pub fn v4(n: u32) -> ClientAddress {
    IpAddr::V4(Ipv4Addr::from_bits(spread(n))).into()
}

fn v6(n: u32) -> ClientAddress {
    let subscriber = (0x2001_0db8 << 96) | (u128::from(spread(n)) << 64) | 1;
    IpAddr::V6(Ipv6Addr::from_bits(subscriber)).into()
}

/// One to one, and neighbours lie far apart.
fn spread(n: u32) -> u32 {
    n.wrapping_mul(2_654_435_761)
}

fn network(client: ClientAddress) -> ListedIdentifier {
    ListedIdentifier::Network(client.network(Ipv6Width::default()))
}

fn listing(identifiers: impl Iterator<Item = ListedIdentifier>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let entry = Entry::everywhere(Source::Engine, "", UnixMillis(0));
    for identifier in identifiers {
        snapshot.attack.insert(identifier, entry.clone());
    }
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_mix_are_ipv4_clients_a_fifth_ipv6_clients_and_all_differ() {
        assert_eq!(mixed(1000).attack.len(), 1000);
        let key = key();
        let (mut v4, mut v6) = (0, 0);
        for n in 0..1000 {
            match identifier(n, &key) {
                ListedIdentifier::Network(network) if network.to_string().contains(':') => v6 += 1,
                ListedIdentifier::Network(_) => v4 += 1,
                ListedIdentifier::Credential { .. } => {}
            }
        }
        assert_eq!((v4, v6), (500, 200));
    }
}
