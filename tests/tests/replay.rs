//! A recorded log, replayed through a real Envoy into a real ASE: no record lost, none doubled, the right client on
//! each, and exactly the listed clients blocked.
//!
//! The log is generated here; with `ASE_TRAFFIC` naming a folder that holds `public-site-2015.access.log`, that file is
//! replayed as well.

#![expect(
    clippy::print_stdout,
    reason = "says what was replayed, and what was not"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::envoy_gateway::EnvoyGateway;
use system_tests::gateway::{
    Gateway, GatewayKind, GatewayPlan, Listener, filter_module, wait_for_image,
};
use system_tests::real_ase::{self, RealAse, RealAsePlan};
use system_tests::upstream::Upstream;
use system_tests::wait;

#[test]
fn in_sync_exactly_the_listed_clients_of_a_generated_log_are_blocked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    replay(&generated_log(folder.path())?, "sync")
}

#[test]
fn in_async_the_listed_clients_of_a_generated_log_pass_and_are_logged_as_would_block() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    replay(&generated_log(folder.path())?, "async")
}

#[test]
fn in_local_exactly_the_listed_clients_of_a_generated_log_are_blocked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    replay(&generated_log(folder.path())?, "local")
}

#[test]
fn with_decoys_tokens_and_patterns_local_blocks_exactly_the_requests_that_sync_blocks() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let log = rules_log(folder.path())?;
    let (in_sync, in_local) = (blocked(&log, "sync")?, blocked(&log, "local")?);
    ensure!(in_sync.blocked == in_local.blocked, "not the same requests");
    let must = (0..RULES_LINES).filter(|number| Visitor::of(*number).is_to_be_blocked(*number));
    ensure!(in_sync.blocked == must.collect(), "{:?}", in_sync.blocked);
    ensure!(in_sync.unasked == 0);
    println!(
        "{} of {RULES_LINES} requests blocked in both; in local {} passed unasked",
        in_local.blocked.len(),
        in_local.unasked
    );
    // Who is neither listed nor at an API with rules.
    ensure!(in_local.unasked >= RULES_LINES / 3, "{}", in_local.unasked);
    Ok(())
}

#[test]
fn the_recorded_traffic_of_a_public_site_is_replayed_in_both_modes() -> Result<()> {
    let Some(folder) = std::env::var_os("ASE_TRAFFIC") else {
        println!("ASE_TRAFFIC is unset: no recorded traffic to replay, only the generated log was");
        return Ok(());
    };
    let log = PathBuf::from(folder).join("public-site-2015.access.log");
    replay(&log, "sync")?;
    replay(&log, "local")?;
    replay(&log, "async")
}

