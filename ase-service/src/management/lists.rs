//! The calls under `/v1/deny` and `/v1/allow`.

use std::sync::Arc;

use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Sources};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::Caller;
use super::change::{Addition, Removal};
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::sections::{Head, Sections};
use super::{Management, off_path};
use crate::clock;
use crate::lifetimes::Lifetimes;
use crate::lists::Removed;
use crate::state::ListName;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for name in [ListName::Deny, ListName::Allow] {
        let path = format!("/v1/{}", name.as_str());
        let (show, put, take) = match name {
            ListName::Deny => (
                ("listDenied", "Every entry of the deny list"),
                ("deny", "Add an entry to the deny list"),
                ("undeny", "Take an entry off the deny list"),
            ),
            ListName::Allow => (
                ("listAllowed", "Every entry of the allow list"),
                ("allow", "Add an entry to the allow list"),
                ("unallow", "Take an entry off the allow list"),
            ),
        };
        routes.push(Route::new(
            Verb::Get,
            &path,
            show,
            Schema::Entries,
            move |State(management): State<Arc<Management>>| async move {
                entries(&management, name)
                    .await
                    .unwrap_or_else(Refusal::plain)
            },
        ));
        let adding = move |State(management), caller: Caller, body: Bytes| async move {
            plain(
                StatusCode::CREATED,
                add(management, name, &caller, &body).await,
            )
        };
        let route = Route::new(Verb::Post, &path, put, Schema::Entry, adding);
        routes.push(route.created().body(Schema::EntryChange));
        let removing = move |State(management), caller: Caller, body: Bytes| async move {
            plain(
                StatusCode::OK,
                remove(management, name, &caller, &body).await,
            )
        };
        let route = Route::new(Verb::Delete, &path, take, Schema::Removed, removing);
        routes.push(route.body(Schema::EntryChange));
    }
    routes
}

async fn entries(management: &Management, name: ListName) -> Result<Response, Refusal> {
    let list = (management.ase.snapshot.load_full(), name);
    let all = (Head::Bare, vec![("entries", Sources::All)]);
    let entries = Sections::new(list, all, clock::now());
    management.documents.begin(entries).await
}

/// Adds what a body says.
///
/// # Errors
/// Every fault of the body, or that the entry is not stored; then nothing is changed.
pub(super) async fn add(
    management: Arc<Management>,
    name: ListName,
    caller: &Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let now = clock::now();
    // Whom never to block is no guess that time makes worse.
    let lifetimes = match name {
        ListName::Deny => management.lifetimes.get(),
        ListName::Allow => Lifetimes::default(),
    };
    let addition = Addition::read(
        body,
        management.keys.load().current(),
        (management.ipv6_prefix, &lifetimes),
        now,
    )?;
    let caller = caller.clone();
    off_path(move || {
        let Addition {
            identifier,
            entry,
            note,
        } = addition;
        let mut answer = entry_json(&identifier, &entry);
        if let Some(object) = answer.as_object_mut() {
            object.extend(note.map(|note| ("note".to_owned(), note.into())));
            let idle = idle_scope(&management, &entry.scope);
            object.extend(idle.map(|warning| ("warnings".to_owned(), json!([warning]))));
        }
        let (named, scope) = (identifier.to_string(), entry.scope.to_string());
        let (reason, expires) = (Arc::clone(&entry.reason), entry.expires.map(clock::rfc3339));
        let stored = management.lists.add(name, identifier, entry);
        stored.map_err(|error| Refusal::broken(&error))?;
        let resources = [
            ("identifier", named.as_str()),
            ("scope", &scope),
            ("reason", &reason),
            ("expires", expires.as_deref().unwrap_or("never")),
        ];
        management.audited(&caller, action("add", name), &resources)?;
        Ok(answer)
    })
    .await
}

/// What the caller should know of a scope that no registered API has: it may be a slip of the hand.
fn idle_scope(management: &Management, scope: &Scope) -> Option<String> {
    let registry = &management.ase.snapshot.load().registry;
    match scope {
        Scope::All => None,
        Scope::Api(id) => registry.get(id).is_none().then(|| {
            format!("scope: no API has the id {id}, so the entry counts nowhere until one has")
        }),
        Scope::Group(group) => {
            let known = registry.iter().any(|api| api.group() == Some(group));
            (!known).then(|| {
                format!("scope: no API is of the group {group}, so the entry counts nowhere until one is")
            })
        }
    }
}

/// Removes what a body says.
///
/// # Errors
/// Every fault of the body, that nothing is listed by management, or that the removal is not stored.
pub(super) async fn remove(
    management: Arc<Management>,
    name: ListName,
    caller: &Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let removal = Removal::read(
        body,
        management.keys.load().current(),
        management.ipv6_prefix,
    )?;
    let caller = caller.clone();
    off_path(move || {
        let Removal { identifier, scope } = removal;
        let named = identifier.to_string();
        let list = name.as_str();
        match management.lists.remove(name, &identifier, scope.as_ref()) {
            Ok(Removed::Entries(entries)) => {
                let scope = scope.map_or_else(|| "every".to_owned(), |scope| scope.to_string());
                let resources = [("identifier", named.as_str()), ("scope", &scope)];
                management.audited(&caller, action("delete", name), &resources)?;
                Ok(json!({"identifier": named, "removed": entries}))
            }
            Ok(Removed::NotListed) => Err(Refusal::absent(format!(
                "{named} is not on the {list} list"
            ))),
            Ok(Removed::InFile) => Err(Refusal::conflict(format!(
                "{named} is on the {list} list by its file: take it out there"
            ))),
            Err(error) => Err(Refusal::broken(&error)),
        }
    })
    .await
}

/// The documented names of list changes.
fn action(verb: &'static str, name: ListName) -> &'static str {
    match (verb, name) {
        ("add", ListName::Deny) => "add_blacklist",
        ("add", ListName::Allow) => "add_whitelist",
        (_, ListName::Deny) => "delete_blacklist",
        (_, ListName::Allow) => "delete_whitelist",
    }
}

pub(super) fn entry_json(identifier: &ListedIdentifier, entry: &Entry) -> Value {
    let (kind, value) = match identifier {
        ListedIdentifier::Network(network) => ("ip", network.to_string()),
        ListedIdentifier::Credential { kind, id } => (kind.as_str(), id.to_string()),
    };
    json!({
        "type": kind, "value": value, "identifier": identifier.to_string(),
        "scope": entry.scope.to_string(), "source": entry.source.as_str(), "reason": &*entry.reason,
        "added": clock::rfc3339(entry.added), "expires": entry.expires.map(clock::rfc3339),
    })
}
