//! The decision itself: a parsed report in, a verdict out, against the same definitions and a list of the same mixture.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ase_core::address::Network;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::decision::{NoCounts, Snapshot, decide};
use ase_core::identifier_list::{Entry, IdentifierList, ListedIdentifier, Source};
use ase_core::metadata::{RequestMetadata, RequestReport};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use ase_core::wire;

use crate::population;
use crate::workload;
use ase_bench::statistics::{median, spread};

const NOW: UnixMillis = UnixMillis(1_763_771_712_345);
/// Questions; as many as the load has.
const QUESTIONS: u32 = 4096;
/// Questions that are read before they are decided on: a report is in the cache when it has just been read, as it is in the daemon; the lists are not.
const AT_ONCE: usize = 16;
/// Such groups per sample.
const CHUNKS: usize = 12_500;
const SAMPLES: usize = 5;

/// Prints what reading a question and deciding on it cost.
pub(crate) fn report(entries: u32) -> Result<()> {
    let snapshot = snapshot(entries)?;
    let key = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [7; 32]), None);
    let bodies: Vec<String> = (0..QUESTIONS).map(workload::question_body).collect();
    let (mut deciding, mut reading) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let mut spent = (Duration::ZERO, Duration::ZERO);
        for bodies in bodies.chunks(AT_ONCE).cycle().take(CHUNKS) {
            let started = Instant::now();
            let metadata = read(bodies)?;
            let mut reports = Vec::with_capacity(AT_ONCE);
            for metadata in &metadata {
                let report = RequestReport::of(black_box(metadata)).ok();
                reports.push(report.context("a question of the load is incomplete")?);
            }
            let read = Instant::now();
            for report in &reports {
                black_box(decide(black_box(report), &snapshot, &key, &NoCounts, NOW));
            }
            spent.0 += read.elapsed();
            spent.1 += read - started;
        }
        let each = |spent: Duration| spent.as_nanos() as f64 / (CHUNKS * AT_ONCE) as f64;
        deciding.push(each(spent.0));
        reading.push(each(spent.1));
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

fn read(bodies: &[String]) -> Result<Vec<RequestMetadata<'_>>> {
    let mut read = Vec::with_capacity(AT_ONCE);
    for body in bodies {
        let metadata = wire::read_request(black_box(body)).ok();
        read.push(metadata.context("a question of the load cannot be read")?);
    }
    Ok(read)
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
        let reason = population::reason(n);
        attack.insert(identifier, Entry::everywhere(Source::Manual, reason, NOW));
    }
    Ok(Snapshot {
        registry: Arc::new(registry),
        attack,
        ..Snapshot::default()
    })
}
