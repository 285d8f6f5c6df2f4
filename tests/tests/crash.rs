//! The filter traps: what Envoy does about it under each of its failure policies. Recovery is judged by Envoy's answers.
//!
//! Real Envoy; the shipped module with a trap in front of its request hook ([`system_tests::trapping_module`]), the scripted ASE.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::envoy_gateway::EnvoyGateway;
use system_tests::gateway::{Gateway, GatewayPlan, Listener, Reconfigured, filter_module};
use system_tests::raw_client::{Bytes, Client};
use system_tests::scenario::configuration;
use system_tests::scripted_ase::{Answer, ScriptedAse};
use system_tests::trapping_module::{TRAP_HEADERS, with_trap};
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

/// Longest wait for a recovery or a record; recovery takes a second or two, and machines that test are busy.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn under_fail_reload_a_trap_costs_a_second_or_two_and_the_filter_is_back_with_its_configuration()
-> Result<()> {
    let stage = Stage::set("FAIL_RELOAD")?;
    ensure!(stage.get("/before")? == 200);
    for crash in 1..=2 {
        let (took, refused) = stage.recover_from_a_trap()?;
        println!(
            "crash {crash}: answered as usual after {took:?}, {refused} requests refused meanwhile"
        );
        stage.ase.script(&[denial()], &[]);
        ensure!(
            stage.get("/denied")? == 403,
            "the filter is back and decides nothing"
        );
        ensure!(stage.get("/allowed")? == 200);
        let delivered = stage.ase.wait(SOON, |heard| {
            let records = heard.records.iter();
            records
                .filter(|record| record["request"]["url"] == "/allowed")
                .count()
                == crash
        });
        ensure!(delivered, "a new VM delivers no records");
    }
    let reloads = stage.gateway.stat("wasm.ase.vm_reload_success")?;
    ensure!(reloads == Some(2), "{reloads:?}");
    let heard = stage.ase.heard();
    let ids: Vec<_> = heard
        .records
        .iter()
        .map(|record| record["id"].to_string())
        .collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    ensure!(distinct.len() == ids.len(), "{ids:?}");
    Ok(())
}

#[test]
fn under_the_other_policies_the_worker_stays_closed_or_open_until_a_new_configuration() -> Result<()>
{
    let (mut closed, mut open) = (Stage::set("FAIL_CLOSED")?, Stage::set("FAIL_OPEN")?);
    let reloading = Stage::set("FAIL_RELOAD")?;
    for stage in [&closed, &open] {
        ensure!(stage.get("/before")? == 200);
        ensure!(stage.trap()? == 503);
    }
    // By then one that could come back would have.
    reloading.recover_from_a_trap()?;
    reloading.recover_from_a_trap()?;
    for stage in [&closed, &open] {
        stage.ase.script(&vec![denial(); 20], &[]);
    }
    for _ in 0..20 {
        ensure!(
            closed.get("/after")? == 503,
            "FAIL_CLOSED does not answer 503"
        );
        ensure!(
            open.get("/after")? == 200,
            "FAIL_OPEN does not let requests pass"
        );
    }
    ensure!(
        closed.asked("/after") == 0 && open.asked("/after") == 0,
        "somebody was inspected"
    );
    for stage in [&mut closed, &mut open] {
        stage.ase.script(&[denial()], &[]);
        let taken = stage
            .gateway
            .reconfigure(&configuration(&json!({"block": {"status": 451}})))?;
        ensure!(taken == Reconfigured::Accepted);
        ensure!(
            stage.get("/new")? == 451,
            "a new configuration does not bring the filter back"
        );
    }
    Ok(())
}

#[test]
fn the_shipped_module_does_not_trap_where_the_one_with_the_trap_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::with(&filter_module(), "FAIL_CLOSED", folder)?;
    ensure!(stage.trap()? == 200);
    ensure!(stage.get("/after")? == 200);
    Ok(())
}

/// An Envoy whose filter can be made to trap.
struct Stage {
    gateway: EnvoyGateway,
    ase: ScriptedAse,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Stage {
    fn set(failure_policy: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let module = folder.path().join("trapping.wasm");
        let shipped = filter_module();
        let shipped = std::fs::read(&shipped)
            .with_context(|| format!("{}: run `make filter`", shipped.display()))?;
        std::fs::write(&module, with_trap(&shipped)?)?;
        Self::with(&module, failure_policy, folder)
    }

    fn with(module: &Path, failure_policy: &str, folder: TempDir) -> Result<Self> {
        let (ase, upstream) = (ScriptedAse::start()?, Upstream::start()?);
        let gateway = EnvoyGateway::start(&GatewayPlan {
            module: module.to_path_buf(),
            plugin_configuration: configuration(&Value::Null),
            upstream: upstream.address(),
            clusters: BTreeMap::from([("ase".to_owned(), vec![ase.address()])]),
            listener: Listener {
                failure_policy: Some(failure_policy.to_owned()),
                ..Listener::default()
            },
            folder: folder.path().to_path_buf(),
        })?;
        Ok(Self {
            gateway,
            ase,
            _upstream: upstream,
            _folder: folder,
        })
    }

    /// The status of a request that is like any other.
    fn get(&self, target: &str) -> Result<u16> {
        status(self.gateway.address(), target, 0)
    }

    /// The status of a request that the module traps at.
    fn trap(&self) -> Result<u16> {
        status(self.gateway.address(), "/trap", TRAP_HEADERS)
    }

    /// How long it took, and how many requests were refused meanwhile.
    fn recover_from_a_trap(&self) -> Result<(Duration, u32)> {
        ensure!(
            self.trap()? == 503,
            "a request that traps is not answered 503"
        );
        let trapped = Instant::now();
        let mut refused = 0;
        wait::until_some(SOON, "an answer from upstream", || {
            match self.get("/again")? {
                200 => Ok(Some((trapped.elapsed(), refused))),
                503 => {
                    refused += 1;
                    Ok(None)
                }
                other => anyhow::bail!("a request during the recovery got {other}"),
            }
        })
    }

    fn asked(&self, target: &str) -> usize {
        let heard = self.ase.heard();
        let questions = heard.questions.iter();
        questions
            .filter(|question| question.json.get("url").is_some_and(|url| url == target))
            .count()
    }
}

fn denial() -> Answer {
    Answer {
        status: 403,
        ..Answer::default()
    }
}

/// The status of a request with so many headers of its own, on a connection of its own.
fn status(gateway: SocketAddr, target: &str, headers: u8) -> Result<u16> {
    let more: String = (0..headers)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let request = format!("GET {target} HTTP/1.1\r\nhost: h\r\n{more}\r\n");
    let mut client = Client::connect(gateway)?;
    client.send(&Bytes {
        method: "GET".to_owned(),
        pieces: vec![request.into_bytes()],
    })?;
    Ok(client.reply("GET", None)?.status)
}