fn replay(log: &Path, mode: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = std::fs::read(log).with_context(|| format!("read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    let expected = requests_per_client(&text);
    let listed = busiest(&expected, 10);
    let upstream = Upstream::start()?;
    let ase = RealAse::start(&ase_plan(&listed), folder.path())?;
    let gateway = gateway(&upstream, &ase, folder.path(), mode)?;

    let summary = run_replay(log, &gateway)?;

    let total: u64 = expected.values().sum();
    let lines = wait::until_some(
        Duration::from_secs(60),
        "every record in the access log",
        || {
            let lines = ase.access_log();
            Ok((lines.len() as u64 >= total).then_some(lines))
        },
    )?;
    check_summary(&summary, total, mode, listed_requests(&expected, &listed))?;
    check_lines(&lines, &expected, &listed, mode)?;
    ensure!(!gateway.trapped(), "the filter trapped:\n{}", gateway.log());
    println!(
        "{mode}: {total} requests, {} records, {} of listed clients",
        lines.len(),
        listed_requests(&expected, &listed)
    );
    Ok(())
}

/// What became of a log.
struct Replayed {
    /// The requests that were blocked, by their numbers.
    blocked: BTreeSet<usize>,
    /// How many passed by the gateway's image.
    unasked: usize,
}

fn blocked(log: &Path, mode: &str) -> Result<Replayed> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start()?;
    let ase = RealAse::start(&rules_plan(), folder.path())?;
    let gateway = gateway(&upstream, &ase, folder.path(), mode)?;
    run_replay(log, &gateway)?;
    let lines = wait::until_some(Duration::from_secs(60), "every record", || {
        let lines = ase.access_log();
        Ok((lines.len() >= RULES_LINES).then_some(lines))
    })?;
    let is =
        |line: &Value, key: &str, value: &str| line.get(key).is_some_and(|found| found == value);
    let number = |line: &Value| {
        let referer = line.get("referer")?.as_str()?;
        referer.rsplit('/').next()?.parse().ok()
    };
    let denied = lines.iter().filter(|line| is(line, "outcome", "denied"));
    Ok(Replayed {
        blocked: denied
            .map(|line| number(line).with_context(|| line.to_string()))
            .collect::<Result<_>>()?,
        unasked: lines
            .iter()
            .filter(|line| is(line, "decision", "local"))
            .count(),
    })
}

const RULES_LINES: usize = 1200;
const VISITORS: usize = 60;

/// Who sends one line of the log with rules. Each breaks the same rule with every request, so it does not matter who is listed for it first.
#[derive(Clone, Copy)]
enum Visitor {
    FallsForTheDecoy,
    UsesAnotherMethod,
    BringsNoToken,
    KeepsTheRules,
    IsListed,
    VisitsWhereThereAreNone,
}

impl Visitor {
    fn of(number: usize) -> Self {
        match number % VISITORS {
            0..5 => Self::FallsForTheDecoy,
            5..10 => Self::UsesAnotherMethod,
            10..15 => Self::BringsNoToken,
            15..25 => Self::KeepsTheRules,
            25..32 => Self::IsListed,
            _ => Self::VisitsWhereThereAreNone,
        }
    }

    fn target(self, number: usize) -> &'static str {
        match self {
            Self::FallsForTheDecoy => "GET /shop/admin",
            Self::UsesAnotherMethod => "GET /orders/1",
            Self::BringsNoToken => "GET /accounts/1",
            Self::KeepsTheRules if number.is_multiple_of(2) => "GET /shop/books",
            Self::KeepsTheRules => "POST /orders/1",
            Self::IsListed if number.is_multiple_of(2) => "POST /orders/1",
            Self::IsListed | Self::VisitsWhereThereAreNone => "GET /index.html",
        }
    }

    fn is_to_be_blocked(self, number: usize) -> bool {
        match self {
            // The decoy answers whoever comes for the first time.
            Self::FallsForTheDecoy => number >= VISITORS,
            Self::UsesAnotherMethod | Self::BringsNoToken | Self::IsListed => true,
            Self::KeepsTheRules | Self::VisitsWhereThereAreNone => false,
        }
    }
}

fn rules_log(folder: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for number in 0..RULES_LINES {
        let (client, target) = (number % VISITORS, Visitor::of(number).target(number));
        writeln!(
            text,
            "198.51.100.{client} - - [17/May/2015:10:05:03 +0000] \"{target} HTTP/1.1\" 200 2030 \"http://a.example/{number}\" \"curl/8.5\""
        )?;
    }
    let log = folder.join("rules.access.log");
    std::fs::write(&log, text)?;
    Ok(log)
}

fn rules_plan() -> RealAsePlan {
    let api = |url: &str, rules: Value| {
        let mut metadata =
            json!({"protocol": "http", "url": url, "hostname": "*", "enable_blocking": true});
        if let (Some(metadata), Value::Object(rules)) = (metadata.as_object_mut(), rules) {
            metadata.extend(rules);
        }
        json!({"api_metadata": metadata})
    };
    let decoy = json!({"decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin"]}});
    let pattern = json!({"api_pattern_enforcement": {"methods_allowed": ["POST"]}});
    let token = json!({"oauth2_access_token": true, "is_token_mandatory": true});
    RealAsePlan {
        apis: BTreeMap::from([
            ("root".to_owned(), api("/", json!({}))),
            ("shop".to_owned(), api("/shop", decoy)),
            ("orders".to_owned(), api("/orders", pattern)),
            ("accounts".to_owned(), api("/accounts", token)),
        ]),
        config: "enable_ase_detected_attack = true\n".to_owned(),
        deny: (25..32)
            .map(|client| format!("ip 198.51.100.{client}"))
            .collect(),
    }
}

fn run_replay(log: &Path, gateway: &EnvoyGateway) -> Result<Value> {
    let output = Command::new(real_ase::program())
        .arg("replay")
        .arg(log)
        .args([
            "--gateway",
            &format!("http://{}", gateway.address()),
            "--json",
        ])
        .output()
        .context("start ase replay")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ase replay ended with {}:\n{errors}",
        output.status
    );
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("summary of ase replay; it said:\n{errors}"))
}

fn check_summary(summary: &Value, total: u64, mode: &str, listed: u64) -> Result<()> {
    let count = |path: &str| summary.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    ensure!(
        count("/sent") == total,
        "{total} requests in the log: {summary}"
    );
    let blocked = if mode == "async" { 0 } else { listed };
    ensure!(
        count("/statuses/403") == blocked,
        "{blocked} requests to block: {summary}"
    );
    ensure!(
        count("/statuses/200") == total - blocked,
        "{total} requests: {summary}"
    );
    Ok(())
}

