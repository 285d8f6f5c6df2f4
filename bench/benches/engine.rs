//! The behaviour engine, all detectors on: how many transactions a second one core takes through `Engine::observe`.
//!
//! The mix: ordinary clients with a token and a cookie, anonymous readers, clients with a query, pollers of what is not there,
//! a few scanners and password guessers; thousands of user agents. Every round is later than the one before, so that records fade and
//! what is usual is learned and judged by. Numbers are for a table, never a gate.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::identity::Provenance;
use ase_core::path::NormalPath;
use ase_core::time::UnixMillis;
use ase_engine::{ApiFacts, Carried, Engine, Fate, Output, Settings, Training, Transaction};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NOW: u64 = 1_700_000_000_000;
const TRANSACTIONS: u32 = 200_000;
const BATCH: usize = 256;
/// How much later each round is: as long as it lasts at a thousand transactions a second.
const ROUND_MS: u64 = 200_000;

criterion_group!(engine, observe);
criterion_main!(engine);

struct Exchange {
    client: ClientAddress,
    credentials: Vec<Carried>,
    method: &'static str,
    target: String,
    path: NormalPath,
    agent: String,
    status: u16,
}

fn observe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(8));
    let (Ok(api), login) = (ApiId::parse("shop"), NormalPath::from_url("/api/login")) else {
        return;
    };
    for clients in [10_000, 500_000] {
        let exchanges: Vec<Exchange> = (0..TRANSACTIONS).map(|n| exchange(n, clients)).collect();
        let facts = ApiFacts::of(&api, Some(&login));
        let numbered = exchanges.iter().zip(0_u64..);
        let mut transactions: Vec<Transaction<'_>> = numbered
            .map(|(exchange, n)| exchange.seen(n, facts))
            .collect();
        group.throughput(Throughput::Elements(transactions.len() as u64));
        let mut engine = Engine::new(soon_trained(), 7);
        let mut output = Output::default();
        let mut round = 0;
        let mut play = |engine: &mut Engine| {
            let begins = NOW + round * ROUND_MS;
            round += 1;
            for (transaction, n) in transactions.iter_mut().zip(0_u64..) {
                transaction.at = UnixMillis(begins + n);
                transaction.record = Some(round << 32 | n);
            }
            for batch in transactions.chunks(BATCH) {
                output.clear();
                let now = batch.last().map_or(UnixMillis(begins), |last| last.at);
                engine.observe(black_box(batch), now, &mut output);
            }
        };
        // An hour: the first thresholds.
        for _ in 0..20 {
            play(&mut engine);
        }
        let learned = |engine: &Engine| {
            engine
                .baselines()
                .iter()
                .any(|api| !api.thresholds.is_empty())
        };
        assert!(learned(&engine), "nothing is judged by what was learned");
        group.bench_function(format!("observe_{clients}_clients"), |bencher| {
            bencher.iter(|| play(&mut engine));
        });
    }
    group.finish();
}

/// The defaults, with an hour in place of the day that they learn for.
fn soon_trained() -> Settings {
    Settings {
        training: Training {
            period: Duration::from_secs(1800),
            ..Training::default()
        },
        ..Settings::default()
    }
}

impl Exchange {
    fn seen<'a>(&'a self, n: u64, api: ApiFacts<'a>) -> Transaction<'a> {
        Transaction {
            record: None,
            at: UnixMillis(NOW + n),
            api: Some(api),
            client: self.client,
            credentials: &self.credentials,
            method: self.method,
            target: &self.target,
            path: &self.path,
            user_agent: Some(&self.agent),
            status: Some(self.status),
            request_bytes: None,
            response_bytes: Some(2_000),
            duration: None,
            fate: Fate::Passed,
            broken_rule: None,
            account: None,
            carriers: &[],
        }
    }
}

fn exchange(n: u32, clients: u32) -> Exchange {
    let spread = n.wrapping_mul(2_654_435_761);
    let who = spread % clients;
    let (method, target, status) = match n % 50 {
        0 => ("GET", format!("/wp-{who}/config-{n}.php"), 404),
        1 => (
            "POST",
            "/api/login".to_owned(),
            if n.is_multiple_of(3) { 401 } else { 200 },
        ),
        2 => ("GET", format!("/api/jobs/{who}/result"), 404),
        3 => (
            "GET",
            format!("/api/search?q=%27%20OR%201=1--&page={n}"),
            500,
        ),
        4..10 => (
            "GET",
            format!("/api/search?q=blue+shoes&page={}&sort=-price", n % 40),
            200,
        ),
        10..14 => ("POST", "/api/v1/orders".to_owned(), 201),
        14..30 => ("GET", format!("/api/v1/orders/{}", spread % 100_000), 200),
        _ => (
            "GET",
            format!("/api/v1/products/{}/reviews", spread % 500),
            200,
        ),
    };
    let credentials = match who % 3 {
        0 => Vec::new(),
        _ => vec![
            carried(CredentialKind::Token, who, Provenance::Verified),
            carried(CredentialKind::Cookie, who, Provenance::Claimed),
        ],
    };
    Exchange {
        client: ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + who))),
        credentials,
        method,
        path: NormalPath::from_url(&target),
        target,
        agent: agent(who),
        status,
    }
}

/// One of some eight thousand programs: no two of a hundred clients have the same.
fn agent(who: u32) -> String {
    let (build, patch) = (who % 8191, who % 211);
    match who % 4 {
        0 => format!(
            "shop-app/4.{build}.{patch} (iPhone14,2; iOS 17.{}) okhttp/4.12",
            who % 7
        ),
        1 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.{build}.{patch} Safari/537.36 Edg/141.0.{build}.{patch}"
        ),
        _ => format!(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.{build}.{patch} Safari/537.36"
        ),
    }
}

#[expect(clippy::expect_used, reason = "a text of this shape is an id")]
fn carried(kind: CredentialKind, who: u32, provenance: Provenance) -> Carried {
    let text = format!(
        "k1:{:032x}",
        u128::from(who) * 0x9e37_79b9_7f4a_7c15 + kind as u128
    );
    Carried {
        kind,
        id: CredentialId::parse(&text).expect("k, a number and 32 hex digits"),
        provenance,
    }
}
