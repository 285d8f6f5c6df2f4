//! The policy image: building it, reading it where it lies, judging a request by it, and adding what was listed since.
//!
//! A million entries, half IPv4 clients, a fifth IPv6 clients, the rest credentials. Numbers are for a table, never a gate.
#![expect(
    clippy::expect_used,
    reason = "the inputs are written here; without them there is nothing to measure"
)]

use std::hint::black_box;
use std::time::Duration;

use ase_bench::images::{addresses, built, identifier, key, mixed, v4, with_apis};
use ase_core::headers::Headers;
use ase_core::identity::Credentials;
use ase_core::policy_image::{FingerprintBits, LocalRequest, PolicyImage};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const ENTRIES: u32 = 1_000_000;
const OVERLAY: u32 = 8_000;
const WIDTHS: [FingerprintBits; 2] = [FingerprintBits::Eight, FingerprintBits::Sixteen];

criterion_group!(images, building, reading, judging);
criterion_main!(images);

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image/build");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for (entries, name) in [(0, "0"), (10_000, "10k"), (ENTRIES, "1M")] {
        let snapshot = with_apis(mixed(entries)).expect("the APIs");
        for width in WIDTHS {
            group.bench_function(format!("{name}/{}", width.bits()), |bencher| {
                bencher.iter(|| built(black_box(&snapshot), width).expect("an image"))
            });
        }
    }
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image/read");
    let snapshot = with_apis(mixed(ENTRIES)).expect("the APIs");
    for width in WIDTHS {
        let bytes = built(&snapshot, width).expect("an image");
        group.bench_function(format!("parse/{}", width.bits()), |bencher| {
            bencher.iter_batched(
                || bytes.clone(),
                |bytes| drop(PolicyImage::parse(bytes).expect("an image")),
                BatchSize::LargeInput,
            );
        });
    }
    let bytes = built(&snapshot, FingerprintBits::Eight).expect("an image");
    let image = PolicyImage::parse(bytes).expect("an image");
    let (mut newer, mut overlay) = (image.clone(), Vec::new());
    for n in 0..OVERLAY {
        let added = newer.add(&identifier(ENTRIES + n, &key()));
        added.expect("room in the overlay");
    }
    newer.write_overlay(0, &mut overlay);
    group.bench_function("extend/8000", |bencher| {
        bencher.iter_batched(
            || image.clone(),
            |mut image| image.extend(&overlay).expect("an overlay of this image"),
            BatchSize::LargeInput,
        );
    });
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
    for (snapshot, name) in [
        (mixed(0), "0"),
        (addresses(10_000), "10k_addresses"),
        (mixed(ENTRIES), "1M"),
    ] {
        let snapshot = with_apis(snapshot).expect("the APIs");
        let bytes = built(&snapshot, FingerprintBits::Eight).expect("an image");
        let image = PolicyImage::parse(bytes).expect("an image");
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
