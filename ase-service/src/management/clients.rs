//! One client over the management port: what the engine knows of it, what was detected, and which lists have it. And the engine itself.
//!
//! A raw credential becomes its id before anything is looked up and goes no further.

use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::ListedIdentifier;
use ase_engine::{ClientReport, Provenness};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::change;
use super::detections::shown;
use super::lists::entry_json;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::clock;
use crate::engine_host::{rounded, sample};
use crate::lifetimes::IdentifierType;
use crate::lists::list_of;
use crate::state::ListName;
use crate::state::detections::{DetectionFilter, StoredDetection};

/// Most detections of one client that are shown.
const SHOWN: u32 = 100;

pub(super) fn routes() -> [Route; 3] {
    let summary = "What is known of a client, by the name that lists and log have for it";
    let named = Route::new(
        Verb::Get,
        "/v1/clients/{identifier}",
        ("client", summary),
        Schema::Report,
        async |State(management): State<Arc<Management>>, Path(name): Path<String>| {
            let identifier = change::named(&name, management.ipv6_prefix);
            let report = match identifier.map_err(Refusal::wrong) {
                Ok(identifier) => client(management, identifier).await,
                Err(refusal) => Err(refusal),
            };
            plain(StatusCode::OK, report)
        },
    );
    let raw = Route::new(
        Verb::Post,
        "/v1/clients",
        ("findClient", "The same by an address or a raw credential"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, body: Bytes| {
            let report = match identifier(&management, &body) {
                Ok(identifier) => client(management, identifier).await,
                Err(refusal) => Err(refusal),
            };
            plain(StatusCode::OK, report)
        },
    )
    .body(Schema::EntryChange);
    let engine = Route::new(
        Verb::Get,
        "/v1/engine",
        ("engine", "What the behaviour engine does and has counted"),
        Schema::Report,
        async |State(management): State<Arc<Management>>| {
            plain(StatusCode::OK, Ok(engine(&management)))
        },
    );
    [named, raw, engine]
}

fn identifier(management: &Management, body: &[u8]) -> Result<ListedIdentifier, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let keys = management.keys.load();
    let found = change::identifier(&mut fields, keys.current(), management.ipv6_prefix);
    fields.finish();
    let (identifier, _) = collector.into_complete(found)?;
    Ok(identifier)
}

/// What is known of a client, before it is shown.
pub(super) struct Known {
    pub(super) identifier: ListedIdentifier,
    /// What the engine knows; `None` when it does not watch it.
    pub(super) behaviour: Option<ClientReport>,
    pub(super) detections: Vec<StoredDetection>,
}

/// Looks everything up that is known of a client.
///
/// # Errors
/// When the state cannot be read.
pub(super) async fn known(
    management: &Arc<Management>,
    identifier: ListedIdentifier,
) -> Result<Known, Refusal> {
    let engine = &management.ase.engine;
    let behaviour = engine
        .ask(move |desk| desk.engine.client(&identifier))
        .await
        .flatten();
    let management = Arc::clone(management);
    off_path(move || {
        let filter = DetectionFilter {
            identifier: Some(identifier),
            ..DetectionFilter::default()
        };
        Ok(Known {
            identifier,
            behaviour,
            detections: management.state.lock().detections(&filter, SHOWN)?,
        })
    })
    .await
}

/// The entries of both lists for a client.
pub(super) fn listed(management: &Management, identifier: &ListedIdentifier) -> Value {
    let (snapshot, now) = (management.ase.snapshot.load(), clock::now());
    let mut listed = Map::new();
    for list in [ListName::Deny, ListName::Allow] {
        let mut entries = list_of(&snapshot, list).entries_of(identifier);
        entries.retain(|entry| !entry.is_expired(now));
        let entries = entries.into_iter();
        let entries = entries.map(|entry| entry_json(identifier, &entry.to_entry()));
        listed.insert(list.as_str().to_owned(), entries.collect());
    }
    Value::Object(listed)
}

async fn client(
    management: Arc<Management>,
    identifier: ListedIdentifier,
) -> Result<Value, Refusal> {
    let known = known(&management, identifier).await?;
    Ok(json!({
        "identifier": identifier.to_string(), "type": IdentifierType::of(&identifier).as_str(),
        "behaviour": known.behaviour.as_ref().map(behaviour),
        "listed": listed(&management, &identifier),
        "detections": known.detections.iter().map(shown).collect::<Vec<_>>(),
    }))
}

fn behaviour(report: &ClientReport) -> Value {
    let proven = match report.proven {
        Provenness::Address => "address",
        Provenness::Unproven => "unproven",
        Provenness::Proven => "proven",
    };
    let attacks = report.attacks.iter().map(|attack| attack.as_str());
    let facts = report.facts.iter();
    let facts = facts.map(
        |fact| json!({"name": fact.name, "meaning": fact.meaning, "value": rounded(fact.value)}),
    );
    json!({
        "first": clock::rfc3339(report.first), "last": clock::rfc3339(report.last),
        "requests": report.requests, "proven": proven, "offences": report.offences,
        "listed_until": report.listed_until.map(clock::rfc3339),
        "passed_since_listing": report.passed_since_listing,
        "attacks": attacks.collect::<Vec<_>>(),
        "failures_percent": rounded(report.failures_percent),
        "failed_routes": rounded(report.failed_routes),
        "facts": facts.collect::<Vec<_>>(),
        "samples": report.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

fn engine(management: &Management) -> Value {
    let engine = &management.ase.engine;
    let (exchanges, bytes) = engine.waiting();
    let (state, memory) = (engine.tallies.engine(), engine.tallies.memory());
    let counted = |(name, count): (&str, u64)| (name.to_owned(), count.into());
    let events: Map<String, Value> = engine.tallies.events().into_iter().map(counted).collect();
    let detections = engine.tallies.detections();
    let detections: Map<String, Value> = detections
        .filter(|(_, count)| *count > 0)
        .map(|(attack, count)| (attack.as_str().to_owned(), count.into()))
        .collect();
    json!({
        "enable_abs": engine.is_on(), "enable_abs_attack": engine.lists(),
        "watched": state.watched, "behind_ms": rounded(state.behind.as_secs_f32() * 1000.0),
        "queue": {"exchanges": exchanges, "bytes": bytes},
        "memory": {
            "facts_restored": memory.restored, "snapshot": memory.stored.map(clock::rfc3339),
            "snapshot_bytes": memory.bytes, "paused_ms": rounded(memory.paused.as_secs_f32() * 1000.0),
        },
        "events": events, "detections": detections,
    })
}
