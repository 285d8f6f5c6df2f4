//! How often the filter calls its host about one request. A call costs a gateway about a microsecond, so one more is to be noticed, and meant.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ase_core::policy_image::FingerprintBits;
use serde_json::json;
use system_tests::gateway::{
    Gateway, GatewayKind, GatewayPlan, Listener, filter_module, wait_for_image,
};
use system_tests::raw_client::Client;
use system_tests::scenario::configuration;
use system_tests::scripted_ase::ScriptedAse;
use system_tests::scripted_image::ScriptedImage;
use system_tests::upstream::Upstream;
use system_tests::wait;
use system_tests::wasm_gateway::LogLevel;

const API: &str = r#"{"api_metadata": {"hostname": "*", "url": "/", "enable_blocking": true}}"#;
const REQUESTS: u64 = 20;
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
/// Those that act for a root context: what they call the host for is not for one request, but for the verdict, which comes in the last of them.
const ROOT_HOOKS: [&str; 5] = [
    "",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_http_call_response",
];

type Calls = BTreeMap<(&'static str, &'static str), u64>;

/// The properties are the client's address and the protocol.
const UNASKED: [((&str, &str), u64); 5] = [
    (
        ("proxy_on_request_headers", "proxy_get_header_map_pairs"),
        1,
    ),
    (("proxy_on_request_headers", "proxy_get_property"), 2),
    (
        (
            "proxy_on_request_headers",
            "proxy_get_current_time_nanoseconds",
        ),
        1,
    ),
    (
        ("proxy_on_response_headers", "proxy_get_header_map_pairs"),
        1,
    ),
    (("proxy_on_log", "proxy_get_current_time_nanoseconds"), 1),
];
const QUESTION: ((&str, &str), u64) = (("proxy_on_request_headers", "proxy_http_call"), 1);

#[test]
fn a_request_costs_six_host_calls_and_in_sync_the_question() -> Result<()> {
    for (mode, asked) in [("async", None), ("local", None), ("sync", Some(QUESTION))] {
        let wanted: Calls = UNASKED.into_iter().chain(asked).collect();
        let calls = calls_of_a_request(mode)?;
        ensure!(calls == wanted, "{mode}: {calls:?}");
    }
    Ok(())
}

/// What one request more costs.
fn calls_of_a_request(mode: &str) -> Result<Calls> {
    let folder = tempfile::tempdir()?;
    let (ase, upstream) = (ScriptedAse::start()?, Upstream::start()?);
    ase.heard().image = Some(ScriptedImage::of(
        API,
        std::iter::empty(),
        FingerprintBits::Eight,
    )?);
    let plan = GatewayPlan {
        module: filter_module(),
        plugin_configuration: configuration(&json!({"mode": mode})),
        upstream: upstream.address(),
        clusters: BTreeMap::from([("ase".to_owned(), vec![ase.address()])]),
        listener: Listener::default(),
        folder: folder.path().to_path_buf(),
    };
    let gateway = GatewayKind::Wasmtime.start(&plan)?;
    if mode == "local" {
        wait_for_image(&*gateway, 1)?;
    }
    gateway.set_log_level(LogLevel::Info)?;
    // The first request has the filter learn the level and define what it counts.
    send(&*gateway, 1)?;
    wait_for_records(&*gateway, 1)?;
    let before = gateway.host_calls().context("a host that counts")?;
    send(&*gateway, REQUESTS)?;
    wait_for_records(&*gateway, 1 + REQUESTS)?;
    let after = gateway.host_calls().context("a host that counts")?;
    ensure!(!gateway.trapped(), "{}", gateway.log());
    let mut calls = Calls::new();
    for ((hook, call), count) in after {
        let more = count - before.get(&(hook, call)).copied().unwrap_or(0);
        if more == 0 || ROOT_HOOKS.contains(&hook) {
            continue;
        }
        ensure!(
            more.is_multiple_of(REQUESTS),
            "{mode}: {more} calls of {call} in {hook} for {REQUESTS} requests"
        );
        calls.insert((hook, call), more / REQUESTS);
    }
    Ok(calls)
}

fn send(gateway: &dyn Gateway, requests: u64) -> Result<()> {
    let mut client = Client::connect(gateway.address())?;
    for _ in 0..requests {
        ensure!(client.get_from("203.0.113.9")? == 200);
    }
    Ok(())
}

/// A record is made when its exchange has ended, after which nothing is called for it.
fn wait_for_records(gateway: &dyn Gateway, records: u64) -> Result<()> {
    wait::until_some(SETTLES_WITHIN, "every record", || {
        let delivered = gateway.counters()?.get("ase_records_delivered").copied();
        Ok(delivered.filter(|count| *count == records))
    })
    .map(drop)
}
