//! Runs one scenario on one gateway.
//!
//! Whatever a scenario says, these hold: no trap, no call that breaks the wire, no upstream request before a verdict
//! that was waited for, no record lost, doubled or left over.

mod step;
mod wire_bytes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{Gateway, GatewayKind, GatewayPlan, filter_module, wait_for_image};
use crate::real_ase::RealAse;
use crate::scenario::on_nginx::configuration_on;
use crate::scenario::{AseCluster, Scenario};
use crate::scripted_ase::ScriptedAse;
use crate::upstream::Upstream;
use crate::wait;

/// Longest wait for what must come of a step.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// The parties of one scenario.
struct Stage {
    gateway: Box<dyn Gateway>,
    ase: ScriptedAse,
    daemon: Option<RealAse>,
    upstream: Upstream,
    /// Records that steps have accounted for.
    records: usize,
    _folder: TempDir,
}

/// Runs it.
///
/// # Errors
/// When anything is not as the scenario says; the error holds every difference and the gateway's log.
pub fn run(scenario: &Scenario, kind: GatewayKind) -> Result<()> {
    let scenario = &scenario.clone().as_seen_on(kind);
    let stage = Stage::set(scenario, kind);
    if !scenario.does_not_start.is_empty() {
        return check_refusal(stage, &scenario.does_not_start);
    }
    let mut stage = stage?;
    for (index, step) in scenario.step.iter().enumerate() {
        let played = stage.play(step);
        if let Err(fault) = played {
            bail!(
                "step {} ({}): {fault:#}\n{}",
                index + 1,
                step.name,
                stage.story()
            );
        }
    }
    stage
        .check_the_end()
        .map_err(|fault| anyhow!("at the end: {fault:#}\n{}", stage.story()))
}

/// The gateway must not have started, for the stated reasons.
fn check_refusal(stage: Result<Stage>, reasons: &[String]) -> Result<()> {
    let Err(refusal) = stage else {
        bail!("the gateway started")
    };
    let refusal = format!("{refusal:#}");
    match reasons
        .iter()
        .find(|reason| !refusal.contains(reason.as_str()))
    {
        Some(missing) => bail!("the refusal does not say {missing:?}: {refusal}"),
        None => Ok(()),
    }
}

impl Stage {
    fn set(scenario: &Scenario, kind: GatewayKind) -> Result<Self> {
        let folder = TempDir::with_prefix("ase-scenario-")?;
        let (ase, upstream) = (ScriptedAse::start()?, Upstream::start()?);
        let daemon = match &scenario.daemon {
            Some(plan) => Some(RealAse::start(plan, &folder.path().join("ase"))?),
            None => None,
        };
        let ase_address = daemon.as_ref().map_or(ase.address(), RealAse::data_address);
        let plan = GatewayPlan {
            module: filter_module(),
            plugin_configuration: configuration_on(kind, &scenario.filter),
            upstream: upstream.address(),
            clusters: clusters(scenario.ase_cluster, ase_address, ase.second_address()),
            listener: scenario.listener.clone(),
            folder: folder.path().to_path_buf(),
        };
        let gateway = kind.start(&plan)?;
        let judges = plan.plugin_configuration.get("mode") == Some(&Value::from("local"));
        if daemon.is_some() && judges {
            wait_for_image(&*gateway, kind.vms(&plan.listener))?;
        }
        Ok(Self {
            gateway,
            ase,
            daemon,
            upstream,
            records: 0,
            _folder: folder,
        })
    }

