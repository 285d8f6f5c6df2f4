//! How large policy images are: bytes an entry by number of entries and by width, for IPv4 clients and for a mix with IPv6 clients and credentials.
//!
//! `cargo run --release -p ase-bench --example image_memory`.
#![expect(clippy::print_stdout, reason = "the person who runs it reads it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::credential::{CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::policy_image::{FingerprintBits, Settings, build};
use ase_core::time::UnixMillis;

fn main() {
    let keys = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None);
    println!("| entries | of | bits | bytes | bytes an entry | built in |");
    println!("|---|---|---|---|---|---|");
    for entries in [1_000, 10_000, 100_000, 1_000_000] {
        for (name, mixed) in [("IPv4", false), ("mixed", true)] {
            let mut snapshot = Snapshot::default();
            for n in 0..entries {
                let identifier = identifier(n, mixed, keys.current());
                snapshot.attack.insert(identifier, entry());
            }
            for width in [FingerprintBits::Eight, FingerprintBits::Sixteen] {
                let settings = Settings::new(&keys, width, 1, [9; 16]);
                let began = Instant::now();
                let bytes = build(&snapshot, &settings).map_or(0, |image| image.len());
                let took = began.elapsed();
                let each = bytes as f64 / f64::from(entries);
                let bits = width.bits();
                println!("| {entries} | {name} | {bits} | {bytes} | {each:.2} | {took:.1?} |");
            }
        }
    }
}

fn identifier(n: u32, mixed: bool, key: &CredentialKey) -> ListedIdentifier {
    let spread = n.wrapping_mul(2_654_435_761);
    let width = Ipv6Width::default();
    let client = |ip: IpAddr| ListedIdentifier::Network(ClientAddress::from(ip).network(width));
    match n % 10 {
        5 | 6 if mixed => {
            let bits = 0x2001_0db8 << 96 | u128::from(spread) << 64;
            client(Ipv6Addr::from_bits(bits).into())
        }
        7..10 if mixed => {
            let kind = CredentialKind::Token;
            let id = key.id_of(kind, "", &n.to_le_bytes());
            ListedIdentifier::Credential { kind, id }
        }
        _ => client(Ipv4Addr::from_bits(spread).into()),
    }
}

fn entry() -> Entry {
    Entry::everywhere(Source::Engine, "", UnixMillis(0))
}
