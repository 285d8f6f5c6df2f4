//! How much memory a list of a million entries takes, as the process's own resident set says: half IPv4, a fifth IPv6, the rest
//! credential ids; then the peak of a thousand changes to a list that a reader holds. Entries share fifty reasons, or have one
//! each when the argument is `unique`.
//!
//! Linux only (`/proc/self/status`). `cargo run --release -p ase-bench --example list_memory [unique]`.
#![expect(clippy::print_stdout, reason = "the person who runs it reads it")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use ase_core::address::{ClientAddress, Ipv6Width, Network};
use ase_core::credential::{CredentialKey, CredentialKind, KeyId};
use ase_core::identifier_list::{Entry, IdentifierList, ListedIdentifier, Scope, Source};
use ase_core::time::UnixMillis;

const ENTRIES: u32 = 1_000_000;
const CHANGES: u32 = 1000;

fn main() {
    let key = CredentialKey::from_bytes(KeyId(1), [7; 32]);
    let unique = std::env::args()
        .nth(1)
        .is_some_and(|argument| argument == "unique");
    let reasons = if unique { ENTRIES } else { 50 };
    let before = resident("VmRSS:");
    let began = Instant::now();
    let mut list = IdentifierList::default();
    for n in 0..ENTRIES {
        list.insert(identifier(n, &key), entry(n, reasons));
    }
    let took = began.elapsed();
    let held = resident("VmRSS:").saturating_sub(before);
    let each = held as f64 * 1024.0 / list.len() as f64;
    let entries = list.len();
    println!(
        "{entries} entries, {reasons} reasons: {held} KiB, {each:.1} bytes an entry, loaded in {took:?}"
    );
    let readers = list.clone();
    let top = resident("VmHWM:");
    let began = Instant::now();
    let mut published = list;
    for n in 0..CHANGES {
        // As the owner of a list does it: the snapshot before stays whole for those who read it.
        let mut next = published.clone();
        next.insert(identifier(ENTRIES + n, &key), entry(n, reasons));
        published = next;
    }
    let each = began.elapsed() / CHANGES;
    let more = resident("VmHWM:").saturating_sub(top);
    let held = readers.len();
    println!(
        "{CHANGES} changes: {each:?} each, peak {more} KiB more, while a reader holds the {held} entries of before"
    );
}

fn identifier(n: u32, key: &CredentialKey) -> ListedIdentifier {
    let spread = n.wrapping_mul(2_654_435_761);
    match n % 10 {
        0..5 => {
            ListedIdentifier::Network(Network::of(IpAddr::V4(Ipv4Addr::from_bits(spread)).into()))
        }
        5..7 => {
            let subscriber = (0x2001_0db8_u128 << 96) | (u128::from(spread) << 64);
            let address = ClientAddress::from(IpAddr::V6(Ipv6Addr::from_bits(subscriber)));
            ListedIdentifier::Network(address.network(Ipv6Width::default()))
        }
        last => {
            let kind = match last {
                7 => CredentialKind::Cookie,
                8 => CredentialKind::Token,
                _ => CredentialKind::ApiKey,
            };
            let id = key.id_of(kind, "session", &n.to_be_bytes());
            ListedIdentifier::Credential { kind, id }
        }
    }
}

fn entry(n: u32, reasons: u32) -> Entry {
    Entry {
        scope: Scope::All,
        expires: n.is_multiple_of(2).then_some(UnixMillis(1_800_000_000_000)),
        source: Source::Engine,
        reason: format!("attack 2: {} failed logins", n % reasons).into(),
        added: UnixMillis(1_700_000_000_000 + u64::from(n)),
    }
}

/// A figure of the process's own status, in KiB; 0 where there is none.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
