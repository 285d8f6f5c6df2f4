//! `local` mode with the real ASE behind a real Envoy of several workers: what is listed, freed and lost while requests come.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::envoy_gateway::EnvoyGateway;
use system_tests::gateway::{
    Gateway, GatewayKind, GatewayPlan, Listener, filter_module, wait_for_image,
};
use system_tests::raw_client::Client;
use system_tests::real_ase::{RealAse, RealAsePlan};
use system_tests::scenario::configuration;
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

const SETTLES_WITHIN: Duration = Duration::from_secs(20);
const WORKERS: u32 = 3;
/// So many new connections reach every worker, but for one time in millions.
const CONNECTIONS: usize = 48;

#[test]
fn listing_and_freeing_hold_on_every_worker_and_the_others_are_never_asked_about() -> Result<()> {
    let stage = Stage::set(&json!({}))?;
    stage.all_get(200, "203.0.113.9")?;
    stage.questions()?;
    ensure!(
        stage.counter("ase_permit_verdict")? == 0,
        "nobody was asked about"
    );
    ensure!(stage.questions()? == 0, "and ASE was not asked");
    stage.until_all_get(403, "203.0.113.7")?;
    stage.ase.command("deny add ip 203.0.113.8")?;
    stage.until_all_get(403, "203.0.113.8")?;
    stage.ase.command("deny remove ip 203.0.113.8")?;
    stage.until_all_get(200, "203.0.113.8")?;
    let asked = stage.questions()?;
    stage.all_get(200, "203.0.113.9")?;
    ensure!(stage.questions()? == asked);
    ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    Ok(())
}

/// A minute lies between two looks for news, and longer than a test waits.
#[test]
fn what_is_listed_between_two_looks_holds_on_every_worker_by_the_receipts_of_batches() -> Result<()>
{
    let stage = Stage::set(&json!({"local": {"poll_ticks": 3000, "max_age_ms": 180_000}}))?;
    let looked = stage.counter("ase_images_taken")?;
    stage.all_get(200, "203.0.113.8")?;
    stage.ase.command("deny add ip 203.0.113.8")?;
    stage.until_all_get(403, "203.0.113.8")?;
    ensure!(stage.counter("ase_images_taken")? == looked);
    ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    Ok(())
}

#[test]
fn a_killed_ase_leaves_the_last_image_and_a_new_one_comes_with_its_return() -> Result<()> {
    let mut stage = Stage::set(&json!({"on_failure": "closed", "local": {"max_age_ms": 2000}}))?;
    stage.ase.kill()?;
    stage.all_get(200, "203.0.113.9")?;
    stage.all_get(503, "203.0.113.7")?;
    stage.until_all_get(503, "203.0.113.9")?;
    stage.questions()?;
    ensure!(stage.counter("ase_local_asked_stale")? > 0);
    stage.ase.restart()?;
    stage.ase.command("deny add ip 203.0.113.8")?;
    stage.until_all_get(200, "203.0.113.9")?;
    stage.until_all_get(403, "203.0.113.8")?;
    stage.until_all_get(403, "203.0.113.7")?;
    ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    Ok(())
}

#[test]
fn an_api_that_gets_a_rule_is_asked_about_from_then_on() -> Result<()> {
    let stage = Stage::set(&json!({}))?;
    let asked = stage.questions()?;
    stage.all_get(200, "203.0.113.9")?;
    ensure!(stage.questions()? == asked);
    let decoy = json!({"decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin"]}});
    stage.define(&decoy)?;
    wait::until_some(SETTLES_WITHIN, "questions about every request", || {
        let before = stage.questions()?;
        stage.all_get(200, "203.0.113.9")?;
        Ok((stage.questions()? - before >= CONNECTIONS as u64).then_some(()))
    })?;
    ensure!(stage.counter("ase_local_asked_always_ask")? > 0);
    Ok(())
}

struct Stage {
    gateway: EnvoyGateway,
    ase: RealAse,
    _upstream: Upstream,
    folder: TempDir,
    sent: Cell<u64>,
}

impl Stage {
    fn set(changes: &Value) -> Result<Self> {
        let folder = TempDir::with_prefix("ase-local-")?;
        let upstream = Upstream::start()?;
        let plan = RealAsePlan {
            apis: BTreeMap::from([("root".to_owned(), definition(&json!({})))]),
            deny: vec!["ip 203.0.113.7".to_owned()],
            ..RealAsePlan::default()
        };
        let ase = RealAse::start(&plan, &folder.path().join("ase"))?;
        let mut own = changes.clone();
        let settings = own.as_object_mut().context("changes are an object")?;
        settings.insert("mode".to_owned(), json!("local"));
        let plan = GatewayPlan {
            module: filter_module(),
            plugin_configuration: configuration(&own),
            upstream: upstream.address(),
            clusters: BTreeMap::from([("ase".to_owned(), vec![ase.data_address()])]),
            listener: Listener {
                workers: Some(WORKERS),
                ..Listener::default()
            },
            folder: folder.path().to_path_buf(),
        };
        let gateway = EnvoyGateway::start(&plan)?;
        wait_for_image(&gateway, GatewayKind::Envoy.vms(&plan.listener))?;
        Ok(Self {
            gateway,
            ase,
            _upstream: upstream,
            folder,
            sent: Cell::new(0),
        })
    }

    fn define(&self, rules: &Value) -> Result<()> {
        let file = self.folder.path().join("ase/apis/root.json");
        Ok(std::fs::write(file, definition(rules).to_string())?)
    }

    fn all_get(&self, status: u16, client: &str) -> Result<()> {
        for _ in 0..CONNECTIONS {
            let got = self.send(client)?;
            ensure!(got == status, "{client} got {got}, not {status}");
        }
        Ok(())
    }

    fn until_all_get(&self, status: u16, client: &str) -> Result<()> {
        let what = format!("{status} for {client} on every worker");
        wait::until_some(SETTLES_WITHIN, &what, || {
            for _ in 0..CONNECTIONS {
                if self.send(client)? != status {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    fn send(&self, client: &str) -> Result<u16> {
        self.sent.set(self.sent.get() + 1);
        Client::connect(self.gateway.address())?.get_from(client)
    }

    fn counter(&self, name: &str) -> Result<u64> {
        Ok(self.gateway.counters()?.get(name).copied().unwrap_or(0))
    }

    /// How many requests waited for ASE, once every request has been counted: that comes with the tick.
    fn questions(&self) -> Result<u64> {
        wait::until_some(SETTLES_WITHIN, "the count of every request", || {
            let counters = self.gateway.counters()?;
            let sum = |start: &str| -> u64 {
                let of_it = counters.iter().filter(|(name, _)| name.starts_with(start));
                of_it.map(|(_, count)| count).sum()
            };
            let counted = sum("ase_permit_") + sum("ase_deny_");
            Ok((counted == self.sent.get()).then(|| sum("ase_local_asked_")))
        })
    }
}

fn definition(rules: &Value) -> Value {
    let mut metadata =
        json!({"protocol": "http", "url": "/", "hostname": "*", "enable_blocking": true});
    if let (Some(metadata), Some(rules)) = (metadata.as_object_mut(), rules.as_object()) {
        metadata.extend(rules.clone());
    }
    json!({"api_metadata": metadata})
}
