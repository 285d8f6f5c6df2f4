//! How much memory a million watched identifiers take, as the process's own resident set says: addresses, tokens and cookies of
//! clients that made a few requests each, one in fifty of them suspect. What an engine takes that has seen nothing, layer two's
//! table of windows above all, is told apart. Then what a million new addresses in a minute do.
//!
//! Linux only (`/proc/self/status`). `cargo run --release -p ase-bench --example engine_memory`.
#![expect(clippy::print_stdout, reason = "the person who runs it reads it")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::identity::Provenance;
use ase_core::path::NormalPath;
use ase_core::time::UnixMillis;
use ase_engine::{ApiFacts, Carried, Engine, Fate, Output, Settings, Transaction};

const NOW: u64 = 1_700_000_000_000;
/// Each has an address; two in three a cookie too, and one in three a token.
const CLIENTS: u32 = 500_000;
const REQUESTS: u32 = 4;

fn main() {
    let before = resident("VmRSS:");
    let mut engine = Engine::new(Settings::default(), 7);
    let fixed = resident("VmRSS:").saturating_sub(before);
    println!("an engine that has seen nothing: {fixed} KiB");
    let began = Instant::now();
    for round in 0..REQUESTS {
        for who in 0..CLIENTS {
            let at = NOW + u64::from(round) * 60_000 + u64::from(who / 10);
            request(&mut engine, who, round, at);
        }
    }
    let took = began.elapsed();
    let held = resident("VmRSS:").saturating_sub(before);
    let each = |kib: u64| kib as f64 * 1024.0 / f64::from(engine.watched());
    println!(
        "{} identifiers: {held} KiB, {:.0} bytes each, {:.0} of them without the former; {} transactions in {took:?}",
        engine.watched(),
        each(held),
        each(held.saturating_sub(fixed)),
        CLIENTS * REQUESTS
    );
    println!("{:?}", engine.counters());
    let began = Instant::now();
    for who in 0..1_000_000 {
        let at = NOW + 600_000 + u64::from(who) * 60 / 1000;
        request(&mut engine, CLIENTS + who, 0, at);
    }
    let took = began.elapsed();
    let held = resident("VmRSS:").saturating_sub(before);
    println!(
        "a million more within a minute: {held} KiB, {} identifiers, {took:?}",
        engine.watched()
    );
    println!("{:?}", engine.counters());
}

fn request(engine: &mut Engine, who: u32, round: u32, at: u64) {
    let Ok(api) = ApiId::parse("shop") else {
        return;
    };
    let (target, status) = match who % 50 {
        0 => (format!("/absent-{who}/{round}x.php"), 404),
        _ => (
            format!("/api/v1/orders/{}?page={round}", who * 7 % 100_003),
            200,
        ),
    };
    let path = NormalPath::from_url(&target);
    let mut credentials = Vec::new();
    if !who.is_multiple_of(3) {
        credentials.extend(carried(CredentialKind::Cookie, who));
    }
    if who % 3 == 2 {
        credentials.extend(carried(CredentialKind::Token, who));
    }
    let transaction = Transaction {
        record: None,
        at: UnixMillis(at),
        api: Some(ApiFacts::of(&api, None)),
        client: ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + who))),
        credentials: &credentials,
        method: "GET",
        target: &target,
        path: &path,
        user_agent: Some("Mozilla/5.0"),
        status: Some(status),
        request_bytes: None,
        response_bytes: Some(2_000),
        duration: None,
        fate: Fate::Passed,
        broken_rule: None,
        account: None,
        carriers: &[],
    };
    engine.observe(&[transaction], UnixMillis(at), &mut Output::default());
}

fn carried(kind: CredentialKind, who: u32) -> Option<Carried> {
    let text = format!(
        "k1:{:032x}",
        u128::from(who) * 0x9e37_79b9_7f4a_7c15 + kind as u128
    );
    Some(Carried {
        kind,
        id: CredentialId::parse(&text).ok()?,
        provenance: Provenance::Claimed,
    })
}

/// A line of the process's status, in KiB.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
