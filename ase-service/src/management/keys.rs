//! The calls about credential keys, what is made with them, and the state as a whole.
//!
//! Secrets of keys leave only where a gateway needs them.

use std::sync::Arc;

use ase_core::credential::{CredentialIds, CredentialKind};
use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::ListedIdentifier;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Caller;
use super::change::bare;
use super::lists::entry_json;
use super::openapi::Schema;
use super::reply::{Refusal, document, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::clock;
use crate::lists::list_of;
use crate::state::{ListName, Orphans, RotationError};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    let hashing =
        async |State(management), body: Bytes| plain(StatusCode::OK, hash(management, &body).await);
    let about = ("hash", "The ids of a credential and what lists it");
    let route = Route::new(Verb::Post, "/v1/hash", about, Schema::Report, hashing);
    routes.push(route.body(Schema::EntryChange));
    let keys = async |State(management)| plain(StatusCode::OK, keys(management).await);
    let about = ("listKeys", "The credential keys, without their secrets");
    routes.push(Route::new(
        Verb::Get,
        "/v1/keys",
        about,
        Schema::Report,
        keys,
    ));
    let secrets = async |State(management), caller: Caller| {
        plain(StatusCode::OK, secrets(management, caller).await)
    };
    let about = (
        "showKeys",
        "The secrets of the credential keys, for a gateway",
    );
    let path = "/v1/keys/secrets";
    routes.push(Route::new(Verb::Get, path, about, Schema::Report, secrets));
    let rotating = async |State(management), caller: Caller, body: Bytes| {
        plain(StatusCode::OK, rotate(management, caller, &body).await)
    };
    let about = (
        "rotateKey",
        "Make a new credential key; the current one becomes the previous one",
    );
    let path = "/v1/keys/rotate";
    routes.push(Route::new(
        Verb::Post,
        path,
        about,
        Schema::Report,
        rotating,
    ));
    let backup = async |State(management), caller: Caller| match back_up(management, caller).await {
        Ok(copy) => copy,
        Err(refusal) => refusal.plain(),
    };
    let about = (
        "backUp",
        "A copy of the state file, as of now (SQLite, not JSON)",
    );
    routes.push(Route::new(
        Verb::Get,
        "/v1/backup",
        about,
        Schema::Report,
        backup,
    ));
    routes
}

/// Kind, name and value of a credential.
pub(super) fn wanted_credential(body: &[u8]) -> Result<(CredentialKind, String, String), Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let kind = fields.required_custom("type", CredentialKind::parse);
    let value = kind.and_then(|kind| fields.required_custom("value", |text| bare(kind, text)));
    let name = match kind {
        Some(CredentialKind::Cookie) => fields.required_text("name"),
        Some(CredentialKind::Token | CredentialKind::ApiKey | CredentialKind::Username) | None => {
            Some(fields.text("name").unwrap_or_default())
        }
    };
    fields.finish();
    let parts = kind.zip(value).zip(name);
    let ((kind, (value, _)), name) = collector.into_complete(parts)?;
    Ok((kind, name, value))
}

async fn hash(management: Arc<Management>, body: &[u8]) -> Result<Value, Refusal> {
    let (kind, name, value) = wanted_credential(body)?;
    let ids: CredentialIds = management.keys.load().ids_of(kind, &name, value.as_bytes());
    let (snapshot, now) = (management.ase.snapshot.load(), clock::now());
    let mut listed = serde_json::Map::new();
    for list in [ListName::Deny, ListName::Allow] {
        let entries: Vec<Value> = ids
            .into_iter()
            .map(|id| ListedIdentifier::Credential { kind, id })
            .flat_map(|identifier| {
                let mut entries = list_of(&snapshot, list).entries_of(&identifier);
                entries.retain(|entry| !entry.is_expired(now));
                let shown = entries.into_iter();
                shown.map(move |entry| entry_json(&identifier, &entry.to_entry()))
            })
            .collect();
        listed.insert(list.as_str().to_owned(), entries.into());
    }
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    Ok(json!({"type": kind.as_str(), "ids": ids, "listed": listed}))
}

async fn keys(management: Arc<Management>) -> Result<Value, Refusal> {
    off_path(move || {
        let broken = |error: crate::state::StateError| Refusal::broken(&error);
        let mut state = management.state.lock();
        let secrets = state.key_secrets().map_err(broken)?;
        let mut keys = Vec::new();
        for ((id, _), role) in secrets.into_iter().zip(["current", "previous"]) {
            let entries = state.entries_under(id).map_err(broken)?;
            keys.push(json!({"id": format!("k{}", id.0), "role": role, "entries": entries}));
        }
        Ok(json!({"keys": keys}))
    })
    .await
}

async fn secrets(management: Arc<Management>, caller: Caller) -> Result<Value, Refusal> {
    off_path(move || {
        let secrets = management.state.lock().key_secrets();
        let secrets = secrets.map_err(|error| Refusal::broken(&error))?;
        management.audited(&caller, "show_credential_keys", &[])?;
        let keys = secrets.into_iter().map(|(id, secret)| {
            let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"id": format!("k{}", id.0), "secret": secret})
        });
        Ok(json!({"credential_keys": keys.collect::<Vec<_>>()}))
    })
    .await
}

/// What is to become of entries of the key that ends.
pub(super) fn wanted_orphans(body: &[u8]) -> Result<Orphans, Refusal> {
    let mut collector = FaultCollector::default();
    let document = match body {
        [] => None,
        body => collector.json(body),
    }
    .unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let orphans = match fields.flag("abandon", false) {
        true => Orphans::Abandon,
        false => Orphans::Keep,
    };
    fields.finish();
    Ok(collector.into_result(orphans)?)
}

async fn rotate(
    management: Arc<Management>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let orphans = wanted_orphans(body)?;
    off_path(move || {
        let mut state = management.state.lock();
        let ring = state.rotate_key(orphans).map_err(|error| match error {
            RotationError::InUse { .. } => Refusal::conflict(error.to_string()),
            RotationError::State(error) => Refusal::broken(&error),
        })?;
        let current = format!("k{}", ring.current().id().0);
        let previous = ring.previous().map(|key| format!("k{}", key.id().0));
        management.keys.store(Arc::new(ring));
        drop(state);
        management.audited(&caller, "rotate_credential_key", &[("current", &current)])?;
        Ok(json!({"current": current, "previous": previous}))
    })
    .await
}

async fn back_up(management: Arc<Management>, caller: Caller) -> Result<Response, Refusal> {
    let copy = off_path(move || {
        let copied = management.state.lock().copy();
        let copy = copied.map_err(|error| Refusal::broken(&error))?;
        management.audited(&caller, "backup", &[])?;
        Ok(copy)
    })
    .await?;
    Ok(document("application/vnd.sqlite3", Body::from(copy)))
}
