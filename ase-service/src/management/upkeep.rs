//! The calls for what is done to whole lists, to credential keys, and to the state as a whole.
//!
//! An import is all or nothing unless the caller says otherwise. Secrets of keys leave only where a gateway needs them.

use std::convert::Infallible;
use std::sync::Arc;

use ase_core::credential::{CredentialIds, CredentialKind};
use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::{ListedIdentifier, Sources};
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::channel::Channel;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::Caller;
use super::lists::entry_json;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Presence, Route, Verb};
use super::transfer::{First, Format, Imported, Reader};
use super::{Management, off_path};
use crate::clock;
use crate::lists::list_of;
use crate::state::{ListName, Orphans, RotationError};

/// Largest import, in bytes.
const MAX_IMPORT_BYTES: usize = 256 * 1024 * 1024;
/// How much of an export or a copy is sent at once, in bytes.
const CHUNK: usize = 64 * 1024;

const FORMAT: &str = "plain (the default), json or csv";
const SOURCES: &str = "all, manual, file, engine, real_time or real_time:RULE";

/// What the queries of these calls may hold.
#[derive(Deserialize)]
struct Options {
    format: Option<String>,
    source: Option<String>,
    keep_going: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for name in [ListName::Deny, ListName::Allow] {
        routes.extend(of_list(name));
    }
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

fn of_list(name: ListName) -> [Route; 3] {
    let list = name.as_str();
    let (clearing, importing, exporting) = match name {
        ListName::Deny => (
            (
                "clearDenied",
                "Take every entry of some sources off the deny list",
            ),
            (
                "importDenied",
                "Add the entries of a document to the deny list",
            ),
            ("exportDenied", "The deny list as a document"),
        ),
        ListName::Allow => (
            (
                "clearAllowed",
                "Take every entry of some sources off the allow list",
            ),
            (
                "importAllowed",
                "Add the entries of a document to the allow list",
            ),
            ("exportAllowed", "The allow list as a document"),
        ),
    };
    let clear = Route::new(
        Verb::Post,
        format!("/v1/{list}/clear"),
        clearing,
        Schema::Report,
        move |State(management), caller: Caller, Query(options): Query<Options>| async move {
            plain(
                StatusCode::OK,
                clear(management, name, caller, options).await,
            )
        },
    );
    let mut import = Route::new(
        Verb::Post,
        format!("/v1/{list}/import"),
        importing,
        Schema::Report,
        move |State(management), caller: Caller, Query(options): Query<Options>, body: Bytes| async move {
            plain(
                StatusCode::OK,
                import(management, name, caller, (options, body)).await,
            )
        },
    );
    import.serve = import.serve.layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES));
    let export = Route::new(
        Verb::Get,
        format!("/v1/{list}/export"),
        exporting,
        Schema::Report,
        move |State(management): State<Arc<Management>>, Query(options): Query<Options>| async move {
            match export(&management, name, &options) {
                Ok(exported) => exported,
                Err(refusal) => refusal.plain(),
            }
        },
    );
    let optional = Presence::Optional;
    [
        clear.query("source", Presence::Required, SOURCES),
        import.query("format", optional, FORMAT).query(
            "keep_going",
            optional,
            "true: add the good entries, name the bad ones",
        ),
        export
            .query("format", optional, FORMAT)
            .query("source", optional, SOURCES),
    ]
}

async fn clear(
    management: Arc<Management>,
    name: ListName,
    caller: Caller,
    options: Options,
) -> Result<Value, Refusal> {
    let source = options.source.unwrap_or_default();
    let sources = sources(&source)?;
    off_path(move || {
        let cleared = management.lists.clear(name, sources);
        let removed = cleared.map_err(|error| Refusal::broken(&error))?;
        let action = match name {
            ListName::Deny => "clear_blacklist",
            ListName::Allow => "clear_whitelist",
        };
        let count = removed.to_string();
        management.audited(&caller, action, &[("source", &source), ("removed", &count)])?;
        Ok(json!({"removed": removed}))
    })
    .await
}

