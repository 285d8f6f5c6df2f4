//! The default lifetimes of entries over the management port. What was set stays so over restarts, whatever the configuration says.

use std::sync::{Arc, PoisonError};

use ase_core::fault::{FaultCollector, Fields};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::lifetimes::{self, IdentifierType, Lifetime, Lifetimes, MAX_MINUTES, Origin};

/// A lifetime that is to be set, or taken back to the configured one.
type Setting = (Origin, IdentifierType, Option<Lifetime>);

pub(super) fn routes() -> [Route; 2] {
    [
        Route::new(
            Verb::Get,
            "/v1/ttl",
            (
                "lifetimes",
                "How long entries of the deny list last by default, in minutes",
            ),
            Schema::Lifetimes,
            async |State(management): State<Arc<Management>>| {
                plain(StatusCode::OK, Ok(shown(&management.lifetimes.get())))
            },
        ),
        Route::new(
            Verb::Put,
            "/v1/ttl",
            (
                "setLifetimes",
                "Set default lifetimes; they count for new entries",
            ),
            Schema::Lifetimes,
            async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
                plain(StatusCode::OK, set(management, caller, body).await)
            },
        )
        .body(Schema::Lifetimes),
    ]
}

/// Every lifetime in minutes, 0 for ever; null where none is set.
fn shown(lifetimes: &Lifetimes) -> Value {
    let of = |origin: Origin| {
        let minutes = IdentifierType::ALL.map(|kind| {
            let set = lifetimes.get(origin, kind).map(Lifetime::minutes);
            (kind.as_str().to_owned(), json!(set))
        });
        (
            origin.as_str().to_owned(),
            Value::Object(Map::from_iter(minutes)),
        )
    };
    Value::Object(Map::from_iter(Origin::ALL.map(of)))
}

async fn set(management: Arc<Management>, caller: Caller, body: Bytes) -> Result<Value, Refusal> {
    let settings = settings(&body)?;
    off_path(move || {
        // A panic under the lock leaves nothing behind: it guards no data.
        let _alone = management
            .turning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut lifetimes = management.lifetimes.get();
        {
            let mut state = management.state.lock();
            let (mut turned, mut forgotten) = (Vec::new(), Vec::new());
            for (origin, kind, to) in &settings {
                let configured = management.configured_lifetimes.get(*origin, *kind);
                lifetimes.set(*origin, *kind, to.or(configured));
                match to {
                    Some(to) => turned.push(lifetimes::stored(*origin, *kind, *to)),
                    None => forgotten.push(lifetimes::stored_name(*origin, *kind)),
                }
            }
            state.settle(&turned, &forgotten)?;
        }
        management.lifetimes.set(lifetimes);
        for (origin, kind, to) in settings {
            let name = lifetimes::stored_name(origin, kind);
            let to = to.map_or_else(|| "default".to_owned(), |to| to.minutes().to_string());
            management.audited(&caller, "set_ttl", &[(&name, &to)])?;
        }
        Ok(shown(&lifetimes))
    })
    .await
}

pub(super) fn settings(body: &[u8]) -> Result<Vec<Setting>, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let mut settings = Vec::new();
    for origin in Origin::ALL {
        let mut section = fields.object(origin.as_str());
        for kind in IdentifierType::ALL {
            let Some(mut item) = section.item(kind.as_str()) else {
                continue;
            };
            if *item.value() == ase_core::json::Value::Null {
                settings.push((origin, kind, None));
            } else if let Some(minutes) = item.integer(0..=MAX_MINUTES) {
                settings.push((origin, kind, Some(Lifetime::from_minutes(minutes))));
            }
        }
        section.finish();
    }
    fields.finish();
    let settings = collector.into_result(settings)?;
    if settings.is_empty() {
        return Err(Refusal::wrong(
            "name at least one type of identifier, such as {\"attack\": {\"ip\": 60}}",
        ));
    }
    Ok(settings)
}
