//! The filter's log follows the gateway's level while it runs: what is not wanted is not even written.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use system_tests::forgetful::{self, ForgetfulAse};
use system_tests::gateway::{Gateway, GatewayKind, GatewayPlan, Listener, filter_module};
use system_tests::raw_client::{Bytes, Client};
use system_tests::scenario::configuration;
use system_tests::wait;
use system_tests::wasm_gateway::LogLevel;

/// Longest wait for a new level to be known to the filter, which looks at each tick.
const SOON: Duration = Duration::from_secs(30);

/// What the filter writes about each exchange at `debug`.
const LINE: &str = "ase: stream ";

#[test]
fn what_is_below_the_level_is_not_written_under_wasmtime() -> Result<()> {
    follows(GatewayKind::Wasmtime)
}

#[test]
fn what_is_below_the_level_is_not_written_under_envoy() -> Result<()> {
    follows(GatewayKind::Envoy)
}

fn follows(kind: GatewayKind) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (ase, upstream) = (ForgetfulAse::start()?, forgetful::upstream()?);
    let gateway = kind.start(&GatewayPlan {
        module: filter_module(),
        plugin_configuration: configuration(&Value::Null),
        upstream: upstream.address(),
        clusters: BTreeMap::from([("ase".to_owned(), vec![ase.address()])]),
        listener: Listener::default(),
        folder: folder.path().to_path_buf(),
    })?;
    let gateway = &*gateway;
    for _ in 0..2 {
        gateway.set_log_level(LogLevel::Warn)?;
        // The filter knows once a request leaves no line.
        wait::until_some(SOON, "a request without a line", || {
            let before = written(gateway);
            get(gateway)?;
            Ok((written(gateway) == before).then_some(()))
        })?;
        let before = written(gateway);
        for _ in 0..20 {
            get(gateway)?;
        }
        ensure!(
            written(gateway) == before,
            "lines that nobody wants are written"
        );
        gateway.set_log_level(LogLevel::Debug)?;
        let lines = shown(gateway);
        wait::until_some(SOON, "a line about a request", || {
            get(gateway)?;
            Ok((shown(gateway) > lines).then_some(()))
        })?;
    }
    Ok(())
}

fn shown(gateway: &dyn Gateway) -> u64 {
    u64::try_from(gateway.log().matches(LINE).count()).unwrap_or(u64::MAX)
}

/// The lines that are shown, and those that were written in vain.
fn written(gateway: &dyn Gateway) -> u64 {
    shown(gateway) + gateway.lines_in_vain().unwrap_or(0)
}

/// One exchange to its very end, which is when its record is queued.
fn get(gateway: &dyn Gateway) -> Result<()> {
    let before = records(gateway)?;
    let mut client = Client::connect(gateway.address())?;
    let request = "GET /level HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    client.send(&Bytes {
        method: "GET".to_owned(),
        pieces: vec![request.as_bytes().to_vec()],
    })?;
    ensure!(client.reply("GET", None)?.status == 200);
    wait::until_some(SOON, "the end of an exchange", || {
        Ok((records(gateway)? > before).then_some(()))
    })
}

fn records(gateway: &dyn Gateway) -> Result<Option<u64>> {
    Ok(gateway.counters()?.get("ase_records_queued").copied())
}
