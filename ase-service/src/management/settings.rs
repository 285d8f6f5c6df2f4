//! The management secret and the level of the operational log over the management port.

use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tracing::Level;

use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path, restricted};
use crate::log_level;
use crate::secret::Secret;
use crate::whole_file::{self, Audience};

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// One of the secrets that callers show.
#[derive(Clone, Copy)]
enum Which {
    Management,
    Restricted,
}

pub(super) fn routes() -> [Route; 4] {
    [
        Route::new(
            Verb::Get,
            "/v1/log/level",
            ("logLevel", "From which level on ASE logs"),
            Schema::LogLevel,
            async |State(_): State<Arc<Management>>| {
                let level = log_level::current().ok_or_else(not_ours);
                plain(StatusCode::OK, level.map(shown))
            },
        ),
        Route::new(
            Verb::Put,
            "/v1/log/level",
            (
                "setLogLevel",
                "Log from another level on, until the next start",
            ),
            Schema::LogLevel,
            async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
                plain(StatusCode::OK, set_level(management, caller, body).await)
            },
        )
        .body(Schema::LogLevel),
        Route::new(
            Verb::Put,
            "/v1/secret",
            (
                "changeSecret",
                "Change the management secret; without one given it is drawn",
            ),
            Schema::SecretChanged,
            async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
                plain(
                    StatusCode::OK,
                    change_secret(management, caller, body, Which::Management).await,
                )
            },
        )
        .optional_body(Schema::SecretWanted),
        Route::new(
            Verb::Put,
            "/v1/secret/restricted",
            (
                "changeRestrictedSecret",
                "Change the secret that reads reports without identifiers",
            ),
            Schema::SecretChanged,
            async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
                let which = Which::Restricted;
                plain(
                    StatusCode::OK,
                    change_secret(management, caller, body, which).await,
                )
            },
        )
        .optional_body(Schema::SecretWanted),
    ]
}

/// The name of the level in force.
pub(super) fn level_name() -> Option<&'static str> {
    let current = log_level::current()?;
    let known = LEVELS.iter().find(|(_, level)| *level == current);
    known.map(|(name, _)| *name)
}

fn shown(level: Level) -> Value {
    json!({"level": level.as_str().to_ascii_lowercase()})
}

fn not_ours() -> Refusal {
    Refusal::conflict(log_level::NotOurs.to_string())
}

async fn set_level(
    management: Arc<Management>,
    caller: Caller,
    body: Bytes,
) -> Result<Value, Refusal> {
    let level = wanted_level(&body)?;
    log_level::set(level).map_err(|_| not_ours())?;
    off_path(move || {
        let name = level.as_str().to_ascii_lowercase();
        management.audited(&caller, "log_level", &[("level", &name)])?;
        Ok(shown(level))
    })
    .await
}

pub(super) fn wanted_level(body: &[u8]) -> Result<Level, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let level = fields.required_choice("level", &LEVELS);
    fields.finish();
    Ok(collector.into_complete(level)?)
}

async fn change_secret(
    management: Arc<Management>,
    caller: Caller,
    body: Bytes,
    which: Which,
) -> Result<Value, Refusal> {
    let given = wanted_secret(&body)?;
    off_path(move || {
        let (secret, drawn) = match given {
            Some(given) => (given, None),
            None => {
                let drawn = Secret::random().map_err(|error| Refusal::broken(&error))?;
                (drawn.clone(), Some(drawn))
            }
        };
        let text = format!("{}\n", secret.reveal());
        let beside = management
            .secret_file
            .with_file_name(restricted::SECRET_FILE);
        let (file, kept, action) = match which {
            Which::Management => (
                &management.secret_file,
                &management.secret,
                "update_password",
            ),
            Which::Restricted => (
                &beside,
                &management.restricted_secret,
                "update_restricted_secret",
            ),
        };
        let written = whole_file::write(file, text.as_bytes(), Audience::Owner);
        written.map_err(|error| Refusal::broken(&error))?;
        kept.store(Arc::new(secret));
        management.audited(&caller, action, &[])?;
        Ok(json!({"secret": drawn.as_ref().map(Secret::reveal)}))
    })
    .await
}

pub(super) fn wanted_secret(body: &[u8]) -> Result<Option<Secret>, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let secret = fields.custom("secret", Secret::for_management);
    fields.finish();
    Ok(collector.into_result(secret)?)
}
