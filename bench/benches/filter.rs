//! The filter's pure parts on a request of 17 headers and four that Envoy adds: what it does with each request, without the host.
//!
//! Native code, so the figures are for comparing two versions of a part, not for what a gateway pays.
#![expect(
    clippy::expect_used,
    reason = "the inputs are written here; without them there is nothing to measure"
)]

use std::hint::black_box;
use std::time::Duration;

use ase_core::headers::Headers;
use ase_core::identity::Credentials;
use ase_core::time::UnixMillis;
use ase_core::transaction::wire::{Record, write_record};
use ase_core::transaction::{Course, End, GatewayDecision, Mode, RecordId};
use ase_filter::config::Config;
use ase_filter::head::{self, SeenRequest, Verified};
use ase_filter::pairs;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const URL: &[u8] = b"/shop/books?genre=fiction&page=7&sort=price";

criterion_group!(filter, per_request);
criterion_main!(filter);

fn per_request(criterion: &mut Criterion) {
    let config = Config::parse(
        br#"{"credentials": {"oauth_token": {"headers": ["authorization"], "query": ["access_token"]}, "api_key": {"headers": ["x-api-key"]}}}"#,
    )
    .expect("the shipped credentials");
    let (request, response) = (request_pairs(), response_pairs());
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("parse_header_pairs", |bencher| {
        bencher.iter(|| pairs::parse(black_box(&request)).map(|headers| headers.iter().count()))
    });
    group.throughput(Throughput::Elements(1));
    let headers = pairs::parse(&request).expect("a list of pairs");
    group.bench_function("find_credentials", |bencher| {
        bencher.iter(|| Credentials::find(black_box(&headers), URL, config.credentials()))
    });
    let mut half = Vec::with_capacity(8192);
    group.bench_function("write_request_half", |bencher| {
        bencher.iter(|| write_request(&mut half, black_box(&headers), &config))
    });
    let answer = pairs::parse(&response).expect("a list of pairs");
    let mut response_half = Vec::with_capacity(1024);
    group.bench_function("write_response_half", |bencher| {
        bencher.iter(|| {
            response_half.clear();
            head::write_response_half(&mut response_half, 200, black_box(&answer), &config);
        })
    });
    write_request(&mut half, &headers, &config);
    let course = course();
    let record = Record {
        course: &course,
        request: &|out| out.extend_from_slice(&half),
        response: Some(&|out| out.extend_from_slice(&response_half)),
    };
    let mut line = Vec::with_capacity(8192);
    group.bench_function("write_record", |bencher| {
        bencher.iter(|| {
            line.clear();
            write_record(&mut line, black_box(&record));
        })
    });
    group.finish();
}

fn write_request(out: &mut Vec<u8>, headers: &Headers<'_>, config: &Config) {
    out.clear();
    let seen = SeenRequest {
        headers,
        source_address: Some(b"10.1.2.3:0"),
        protocol: Some(b"HTTP/1.1"),
        verified: Verified::default(),
        tls: None,
    };
    let client = head::client(config.client_address(), &seen);
    head::write_request_half(out, &seen, client, config);
}

fn course() -> Course {
    Course {
        id: RecordId::mint(0x5f0c_9a3b_e1d2_4c77, 26),
        started: UnixMillis(1_763_771_712_345),
        duration: Duration::from_micros(12_345),
        mode: Mode::Async,
        decision: GatewayDecision::Async,
        verdict: None,
        asked_for: None,
        end: End::Upstream,
    }
}

fn request_pairs() -> Vec<u8> {
    let token = format!(
        "Bearer eyJhbGciOiJSUzI1NiJ9.{}",
        "5f0c9a3be1d24c77".repeat(28)
    );
    written(&[
        (":authority", "api.example.com"),
        (":path", "/shop/books?genre=fiction&page=7&sort=price"),
        (":method", "GET"),
        (":scheme", "http"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.7"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("authorization", &token),
        (
            "cookie",
            "SID=s-5f0c9a3be1d24c775f0c9a3be1d24c77; theme=dark; _ga=GA1.1.123456789.1763700007; consent=functional%2Canalytics",
        ),
        ("referer", "https://shop.example.com/catalog/fiction?page=7"),
        ("origin", "https://shop.example.com"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-api-key", "00112233445566778899aabbccddeeff"),
        (
            "sec-ch-ua",
            "\"Chromium\";v=\"142\", \"Not=A?Brand\";v=\"24\"",
        ),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Linux\""),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", "f3b1e1a0-55b7-4b9b-8a59-0a4d4f6f3a11"),
    ])
}

fn response_pairs() -> Vec<u8> {
    written(&[
        (":status", "200"),
        ("content-type", "application/json"),
        ("cache-control", "private, max-age=60"),
        ("etag", "\"5f0c9a3be1d24c77\""),
        ("content-length", "512"),
        ("date", "Sun, 22 Nov 2026 18:00:00 GMT"),
        ("x-envoy-upstream-service-time", "1"),
        ("server", "envoy"),
    ])
}

fn written(headers: &[(&str, &str)]) -> Vec<u8> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs::write(&headers.iter().map(owned).collect::<Vec<_>>())
}