async fn import(
    management: Arc<Management>,
    name: ListName,
    caller: Caller,
    (options, body): (Options, Bytes),
) -> Result<Value, Refusal> {
    let format = format(&options)?;
    let keep_going = options.keep_going.is_some_and(|flag| flag == "true");
    off_path(move || {
        let (keys, width) = (management.keys.load(), management.ipv6_prefix);
        let read = Reader::new(&keys, width, clock::now()).read(format, &body);
        let Imported {
            entries,
            mut faults,
            more_faults,
        } = read;
        if more_faults > 0 {
            faults.push(format!("and {more_faults} more faults"));
        }
        if !faults.is_empty() && !keep_going {
            faults.push("nothing was added: correct them, or keep going".to_owned());
            let status = StatusCode::BAD_REQUEST;
            return Err(Refusal { status, faults });
        }
        let added = entries.len();
        let stored = management.lists.add_all(name, entries);
        stored.map_err(|error| Refusal::broken(&error))?;
        let action = match name {
            ListName::Deny => "import_blacklist",
            ListName::Allow => "import_whitelist",
        };
        let count = added.to_string();
        management.audited(&caller, action, &[("added", &count)])?;
        Ok(json!({"added": added, "faults": faults}))
    })
    .await
}

/// Written while it is sent, from the lists as they are at this moment.
fn export(management: &Management, name: ListName, options: &Options) -> Result<Response, Refusal> {
    let format = format(options)?;
    let sources = sources(options.source.as_deref().unwrap_or("all"))?;
    let snapshot = management.ase.snapshot.load_full();
    let now = clock::now();
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        let mut send = |text: &mut String| {
            let chunk = Bytes::from(std::mem::take(text));
            // The reader has gone away: nobody needs the rest.
            runtime.block_on(sender.send_data(chunk)).is_ok()
        };
        let mut text = format.head().to_owned();
        let mut first = First::Yes;
        for (identifier, entry) in list_of(&snapshot, name).iter() {
            if entry.is_expired(now) || !sources.include(entry.source) {
                continue;
            }
            format.write(&mut text, (&identifier, &entry), first);
            first = First::No;
            if text.len() >= CHUNK && !send(&mut text) {
                return;
            }
        }
        text.push_str(format.foot());
        send(&mut text);
    });
    let kind = match format {
        Format::Plain => "text/plain; charset=utf-8",
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
    };
    Ok(document(kind, Body::new(body)))
}

async fn hash(management: Arc<Management>, body: &[u8]) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_else(|| json!({}));
    let mut fields = Fields::of(&document, "", &mut collector);
    let kind = fields.required_custom("type", CredentialKind::parse);
    let value = fields.required_text("value");
    let name = match kind {
        Some(CredentialKind::Cookie) => fields.required_text("name"),
        Some(CredentialKind::Token | CredentialKind::ApiKey | CredentialKind::Username) | None => {
            Some(fields.text("name").unwrap_or_default())
        }
    };
    fields.finish();
    let parts = kind.zip(value).zip(name);
    let ((kind, value), name) = collector.into_complete(parts)?;
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

async fn rotate(
    management: Arc<Management>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = match body {
        [] => json!({}),
        body => collector.json(body).unwrap_or_else(|| json!({})),
    };
    let mut fields = Fields::of(&document, "", &mut collector);
    let orphans = match fields.flag("abandon", false) {
        true => Orphans::Abandon,
        false => Orphans::Keep,
    };
    fields.finish();
    let orphans = collector.into_result(orphans)?;
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

fn document(kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn format(options: &Options) -> Result<Format, Refusal> {
    Format::parse(options.format.as_deref().unwrap_or("plain")).map_err(Refusal::wrong)
}

fn sources(text: &str) -> Result<Sources, Refusal> {
    Sources::parse(text).map_err(|error| Refusal::wrong(format!("source: {error}")))
}
