//! A long life in short: requests and new configurations without end, and memory that stays flat. No record is lost, none doubled.
//!
//! `make soak` plays it in full on both gateways: `SOAK_REQUESTS` requests (default here 3,000) and `SOAK_RELOADS` new configurations (default here 30, of which
//! Envoy takes one in ten). Under wasmtime the filter's linear memory is measured, under Envoy what the process has resident.

#![expect(
    clippy::print_stdout,
    reason = "the table is what a reader of `make soak` wants to see"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use system_tests::forgetful::{self, ForgetfulAse, Tally};
use system_tests::gateway::{
    Gateway, GatewayKind, GatewayPlan, Listener, Reconfigured, filter_module,
};
use system_tests::raw_client::{Bytes, Client};
use system_tests::scenario::configuration;
use system_tests::wait;
use system_tests::wasm_gateway::LogLevel;

/// How often memory is looked at.
const INTERVALS: u64 = 30;
/// Clients that send at once.
const CLIENTS: u64 = 4;
/// Longest wait for the last records, and for what a reload leaves behind to go.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);
/// By how much the last third may lie above the first: of Envoy, whose allocator keeps and gives back as it likes.
const ENVOY_GROWTH_BYTES: u64 = 12 << 20;
/// By how much the last third may lie above the first: of the filter's linear memory, which grows by pages and never shrinks.
const GUEST_GROWTH_BYTES: u64 = 256 << 10;

/// Grows by a page at each request.
const LEAKING: &str = r#"(module (memory (export "memory") 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (memory.grow (i32.const 1))) (i32.const 0)))"#;

#[test]
fn the_filters_memory_stays_flat_over_requests_and_configurations() -> Result<()> {
    let plan = Plan::of_environment();
    let samples = soak(GatewayKind::Wasmtime, &filter_module(), plan)?;
    check_flat(&samples, GUEST_GROWTH_BYTES)
}

#[test]
fn envoys_memory_stays_flat_over_requests_and_configurations() -> Result<()> {
    let plan = Plan::of_environment();
    // Each takes Envoy a fifth of a second, and `make test` has none to spare.
    let reloads = if std::env::var_os("SOAK_RELOADS").is_some() {
        plan.reloads
    } else {
        plan.reloads / 10
    };
    let samples = soak(
        GatewayKind::Envoy,
        &filter_module(),
        Plan { reloads, ..plan },
    )?;
    check_flat(&samples, ENVOY_GROWTH_BYTES)
}

#[test]
fn a_filter_that_leaks_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("leaking.wasm");
    std::fs::write(&module, wat::parse_str(LEAKING)?)?;
    let plan = Plan {
        requests: 300,
        reloads: 0,
    };
    let samples = soak(GatewayKind::Wasmtime, &module, plan)?;
    let found = check_flat(&samples, GUEST_GROWTH_BYTES);
    ensure!(found.is_err_and(|fault| fault.to_string().contains("has grown")));
    Ok(())
}

/// How long the life is.
#[derive(Clone, Copy)]
struct Plan {
    requests: u64,
    reloads: u64,
}

impl Plan {
    fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse().ok();
        Self {
            requests: number("SOAK_REQUESTS").unwrap_or(3_000),
            reloads: number("SOAK_RELOADS").unwrap_or(30),
        }
    }
}

/// Plays the life and gives the memory at the end of each interval, in bytes.
fn soak(kind: GatewayKind, module: &Path, plan: Plan) -> Result<Vec<u64>> {
    let folder = tempfile::tempdir()?;
    let (ase, upstream) = (ForgetfulAse::start()?, forgetful::upstream()?);
    let mut gateway = kind.start(&GatewayPlan {
        module: module.to_path_buf(),
        plugin_configuration: settings(0),
        upstream: upstream.address(),
        clusters: BTreeMap::from([("ase".to_owned(), vec![ase.address()])]),
        listener: Listener::default(),
        folder: folder.path().to_path_buf(),
    })?;
    gateway.set_log_level(LogLevel::Warn)?;
    println!(
        "{}: {} requests, {} new configurations",
        kind.name(),
        plan.requests,
        plan.reloads
    );
    println!(
        "{:>10} {:>10} {:>12} {:>10}",
        "seconds", "requests", "reloads", "KiB"
    );
    let started = Instant::now();
    let (mut samples, mut reloads) = (Vec::new(), 0);
    for interval in 1..=INTERVALS {
        let so_far = |whole: u64| whole * interval / INTERVALS;
        let requests = so_far(plan.requests) - plan.requests * (interval - 1) / INTERVALS;
        reloads = live(&mut *gateway, requests, reloads, so_far(plan.reloads))?;
        samples.push(gateway.memory_bytes()?);
        let kib = samples.last().copied().unwrap_or_default() / 1024;
        println!(
            "{:>10.1} {:>10} {reloads:>12} {kib:>10}",
            started.elapsed().as_secs_f64(),
            so_far(plan.requests)
        );
    }
    ensure!(!gateway.trapped(), "the filter trapped");
    check_records(&*gateway, &ase, plan)?;
    Ok(samples)
}

