//! What the behaviour engine has found, over the management port: its detections, one by one or filtered, and taking one back.
//!
//! Taking back does two things: the engine's entry leaves the deny list, and the engine is taught what the operator knows.

use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::{Source, Sources};
use ase_engine::{Attack, Lesson};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::detections::{self, filter, shown};
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::engine_host::Taught;
use crate::lists::Removed;
use crate::state::ListName;
use crate::state::detections::{DetectionFilter, StoredDetection};

/// What an operator can teach, by name.
const LESSONS: [(&str, Lesson); 4] = [
    ("once", Lesson::Once),
    ("client", Lesson::Client),
    ("route", Lesson::Route),
    ("threshold", Lesson::Threshold),
];

pub(super) fn routes() -> Vec<Route> {
    let summary = "What the behaviour engine has found, those with the latest offence first";
    let list = Route::new(
        Verb::Get,
        "/v1/attacks",
        ("attacks", summary),
        Schema::Detections,
        async |State(management), query: Query<Vec<(String, String)>>| {
            plain(StatusCode::OK, found(management, query).await)
        },
    );
    let one = Route::new(
        Verb::Get,
        "/v1/attacks/{id}",
        ("attack", "One detection of the behaviour engine"),
        Schema::Report,
        async |State(management), Path(id): Path<String>| {
            let found = attack(management, &id).await;
            plain(StatusCode::OK, found.map(|found| shown(&found)))
        },
    );
    let summary = "Take a detection back: its client leaves the deny list, and the engine learns";
    let undo = Route::new(
        Verb::Post,
        "/v1/attacks/{id}/undo",
        ("undoAttack", summary),
        Schema::Report,
        async |State(management), Path(id): Path<String>, caller: Caller, body: Bytes| {
            plain(StatusCode::OK, undo(management, &id, (caller, &body)).await)
        },
    )
    .optional_body(Schema::Report);
    vec![detections::filtered(list), one, undo]
}

async fn found(
    management: Arc<Management>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Value, Refusal> {
    let (filter, limit) = filter(&management, query)?;
    let filter = DetectionFilter {
        source: Some(Source::Engine),
        ..filter
    };
    off_path(move || {
        let found = management.state.lock().detections(&filter, limit)?;
        Ok(json!({"detections": found.iter().map(shown).collect::<Vec<_>>()}))
    })
    .await
}

async fn attack(management: Arc<Management>, id: &str) -> Result<StoredDetection, Refusal> {
    let absent = || Refusal::absent(format!("there is no attack {id:?}"));
    let filter = DetectionFilter {
        id: Some(id.parse().map_err(|_| absent())?),
        source: Some(Source::Engine),
        ..DetectionFilter::default()
    };
    let found = off_path(move || Ok(management.state.lock().detections(&filter, 1)?)).await?;
    found.into_iter().next().ok_or_else(absent)
}

async fn undo(
    management: Arc<Management>,
    id: &str,
    (caller, body): (Caller, &[u8]),
) -> Result<Value, Refusal> {
    let (name, lesson) = lesson(body)?;
    let found = attack(Arc::clone(&management), id).await?.sighting;
    let identifier = found.identifier;
    let taught = match Attack::parse(&found.name) {
        Some(attack) => {
            let engine = &management.ase.engine;
            engine
                .ask(move |desk| desk.undo(identifier, attack, lesson))
                .await
        }
        None => None,
    };
    let id = id.to_owned();
    off_path(move || {
        let removed = management.lists.remove_of(
            ListName::Deny,
            &identifier,
            None,
            Sources::Only(Source::Engine),
        )?;
        let removed = match removed {
            Removed::Entries(entries) => entries,
            Removed::NotListed | Removed::InFile => 0,
        };
        let whom = identifier.to_string();
        let resources = [("attack", &*id), ("identifier", &*whom), ("lesson", name)];
        management.audited(&caller, "undo_attack", &resources)?;
        Ok(json!({
            "id": id, "identifier": whom, "attack": found.name, "removed": removed,
            "lesson": name, "learned": taught == Some(Taught::Learned),
        }))
    })
    .await
}

fn lesson(body: &[u8]) -> Result<(&'static str, Lesson), Refusal> {
    let mut collector = FaultCollector::default();
    let document = match body {
        [] => None,
        body => collector.json(body),
    }
    .unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let choices = LESSONS.map(|(name, lesson)| (name, (name, lesson)));
    let chosen = fields.choice("lesson", &choices, ("client", Lesson::Client));
    fields.finish();
    Ok(collector.into_result(chosen)?)
}
