//! The policy image: building it, reading it where it lies, judging a request by it, and adding what was listed since.
//!
//! A million entries, half IPv4 clients, a fifth IPv6 clients, the rest credentials. Numbers are for a table, never a gate.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::identity::Credentials;
use ase_core::policy_image::{FingerprintBits, LocalRequest, PolicyImage, Settings, build};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const ENTRIES: u32 = 1_000_000;
const APIS: u32 = 200;
const OVERLAY: u32 = 8_000;
const WIDTHS: [FingerprintBits; 2] = [FingerprintBits::Eight, FingerprintBits::Sixteen];

criterion_group!(images, building, reading, judging);
criterion_main!(images);

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image/build");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for (entries, name) in [(0, "0"), (10_000, "10k"), (ENTRIES, "1M")] {
        let snapshot = snapshot(entries);
        for width in WIDTHS {
            group.bench_function(format!("{name}/{}", width.bits()), |bencher| {
                bencher.iter(|| built(black_box(&snapshot), width))
            });
        }
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image/read");
    let snapshot = snapshot(ENTRIES);
    for width in WIDTHS {
        let bytes = built(&snapshot, width);
        group.bench_function(format!("parse/{}", width.bits()), |bencher| {
            bencher.iter_batched(
                || bytes.clone(),
                |bytes| PolicyImage::parse(bytes).is_ok(),
                BatchSize::LargeInput,
            );
        });
    }
    let bytes = built(&snapshot, FingerprintBits::Eight);
    if let (Ok(mut newer), Ok(image)) =
        (PolicyImage::parse(bytes.clone()), PolicyImage::parse(bytes))
    {
        let mut overlay = Vec::new();
        for n in 0..OVERLAY {
            newer
                .add(&identifier(ENTRIES + n, &key()))
                .unwrap_or_default();
        }
        newer.write_overlay(0, &mut overlay);
        group.bench_function("extend/8000", |bencher| {
            bencher.iter_batched(
                || image.clone(),
                |mut image| image.extend(&overlay).is_ok(),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image/judge");
    let mut headers = Headers::default();
    for (name, value) in [
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        ),
        ("accept", "application/json"),
        ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
        ("cookie", "theme=dark; sid=0123456789abcdef; lang=en"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let (credentials, keys) = (Credentials::default(), [key()]);
    for (entries, name) in [(0, "0"), (10_000, "10k_addresses"), (ENTRIES, "1M")] {
        let snapshot = if name == "10k_addresses" {
            addresses(entries)
        } else {
            snapshot(entries)
        };
        let Ok(image) = PolicyImage::parse(built(&snapshot, FingerprintBits::Eight)) else {
            continue;
        };
        let mut turn = 0_u32;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                turn = turn.wrapping_add(611_953);
                let local = LocalRequest {
                    client: Some(v4(3_000_000 + turn % ENTRIES)),
                    headers: &headers,
                    url: b"/api7/orders/1234?page=2",
                    host: Some(b"api.example.com"),
                    credentials: &credentials,
                    username: None,
                };
                black_box(image.judge(black_box(&local), &keys))
            });
        });
    }
    group.finish();
}

fn built(snapshot: &Snapshot, width: FingerprintBits) -> Vec<u8> {
    let keys = KeyRing::new(key(), None);
    let settings = Settings::new(&keys, width, 1, [9; 16]);
    build(snapshot, &settings).unwrap_or_default()
}

fn key() -> CredentialKey {
    CredentialKey::from_bytes(KeyId(1), [7; 32])
}

fn snapshot(entries: u32) -> Snapshot {
    let key = key();
    listing((0..entries).map(|n| identifier(n, &key)))
}

fn addresses(entries: u32) -> Snapshot {
    let width = Ipv6Width::default();
    listing((0..entries).map(|n| ListedIdentifier::Network(v4(n).network(width))))
}

fn listing(identifiers: impl Iterator<Item = ListedIdentifier>) -> Snapshot {
    let mut snapshot = Snapshot {
        registry: Arc::new(registry()),
        ..Snapshot::default()
    };
    let entry = Entry::everywhere(Source::Engine, "", UnixMillis(0));
    for identifier in identifiers {
        snapshot.attack.insert(identifier, entry.clone());
    }
    snapshot
}

fn registry() -> Registry {
    let api = |n| {
        let document = format!(
            r#"{{"api_metadata": {{"hostname": "*", "url": "/api{n}", "oauth2_access_token": true, "cookie": "sid"}}}}"#
        );
        let id = ApiId::parse(&format!("api{n}")).ok()?;
        let (api, _) = ApiDefinition::from_json(id, document.as_bytes()).ok()?;
        Some(api)
    };
    Registry::compile((0..APIS).filter_map(api)).unwrap_or_default()
}

fn identifier(n: u32, key: &CredentialKey) -> ListedIdentifier {
    let width = Ipv6Width::default();
    match n % 10 {
        0..5 => ListedIdentifier::Network(v4(n).network(width)),
        5..7 => ListedIdentifier::Network(v6(n).network(width)),
        _ => {
            let kind = CredentialKind::Token;
            let id = key.id_of(kind, "", &n.to_le_bytes());
            ListedIdentifier::Credential { kind, id }
        }
    }
}

fn v4(n: u32) -> ClientAddress {
    IpAddr::V4(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761))).into()
}

fn v6(n: u32) -> ClientAddress {
    let spread = u128::from(n.wrapping_mul(2_654_435_761));
    IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | spread << 64 | 1)).into()
}
