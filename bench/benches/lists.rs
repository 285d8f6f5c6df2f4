//! The identifier list under load: how long it takes to load, to look up, to change a shared list and to purge it.
//!
//! Addresses are generated (120,000 and a million). When `ASE_TRAFFIC` names the folder with `hostile-ips-2026.txt`, that file is loaded too.
//! Numbers are for a table, never a gate.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ase_core::address::{ClientAddress, Ipv6Width, Network};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, CredentialKind, KeyId};
use ase_core::identifier_list::{
    Entry, IdentifierList, ListedIdentifier, RemoveWhich, Source, parse_plain,
};
use ase_core::time::UnixMillis;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const SIZES: [u32; 2] = [120_000, 1_000_000];
const REAL_FILE: &str = "hostile-ips-2026.txt";

criterion_group!(lists, load, look_up, change, credential);
criterion_main!(lists);

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    let text: String = (0..120_000).map(|n| format!("{}\t10\n", v4(n))).collect();
    group.throughput(Throughput::Elements(120_000));
    group.bench_function("generated_120k", |bencher| {
        bencher.iter(|| load_plain(&text))
    });
    match std::env::var_os("ASE_TRAFFIC").map(|folder| PathBuf::from(folder).join(REAL_FILE)) {
        None => say(&format!("load/{REAL_FILE}: skipped, ASE_TRAFFIC is unset")),
        Some(path) => match std::fs::read_to_string(&path) {
            Err(error) => say(&format!(
                "load/{REAL_FILE}: skipped, {}: {error}",
                path.display()
            )),
            Ok(text) => {
                let list = load_plain(&text);
                say(&format!(
                    "load/{REAL_FILE}: {} lines, {} entries",
                    text.lines().count(),
                    list.len()
                ));
                group.throughput(Throughput::Elements(list.len() as u64));
                group.bench_function(REAL_FILE, |bencher| bencher.iter(|| load_plain(&text)));
            }
        },
    }
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look_up");
    let api = api();
    for size in SIZES {
        let plain = generated(size);
        let nested = nested(size);
        for (name, list) in [("one_length", &plain), ("ten_lengths", &nested)] {
            for (outcome, first) in [("hit", 0), ("miss", 3_000_000)] {
                let mut turn = 0_u32;
                group.bench_function(format!("{name}/{size}/{outcome}"), |bencher| {
                    bencher.iter(|| {
                        // A large odd step visits the addresses without a pattern that caches like.
                        turn = turn.wrapping_add(611_953);
                        let address = v4(first + turn % size);
                        black_box(
                            list.look_up_address(black_box(address), &api, None, NOW)
                                .is_some(),
                        )
                    });
                });
            }
        }
        let mut turn = 0_u32;
        group.bench_function(format!("ipv6/{size}/hit"), |bencher| {
            bencher.iter(|| {
                turn = turn.wrapping_add(611_953);
                black_box(
                    nested
                        .look_up_address(black_box(v6(turn % 10_000)), &api, None, NOW)
                        .is_some(),
                )
            });
        });
    }
    group.finish();
}

fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change");
    group.sample_size(20);
    for size in SIZES {
        let list = generated(size);
        let one = [Network::of(v4(3_000_000))];
        group.bench_function(format!("clone_and_insert/{size}"), |bencher| {
            bencher.iter(|| {
                let mut next = list.clone();
                insert_all(&mut next, one);
                next
            });
        });
        let listed = ListedIdentifier::Network(Network::of(v4(7)));
        group.bench_function(format!("clone_and_remove/{size}"), |bencher| {
            bencher.iter(|| {
                let mut next = list.clone();
                next.remove(&listed, &RemoveWhich::Every);
                next
            });
        });
        group.bench_function(format!("purge_nothing/{size}"), |bencher| {
            bencher.iter_batched_ref(
                || list.clone(),
                |list| list.purge_expired(NOW, usize::MAX),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn credential(criterion: &mut Criterion) {
    let key = CredentialKey::from_bytes(KeyId(1), [7; 32]);
    for length in [40, 900] {
        let value = vec![b'a'; length];
        criterion.bench_function(&format!("credential_id/{length}_bytes"), |bencher| {
            bencher.iter(|| key.id_of(CredentialKind::Token, "", black_box(&value)));
        });
    }
}

fn load_plain(text: &str) -> IdentifierList {
    let mut list = IdentifierList::default();
    insert_all(&mut list, parse_plain(text).networks);
    list
}

fn generated(size: u32) -> IdentifierList {
    let mut list = IdentifierList::default();
    insert_all(&mut list, (0..size).map(|n| Network::of(v4(n))));
    list
}

/// Networks of nine more lengths, shorter than any generated address's, and ten thousand IPv6 subscribers.
fn nested(size: u32) -> IdentifierList {
    let mut list = generated(size);
    let apart = ClientAddress::from(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)));
    insert_all(&mut list, (16..25).map(|prefix| apart.prefixed(prefix)));
    insert_all(
        &mut list,
        (0..10_000).map(|n| v6(n).network(Ipv6Width::default())),
    );
    list
}

fn insert_all(list: &mut IdentifierList, networks: impl IntoIterator<Item = Network>) {
    let entry = Entry::everywhere(Source::File, "listed", NOW);
    for network in networks {
        list.insert(ListedIdentifier::Network(network), entry.clone());
    }
}

/// The n-th address of a sequence without repetitions, spread over the space: an odd factor permutes the numbers.
fn v4(n: u32) -> ClientAddress {
    ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(
        n.wrapping_mul(2_654_435_761),
    )))
}

fn v6(n: u32) -> ClientAddress {
    let subscriber = u128::from(n.wrapping_mul(2_654_435_761)) << 64;
    ClientAddress::from(IpAddr::V6(Ipv6Addr::from_bits(
        (0x2001_0db8 << 96) | subscriber | 1,
    )))
}

#[expect(clippy::expect_used, reason = "the name is a constant")]
fn api() -> ApiId {
    ApiId::parse("shop").expect("a constant name")
}

#[expect(
    clippy::print_stderr,
    reason = "the person who runs the benchmark reads it"
)]
fn say(text: &str) {
    eprintln!("{text}");
}
