//! The decision itself: a parsed report in, a verdict out, against the same definitions and a list of the same mixture.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use ase_core::address::Network;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::decision::{NoCounts, Snapshot, decide};
use ase_core::identifier_list::{Entry, IdentifierList, ListedIdentifier, Scope, Source};
use ase_core::metadata::RequestReport;
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use ase_core::wire;

use crate::population;
use crate::statistics::{median, spread};
use crate::workload;

const NOW: UnixMillis = UnixMillis(1_763_771_712_345);
/// Questions; as many as the load has.
const QUESTIONS: u32 = 4096;
/// Decisions per sample.
const DECISIONS: usize = 200_000;
const SAMPLES: usize = 5;

/// Prints what reading a question and deciding on it cost.
pub(crate) fn report(entries: u32) -> Result<()> {
    let snapshot = snapshot(entries)?;
    let key = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None);
    let bodies: Vec<String> = (0..QUESTIONS).map(workload::question_body).collect();
    let mut metadata = Vec::new();
    for body in &bodies {
        metadata.push(
            wire::read_request(body)
                .ok()
                .context("a question of the load cannot be read")?,
        );
    }
    let mut reports = Vec::new();
    for metadata in &metadata {
        reports.push(
            RequestReport::of(metadata)
                .ok()
                .context("a question of the load is incomplete")?,
        );
    }
    let mut deciding = Vec::new();
    let mut reading = Vec::new();
    for _ in 0..SAMPLES {
        let started = Instant::now();
        for report in reports.iter().cycle().take(DECISIONS) {
            black_box(decide(black_box(report), &snapshot, &key, &NoCounts, NOW));
        }
        deciding.push(started.elapsed().as_nanos() as f64 / DECISIONS as f64);
        let started = Instant::now();
        for body in bodies.iter().cycle().take(DECISIONS) {
            let metadata = wire::read_request(black_box(body));
            if let Ok(metadata) = &metadata {
                drop(black_box(RequestReport::of(metadata)));
            }
        }
        reading.push(started.elapsed().as_nanos() as f64 / DECISIONS as f64);
    }
    println!(
        "decision  {:.0} ns {}; reading the question before it {:.0} ns {}",
        median(&deciding),
        spread(&deciding),
        median(&reading),
        spread(&reading)
    );
    Ok(())
}

fn snapshot(entries: u32) -> Result<Snapshot> {
    let mut definitions = Vec::new();
    for n in 0..workload::APIS {
        let id = ApiId::parse(&format!("api{n}"))?;
        let read = ApiDefinition::from_json(id, population::definition(n).as_bytes());
        definitions.push(
            read.ok()
                .context("a definition of the load cannot be read")?
                .0,
        );
    }
    let registry = Registry::compile(definitions)
        .ok()
        .context("the definitions of the load contradict each other")?;
    let mut attack = IdentifierList::default();
    for n in 0..entries {
        let text = population::identifier(n);
        let identifier = match text.split_once(' ') {
            None => ListedIdentifier::Network(Network::parse(&text)?),
            Some((kind, id)) => ListedIdentifier::Credential {
                kind: CredentialKind::parse(kind)?,
                id: CredentialId::parse(id)?,
            },
        };
        let reason = population::reason(n).into();
        attack.insert(
            identifier,
            Entry {
                scope: Scope::All,
                expires: None,
                source: Source::Manual,
                reason,
                added: NOW,
            },
        );
    }
    Ok(Snapshot {
        registry: Arc::new(registry),
        attack,
        ..Snapshot::default()
    })
}
