//! ASE dies, comes back, freezes and thaws under a steady load. No request waits longer than its timeout, each has a
//! stated outcome, and the counts of client, Envoy and ASE add up.
//!
//! Real Envoy, real ASE. `ASE_OUTAGE_SECONDS` is the length of the whole story (default 15; `make outage` takes 60),
//! `ASE_OUTAGE_RATE` the requests per second (default 250; `make outage` takes 500).

#![expect(
    clippy::print_stdout,
    reason = "the counts are what a reader of `make outage` wants to see"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use system_tests::envoy_gateway::EnvoyGateway;
use system_tests::gateway::{Gateway, GatewayPlan, Listener, filter_module};
use system_tests::load::{self, LoadPlan, Sent};
use system_tests::real_ase::{RealAse, RealAsePlan};
use system_tests::upstream::Upstream;
use system_tests::wait;

/// The filter's timeout for a verdict: longer than a busy machine stands still, which is no failure of ASE.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long the filter leaves ASE alone from the last failure on.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// What a busy machine may add to a timeout before a request counts as stuck.
const SLACK: Duration = Duration::from_millis(1500);

/// What it may add to the time until verdicts are back.
const STALL: Duration = Duration::from_millis(750);

/// Client addresses that take turns.
const CLIENTS: usize = 10;

/// The last of them is on the deny list.
const LISTED: &str = "203.0.113.10";

/// A status that neither upstream nor ASE uses.
const CLOSED_STATUS: u16 = 529;

#[test]
fn an_open_gateway_passes_everything_through_an_outage_and_says_why() -> Result<()> {
    let told = tell("open")?;
    ensure!(
        told.statuses() == BTreeSet::from([200, 403]),
        "{:?}",
        told.statuses()
    );
    told.check_counter("ase_permit_fail_open", told.failures()?)?;
    told.check_counter("ase_deny_failed_closed", 0)
}

#[test]
fn a_closed_gateway_answers_the_configured_status_through_an_outage() -> Result<()> {
    let told = tell("closed")?;
    ensure!(
        told.statuses() == BTreeSet::from([200, 403, CLOSED_STATUS]),
        "{:?}",
        told.statuses()
    );
    told.check_counter("ase_deny_failed_closed", told.failures()?)?;
    told.check_counter("ase_deny_failed_closed", told.with_status(CLOSED_STATUS))?;
    told.check_counter("ase_permit_fail_open", 0)
}

/// What was seen by everybody.
struct Told {
    sent: Vec<Sent>,
    counters: BTreeMap<String, u64>,
}

/// Plays the outage and checks what holds whatever the policy.
fn tell(policy: &str) -> Result<Told> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start()?;
    let mut ase = RealAse::start(&ase_plan(), folder.path())?;
    let gateway = EnvoyGateway::start(&gateway_plan(&upstream, &ase, folder.path(), policy))?;
    let phase = Duration::from_secs(setting("ASE_OUTAGE_SECONDS", 15)) / 5;
    let start = Instant::now();
    let plan = LoadPlan {
        gateway: gateway.address(),
        start,
        per_second: u32::try_from(setting("ASE_OUTAGE_RATE", 250))?,
        duration: phase * 5,
        clients: (1..=CLIENTS)
            .map(|last| format!("203.0.113.{last}"))
            .collect(),
    };
    let load = thread::spawn(move || load::run(&plan));
    thread::sleep(phase);
    let mut steady = vec![Duration::ZERO..start.elapsed()];
    ase.kill()?;
    thread::sleep(phase);
    ase.restart()?;
    let back = start.elapsed();
    thread::sleep(phase);
    steady.push(back + COOL_DOWN + STALL..start.elapsed());
    ase.freeze()?;
    thread::sleep(phase);
    ase.thaw()?;
    steady.push(start.elapsed() + COOL_DOWN + STALL..Duration::MAX);
    let sent = load.join().ok().context("the load panicked")??;
    let counters = settled_counters(&gateway)?;
    ensure!(!gateway.trapped(), "the filter trapped:\n{}", gateway.log());
    let told = Told { sent, counters };
    told.print(policy);
    told.check_replies()?;
    told.check_verdicts_are_back(&steady)?;
    told.check_sums()?;
    told.check_access_log(&ase)?;
    Ok(told)
}

impl Told {
    fn statuses(&self) -> BTreeSet<u16> {
        self.sent
            .iter()
            .filter_map(|sent| sent.status.clone().ok())
            .collect()
    }

    fn with_status(&self, status: u16) -> u64 {
        self.sent
            .iter()
            .filter(|sent| sent.status == Ok(status))
            .count() as u64
    }

    fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    fn check_counter(&self, name: &str, expected: u64) -> Result<()> {
        let found = self.counter(name);
        ensure!(found == expected, "{name} is {found}, not {expected}");
        Ok(())
    }

    /// All failures, after making sure that each kind of outage shows under its own class.
    fn failures(&self) -> Result<u64> {
        for class in ["unreachable", "timeout", "cooling_down"] {
            let name = format!("ase_failure_{class}");
            ensure!(self.counter(&name) > 0, "no failure of class {class}");
        }
        Ok(self.sum("ase_failure_"))
    }

