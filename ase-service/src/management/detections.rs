//! What was detected, over the management port. Identifiers are networks and keyed ids; evidence was redacted when it was made.

use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Presence, Route, Verb};
use super::{Management, change, off_path};
use crate::clock;
use crate::lifetimes::IdentifierType;
use crate::state::detections::{DetectionFilter, Sighting, StoredDetection};

/// Most detections of one answer.
const MAX_SHOWN: u32 = 10_000;
/// How many are shown unless the caller says.
const SHOWN: u32 = 100;

pub(super) fn routes() -> [Route; 1] {
    let route = Route::new(
        Verb::Get,
        "/v1/detections",
        (
            "detections",
            "What was detected, those with the latest offence first",
        ),
        Schema::Detections,
        async |State(management), query: Query<Vec<(String, String)>>| {
            plain(StatusCode::OK, found(management, query).await)
        },
    );
    [filtered(route)]
}

/// The call with the parameters of [`filter`].
pub(super) fn filtered(route: Route) -> Route {
    let optional = Presence::Optional;
    route
        .query(
            "since",
            optional,
            "with an offence at or after this time (RFC 3339)",
        )
        .query("attack", optional, "of this attack id")
        .query("name", optional, "of this name, such as decoy")
        .query("api", optional, "on this API")
        .query(
            "identifier",
            optional,
            "of this client, as lists name it: 203.0.113.7, token k1:...",
        )
        .query(
            "limit",
            optional,
            "at most so many, 100 unless said and 10000 at most",
        )
}

/// Everything that was found before the call is in the answer and stays when ASE is killed after it.
async fn found(
    management: Arc<Management>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Value, Refusal> {
    let (filter, limit) = filter(&management, query)?;
    management.ase.settle_detections().await;
    off_path(move || {
        let found = management.state.lock().detections(&filter, limit)?;
        let shown: Vec<Value> = found.iter().map(shown).collect();
        Ok(json!({"detections": shown}))
    })
    .await
}

/// Reads the query of a call that shows detections.
///
/// # Errors
/// With every fault of it.
pub(super) fn filter(
    management: &Management,
    query: Vec<(String, String)>,
) -> Result<(DetectionFilter, u32), Refusal> {
    let mut document = Map::new();
    let mut twice = Vec::new();
    for (name, value) in query {
        // Numbers are read as such, so that a fault of theirs is told as one of any number.
        let number = ["attack", "limit"].contains(&name.as_str());
        let number = number.then(|| value.parse::<u32>().ok()).flatten();
        let value = number.map_or_else(|| Value::from(value), Value::from);
        if document.insert(name.clone(), value).is_some() {
            twice.push(name);
        }
    }
    let document = Value::Object(document).into();
    let mut collector = FaultCollector::default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let width = management.ipv6_prefix;
    let filter = DetectionFilter {
        since: fields.custom("since", clock::parse_rfc3339),
        attack: fields
            .item("attack")
            .and_then(|mut attack| attack.integer(0..=u16::MAX)),
        name: fields.text("name"),
        api: fields.text("api"),
        identifier: fields.custom("identifier", |text| change::named(text, width)),
        ..DetectionFilter::default()
    };
    let limit = fields.integer("limit", 1..=MAX_SHOWN, SHOWN);
    for name in twice {
        fields.fault(&name, "stands twice");
    }
    fields.finish();
    Ok(collector.into_result((filter, limit))?)
}

/// A detection as answers show it.
pub(super) fn shown(detection: &StoredDetection) -> Value {
    let StoredDetection {
        id,
        sighting,
        undone,
    } = detection;
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({}));
    let Sighting {
        attack,
        name,
        api,
        identifier,
        scope,
        source,
        variables,
        evidence,
        first,
        last,
        count,
        ttl,
        outcome,
    } = sighting;
    json!({
        "id": id, "attack_id": attack, "name": name, "api": api,
        "type": IdentifierType::of(identifier).as_str(), "identifier": identifier.to_string(),
        "scope": scope.to_string(), "source": source.as_str(), "variables": object(variables), "evidence": object(evidence),
        "first": clock::rfc3339(*first), "last": clock::rfc3339(*last), "count": count,
        "ttl_s": ttl.map(|ttl| ttl.as_secs()), "outcome": outcome.as_str(), "undone": undone,
    })
}