/// One interval: clients send while new configurations come. How many of these there have been at its end.
fn live(gateway: &mut dyn Gateway, requests: u64, mut reloads: u64, until: u64) -> Result<u64> {
    let address = gateway.address();
    let share = |client: u64| requests * (client + 1) / CLIENTS - requests * client / CLIENTS;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || send(address, share(client))))
            .collect();
        while reloads < until {
            reloads += 1;
            let taken = gateway.reconfigure(&settings(reloads))?;
            ensure!(
                taken == Reconfigured::Accepted,
                "configuration {reloads} is refused"
            );
            ensure!(gateway.address() == address, "the listener has moved");
        }
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(reloads)
    })
}

/// Sends so many requests, one after the other, and wants 200 for each.
fn send(gateway: SocketAddr, count: u64) -> Result<()> {
    let head = "GET /soak?id=7 HTTP/1.1\r\nhost: soak.example\r\nauthorization: Bearer abc\r\n\r\n";
    let request = Bytes {
        method: "GET".to_owned(),
        pieces: vec![head.as_bytes().to_vec()],
    };
    let mut connection = None;
    for number in 0..count {
        let client = match &mut connection {
            Some(client) => client,
            None => connection.insert(Client::connect(gateway)?),
        };
        client.send(&request)?;
        let reply = client
            .reply("GET", None)
            .with_context(|| format!("request {number}"))?;
        ensure!(reply.status == 200, "status {}", reply.status);
        // A listener that is replaced lets its connections go like this.
        if reply
            .head
            .first("connection")
            .is_some_and(|value| value == "close")
        {
            connection = None;
        }
    }
    Ok(())
}

/// `sync` and `async` take turns, and each configuration differs from the one before.
fn settings(number: u64) -> Value {
    let mode = if number.is_multiple_of(2) {
        "sync"
    } else {
        "async"
    };
    configuration(&json!({"mode": mode, "block": {"details": format!("denied_{number}")}}))
}

fn check_records(gateway: &dyn Gateway, ase: &ForgetfulAse, plan: Plan) -> Result<()> {
    // A module that is not the filter has none.
    if !gateway.counters()?.contains_key("ase_records_queued") {
        return Ok(());
    }
    let all = Tally {
        different: plan.requests,
        doubled: 0,
    };
    wait::until_some(SETTLES_WITHIN, "the last records", || {
        Ok((ase.tally().different >= all.different).then_some(()))
    })?;
    ensure!(
        ase.tally() == all,
        "{:?} of {} records",
        ase.tally(),
        plan.requests
    );
    wait::until_some(SETTLES_WITHIN, "a queue that is empty", || {
        let counters = gateway.counters()?;
        Ok((counters.get("ase_records_waiting") == Some(&0)).then_some(()))
    })
}

/// The last third does not lie above the first by more than `bound`. Of each its mean counts.
fn check_flat(samples: &[u64], bound: u64) -> Result<()> {
    let third = samples.len() / 3;
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
    let first = mean(samples.get(..third).unwrap_or_default());
    let last = mean(samples.get(samples.len() - third..).unwrap_or_default());
    println!(
        "first third {} KiB, last third {} KiB",
        first / 1024,
        last / 1024
    );
    ensure!(
        last <= first + bound,
        "memory has grown from {first} to {last} bytes, {bound} are allowed: {samples:?}"
    );
    Ok(())
}