    fn sum(&self, prefix: &str) -> u64 {
        self.counters
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(_, value)| value)
            .sum()
    }

    fn print(&self, policy: &str) {
        let slowest = self
            .sent
            .iter()
            .map(|sent| sent.took)
            .max()
            .unwrap_or_default();
        println!(
            "{policy}: {} requests, slowest {slowest:?}",
            self.sent.len()
        );
        for status in self.statuses() {
            println!("  status {status}: {}", self.with_status(status));
        }
        for (name, value) in self.counters.iter().filter(|(_, value)| **value > 0) {
            println!("  {name}: {value}");
        }
    }

    fn check_replies(&self) -> Result<()> {
        for sent in &self.sent {
            ensure!(
                sent.status.is_ok(),
                "a request at {:?} got no reply: {:?}",
                sent.at,
                sent.status
            );
            ensure!(
                sent.took < TIMEOUT + SLACK,
                "a request at {:?} took {:?}",
                sent.at,
                sent.took
            );
        }
        Ok(())
    }

    /// Before each outage, and from soon after it, exactly the listed client is blocked.
    fn check_verdicts_are_back(&self, steady: &[Range<Duration>]) -> Result<()> {
        for span in steady {
            // What an outage caught under way is not steady.
            let within = |sent: &&Sent| sent.at >= span.start && sent.at + sent.took < span.end;
            let sent: Vec<&Sent> = self.sent.iter().filter(within).collect();
            let seen: BTreeSet<&str> = sent.iter().map(|sent| sent.client.as_str()).collect();
            ensure!(seen.len() == CLIENTS, "only {seen:?} called in {span:?}");
            for sent in sent {
                let expected = if sent.client == LISTED { 403 } else { 200 };
                ensure!(
                    sent.status == Ok(expected),
                    "{} at {:?} got {:?}, which is not within an outage: steady are {steady:?}",
                    sent.client,
                    sent.at,
                    sent.status
                );
            }
        }
        Ok(())
    }

    fn check_sums(&self) -> Result<()> {
        let decided = self.sum("ase_permit_") + self.sum("ase_deny_");
        ensure!(
            decided == self.sent.len() as u64,
            "{} sent, {decided} decided",
            self.sent.len()
        );
        self.check_counter("ase_deny_listed", self.with_status(403))?;
        let (queued, delivered) = (
            self.counter("ase_records_queued"),
            self.counter("ase_records_delivered"),
        );
        let dropped = self.sum("ase_records_dropped_");
        ensure!(
            queued == delivered + dropped,
            "{queued} queued, {delivered} delivered, {dropped} dropped"
        );
        ensure!(
            queued == self.sent.len() as u64,
            "{} sent, {queued} queued",
            self.sent.len()
        );
        Ok(())
    }

    /// Whatever ASE acknowledged is in its log. A batch that it logged and could not acknowledge comes again, so a
    /// record may stand there twice, under one id.
    fn check_access_log(&self, ase: &RealAse) -> Result<()> {
        let lines = ase.access_log();
        let ids: BTreeSet<&str> = lines
            .iter()
            .filter_map(|line| line.get("id")?.as_str())
            .collect();
        let delivered = self.counter("ase_records_delivered");
        ensure!(
            ids.len() as u64 >= delivered,
            "{delivered} delivered, {} in the access log",
            ids.len()
        );
        ensure!(
            ids.len() <= self.sent.len(),
            "{} sent, {} in the access log",
            self.sent.len(),
            ids.len()
        );
        Ok(())
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn ase_plan() -> RealAsePlan {
    let api = json!({"api_metadata": {"protocol": "http", "url": "/", "hostname": "*", "enable_blocking": true}});
    RealAsePlan {
        apis: BTreeMap::from([("root".to_owned(), api)]),
        deny: vec![format!("ip {LISTED}")],
        ..RealAsePlan::default()
    }
}

fn gateway_plan(
    upstream: &Upstream,
    ase: &RealAse,
    folder: &std::path::Path,
    policy: &str,
) -> GatewayPlan {
    GatewayPlan {
        module: filter_module(),
        plugin_configuration: json!({
            "mode": "sync",
            "ase": {"cluster": "ase", "timeout_ms": TIMEOUT.as_millis()},
            "breaker": {"cool_down_ms": COOL_DOWN.as_millis()},
            "client_address": {"from": "xff", "trusted_hops": 1},
            "on_failure": policy,
            "failure_reply": {"status": CLOSED_STATUS},
        }),
        upstream: upstream.address(),
        clusters: BTreeMap::from([("ase".to_owned(), vec![ase.data_address()])]),
        listener: Listener::default(),
        folder: folder.join("gateway"),
    }
}

/// The counters once every record has been delivered or dropped.
fn settled_counters(gateway: &EnvoyGateway) -> Result<BTreeMap<String, u64>> {
    wait::until_some(Duration::from_secs(60), "the end of every record", || {
        let counters: BTreeMap<String, u64> = gateway.counters()?;
        let value = |name: &str| counters.get(name).copied().unwrap_or(0);
        let dropped = counters
            .iter()
            .filter(|(name, _)| name.starts_with("ase_records_dropped_"));
        let ended = value("ase_records_delivered") + dropped.map(|(_, value)| value).sum::<u64>();
        Ok((ended == value("ase_records_queued")).then(|| counters.clone()))
    })
}
