//! The calls for what is done to whole lists.
//!
//! An import is all or nothing unless the caller says otherwise.

use std::sync::Arc;

use ase_core::identifier_list::Sources;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::Caller;
use super::change::Force;
use super::export::Export;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Presence, Route, Verb};
use super::transfer::{Format, Imported, Reader};
use super::{Management, off_path};
use crate::clock;
use crate::state::ListName;

/// Largest import, in bytes.
const MAX_IMPORT_BYTES: usize = 256 * 1024 * 1024;

const FORMAT: &str = "plain (the default), json or csv";
const SOURCES: &str = "all, manual, file, engine, real_time or real_time:RULE";

/// What the queries of these calls may hold.
#[derive(Deserialize)]
struct Options {
    format: Option<String>,
    source: Option<String>,
    keep_going: Option<String>,
    force: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for name in [ListName::Deny, ListName::Allow] {
        routes.extend(of_list(name));
    }
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
            let exported = export(&management, name, &options).await;
            exported.unwrap_or_else(Refusal::plain)
        },
    );
    let optional = Presence::Optional;
    [
        clear.query("source", Presence::Required, SOURCES),
        import
            .query("format", optional, FORMAT)
            .query(
                "keep_going",
                optional,
                "true: add the good entries, name the bad ones",
            )
            .query("force", optional, "true: an entry may be every address"),
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
    let removed = clear_of(management, name, caller, sources).await?;
    Ok(json!({"removed": removed}))
}

/// Takes every entry of some sources off a list, and says how many.
///
/// # Errors
/// When that is not stored; then nothing is removed.
pub(super) async fn clear_of(
    management: Arc<Management>,
    name: ListName,
    caller: Caller,
    sources: Sources,
) -> Result<usize, Refusal> {
    off_path(move || {
        let cleared = management.lists.clear(name, sources);
        let removed = cleared.map_err(|error| Refusal::broken(&error))?;
        let action = match name {
            ListName::Deny => "clear_blacklist",
            ListName::Allow => "clear_whitelist",
        };
        let (source, count) = (sources.to_string(), removed.to_string());
        management.audited(&caller, action, &[("source", &source), ("removed", &count)])?;
        Ok(removed)
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
    let force = Force::of(options.force.is_some_and(|flag| flag == "true"));
    off_path(move || {
        let (keys, width) = (management.keys.load(), management.ipv6_prefix);
        let reader = Reader::new(&keys, width, clock::now()).with(force);
        let read = reader.read(format, &body);
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

async fn export(
    management: &Management,
    name: ListName,
    options: &Options,
) -> Result<Response, Refusal> {
    let format = format(options)?;
    let sources = sources(options.source.as_deref().unwrap_or("all"))?;
    let list = (management.ase.snapshot.load_full(), name);
    let export = Export::new(list, (format, sources), clock::now());
    management.documents.begin(export).await
}

fn format(options: &Options) -> Result<Format, Refusal> {
    Format::parse(options.format.as_deref().unwrap_or("plain")).map_err(Refusal::wrong)
}

fn sources(text: &str) -> Result<Sources, Refusal> {
    Sources::parse(text).map_err(|error| Refusal::wrong(format!("source: {error}")))
}