fn check_lines(
    lines: &[Value],
    expected: &BTreeMap<String, u64>,
    listed: &BTreeSet<String>,
    mode: &str,
) -> Result<()> {
    let text = |line: &Value, key: &str| {
        line.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let ids: BTreeSet<String> = lines.iter().map(|line| text(line, "id")).collect();
    ensure!(
        ids.len() == lines.len(),
        "{} records, {} ids",
        lines.len(),
        ids.len()
    );
    let mut found = BTreeMap::new();
    for line in lines {
        let client = text(line, "client_ip");
        let outcome = (text(line, "outcome"), text(line, "verdict"));
        let outcome = (outcome.0.as_str(), outcome.1.as_str());
        let promised = match (mode, listed.contains(&client)) {
            ("sync" | "local", true) => ("denied", "blocked"),
            ("sync" | "local", false) => ("upstream", "allowed"),
            (_, true) => ("upstream", "would_block"),
            (_, false) => ("upstream", "allowed"),
        };
        ensure!(
            outcome == promised,
            "{outcome:?} instead of {promised:?}: {line}"
        );
        *found.entry(client).or_insert(0) += 1;
    }
    ensure!(found == *expected, "requests per client differ");
    Ok(())
}

fn requests_per_client(log: &str) -> BTreeMap<String, u64> {
    let mut clients = BTreeMap::new();
    for client in log.lines().filter_map(|line| line.split(' ').next()) {
        *clients.entry(client.to_owned()).or_insert(0) += 1;
    }
    clients
}

fn busiest(clients: &BTreeMap<String, u64>, count: usize) -> BTreeSet<String> {
    let mut by_requests: Vec<_> = clients.iter().collect();
    by_requests
        .sort_by_key(|(client, requests)| (std::cmp::Reverse(**requests), (*client).clone()));
    by_requests
        .into_iter()
        .take(count)
        .map(|(client, _)| client.clone())
        .collect()
}

fn listed_requests(clients: &BTreeMap<String, u64>, listed: &BTreeSet<String>) -> u64 {
    clients
        .iter()
        .filter(|(client, _)| listed.contains(*client))
        .map(|(_, requests)| requests)
        .sum()
}

/// 3,000 requests of 60 clients, some of them with the oddities of a real log.
fn generated_log(folder: &Path) -> Result<PathBuf> {
    let paths = [
        "/",
        "/a?b=c&d=%20e",
        "/caf\u{e9}",
        "/x|y{z}",
        "/a//b/../c",
        "/very/long/".repeat(50).leak(),
    ];
    let agents = [
        "curl/8.5",
        "Mozilla/5.0 (\\\"quoted\\\" \\\\ back)",
        "-",
        "agent with \\xe9",
    ];
    let mut text = String::new();
    for number in 0_usize..3000 {
        let client = number * number % 61;
        let path = paths.get(number % paths.len()).context("a path")?;
        let agent = agents.get(number % agents.len()).context("an agent")?;
        let method = if number % 7 == 0 { "HEAD" } else { "GET" };
        writeln!(
            text,
            "198.51.100.{client} - - [17/May/2015:10:05:03 +0000] \"{method} {path} HTTP/1.1\" 200 203023 \"http://a.example/{number}\" \"{agent}\""
        )?;
    }
    let log = folder.join("generated.access.log");
    std::fs::write(&log, text)?;
    Ok(log)
}

fn ase_plan(listed: &BTreeSet<String>) -> RealAsePlan {
    let api = json!({"api_metadata": {"protocol": "http", "url": "/", "hostname": "*", "enable_blocking": true}});
    RealAsePlan {
        apis: BTreeMap::from([("root".to_owned(), api)]),
        deny: listed.iter().map(|client| format!("ip {client}")).collect(),
        ..RealAsePlan::default()
    }
}

/// In `local` mode with its image.
fn gateway(upstream: &Upstream, ase: &RealAse, folder: &Path, mode: &str) -> Result<EnvoyGateway> {
    let plan = GatewayPlan {
        module: filter_module(),
        plugin_configuration: json!({
            "mode": mode,
            "ase": {"cluster": "ase", "timeout_ms": 10_000},
            "client_address": {"from": "xff", "trusted_hops": 1},
        }),
        upstream: upstream.address(),
        clusters: BTreeMap::from([("ase".to_owned(), vec![ase.data_address()])]),
        listener: Listener::default(),
        folder: folder.join("gateway"),
    };
    let gateway = EnvoyGateway::start(&plan)?;
    if mode == "local" {
        wait_for_image(&gateway, GatewayKind::Envoy.vms(&plan.listener))?;
    }
    Ok(gateway)
}