    /// What holds whatever the scenario says.
    fn check_the_end(&self) -> Result<()> {
        self.wait_until_delivered()?;
        ensure!(!self.gateway.trapped(), "the filter trapped");
        let log = self.gateway.log();
        let grumble = log.lines().find(|line| line.contains(" nginx: "));
        ensure!(grumble.is_none(), "what nginx does not offer: {grumble:?}");
        let heard = self.ase.heard();
        ensure!(
            heard.faults.is_empty(),
            "ASE was told what breaks the wire: {:?}",
            heard.faults
        );
        let ids: BTreeSet<&str> = heard
            .records
            .iter()
            .filter_map(|record| record.get("id")?.as_str())
            .collect();
        ensure!(
            ids.len() == heard.records.len(),
            "{} records but {} ids",
            heard.records.len(),
            ids.len()
        );
        drop(ids);
        drop(heard);
        let records = self.all_records();
        ensure!(
            records.len() == self.records,
            "{} records came, the steps account for {}",
            records.len(),
            self.records
        );
        check_early_records(&records)
    }

    /// Every queued record has been delivered or counted as lost, so nothing can still come.
    fn wait_until_delivered(&self) -> Result<()> {
        wait::until_some(SETTLES_WITHIN, "the end of all deliveries", || {
            let counters = self.gateway.counters()?;
            let value = |name: &str| counters.get(name).copied().unwrap_or(0);
            let dropped = [
                "queue_full",
                "too_large",
                "attempts",
                "rejected",
                "shutdown",
            ];
            let dropped: u64 = dropped
                .iter()
                .map(|reason| value(&format!("ase_records_dropped_{reason}")))
                .sum();
            let (done, queued) = (
                value("ase_records_delivered") + dropped,
                value("ase_records_queued"),
            );
            ensure!(
                done <= queued,
                "{queued} records were queued, but {done} delivered or dropped"
            );
            Ok((done == queued).then_some(()))
        })
    }

    /// What happened so far, for the reader of a failure.
    fn story(&self) -> String {
        let heard = self.ase.heard();
        let lines = |values: Vec<String>| {
            values
                .iter()
                .map(|line| format!("  {line}\n"))
                .collect::<String>()
        };
        let questions = heard
            .questions
            .iter()
            .map(|question| question.json.to_string())
            .collect();
        let records = heard.records.iter().map(Value::to_string).collect();
        let responses = heard
            .responses
            .iter()
            .map(|response| response.json.to_string())
            .collect();
        let log = self.gateway.log();
        let tail: Vec<String> = log.lines().rev().take(60).map(str::to_owned).collect();
        format!(
            "questions:\n{}records:\n{}response calls:\n{}batches: {:?}\nfaults: {:?}\ncounters: {:?}\n{}gateway's log:\n{}",
            lines(questions),
            lines(records),
            lines(responses),
            heard
                .batches
                .iter()
                .map(|(_, status)| status)
                .collect::<Vec<_>>(),
            heard.faults,
            self.gateway.counters(),
            self.daemon
                .as_ref()
                .map_or_else(String::new, RealAse::story),
            lines(tail.into_iter().rev().collect()),
        )
    }
}

/// A record of an open exchange says so, and bears the id of the one that came when it had ended.
fn check_early_records(records: &[Value]) -> Result<()> {
    let text = |record: &Value, name: &str| Some(record.get(name)?.as_str()?.to_owned());
    let ids: BTreeSet<String> = (records.iter().filter_map(|record| text(record, "id"))).collect();
    for record in records {
        let id = text(record, "id").unwrap_or_default();
        let whole = id.strip_suffix(".o");
        ensure!(
            whole.is_some() == (text(record, "end").as_deref() == Some("open")),
            "of an open exchange, or not? {record}"
        );
        let ended = whole.is_none_or(|whole| ids.contains(whole));
        ensure!(ended, "no record of the end of {id}");
    }
    Ok(())
}

fn clusters(
    state: AseCluster,
    ase: SocketAddr,
    second: SocketAddr,
) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut clusters = BTreeMap::from([("ase-2".to_owned(), vec![second])]);
    let endpoints = match state {
        AseCluster::OneEndpoint => vec![ase],
        AseCluster::NoEndpoint => Vec::new(),
        AseCluster::Absent => return clusters,
    };
    clusters.insert("ase".to_owned(), endpoints);
    clusters
}
