//! `firewall/blacklist` and `firewall/whitelist`.

use std::sync::Arc;

use ase_core::identifier_list::{Rule, Source, Sources};
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::{Names, Parameters, name, parameters, success};
use crate::clock;
use crate::management::caller::Caller;
use crate::management::openapi::Schema;
use crate::management::reply::{Refusal, documented};
use crate::management::route::{Presence, Route, Verb};
use crate::management::sections::{Head, Sections};
use crate::management::{Management, lists, upkeep};
use crate::state::ListName;

/// The sections of a list by their documented tags, and what is in them.
const SECTIONS: [(&str, Source); 9] = [
    ("manual", Source::Manual),
    ("decoy", Source::RealTime(Rule::Decoy)),
    ("invalid_protocol", Source::RealTime(Rule::Protocol)),
    ("invalid_method", Source::RealTime(Rule::Method)),
    ("invalid_content_type", Source::RealTime(Rule::ContentType)),
    ("token_missing", Source::RealTime(Rule::Token)),
    ("client_spike", Source::RealTime(Rule::Spike)),
    ("abs_generated", Source::Engine),
    ("file", Source::File),
];

pub(super) fn routes(prefix: &str, names: Names) -> Vec<Route> {
    let tag = "all (the default), or one of manual, decoy, invalid_protocol, invalid_method, invalid_content_type, \
               token_missing, client_spike, abs_generated, file";
    let mut routes = Vec::new();
    for list in [ListName::Deny, ListName::Allow] {
        let (path, view, add, delete) = match list {
            ListName::Deny => (
                "blacklist",
                name(names, "v4ViewBlacklist", "v5ViewBlacklist"),
                name(names, "v4AddBlacklist", "v5AddBlacklist"),
                name(names, "v4DeleteBlacklist", "v5DeleteBlacklist"),
            ),
            ListName::Allow => (
                "whitelist",
                name(names, "v4ViewWhitelist", "v5ViewWhitelist"),
                name(names, "v4AddWhitelist", "v5AddWhitelist"),
                name(names, "v4DeleteWhitelist", "v5DeleteWhitelist"),
            ),
        };
        let path = format!("{prefix}/firewall/{path}");
        let viewing = async move |State(management): State<Arc<Management>>, query: Parameters| {
            viewed(&management, list, query)
                .await
                .unwrap_or_else(Refusal::documented)
        };
        let summary = "The entries of the list by where they come from";
        let route = Route::new(
            Verb::Get,
            &path,
            (view, summary),
            Schema::DocumentedList,
            viewing,
        );
        routes.push(route.query("tag", Presence::Optional, tag));
        let adding =
            async move |State(management), query: Parameters, caller: Caller, body: Bytes| {
                let answered = posted(management, list, query, (&caller, &body)).await;
                answered.unwrap_or_else(Refusal::documented)
            };
        let summary =
            "Add an entry; with a tag and without a body, the view, as some clients ask for it";
        let route = Route::new(
            Verb::Post,
            &path,
            (add, summary),
            Schema::DocumentedChange,
            adding,
        );
        let route = route.query("tag", Presence::Optional, tag);
        routes.push(route.optional_body(Schema::EntryChange));
        let removing =
            async move |State(management), query: Parameters, caller: Caller, body: Bytes| {
                documented(deleted(management, list, query, (caller, &body)).await)
            };
        let summary = "Delete an entry; with a tag and without a body, every entry of the section";
        let route = Route::new(
            Verb::Delete,
            &path,
            (delete, summary),
            Schema::Success,
            removing,
        );
        let route = route.query("tag", Presence::Optional, tag);
        routes.push(route.optional_body(Schema::EntryChange));
    }
    routes
}

async fn posted(
    management: Arc<Management>,
    list: ListName,
    query: Parameters,
    (caller, body): (&Caller, &[u8]),
) -> Result<Response, Refusal> {
    if let Some(tag) = tag_instead_of_body(query, body)? {
        return shown(&management, list, &tag).await;
    }
    let entry = lists::add(management, list, caller, body).await?;
    let mut answer = success(&format!("{} added to {}", subject(&entry), list_name(list)));
    if let (Some(answer), Some(warnings)) = (answer.as_object_mut(), entry.get("warnings")) {
        answer.insert("warnings".to_owned(), warnings.clone());
    }
    Ok(documented(Ok(answer)))
}

async fn deleted(
    management: Arc<Management>,
    list: ListName,
    query: Parameters,
    (caller, body): (Caller, &[u8]),
) -> Result<Value, Refusal> {
    if let Some(tag) = tag_instead_of_body(query, body)? {
        let mut removed = 0_usize;
        let sections: Vec<Sources> = match tag.as_str() {
            "all" => vec![Sources::All],
            tag => wanted(tag)?
                .into_iter()
                .map(|(_, source)| Sources::Only(source))
                .collect(),
        };
        for sources in sections {
            let management = Arc::clone(&management);
            removed += upkeep::clear_of(management, list, caller.clone(), sources).await?;
        }
        let message = format!("{removed} entries deleted from {}", list_name(list));
        return Ok(success(&message));
    }
    let removed = lists::remove(management, list, &caller, body).await?;
    let identifier = removed.get("identifier").and_then(Value::as_str);
    let identifier = identifier.unwrap_or_default();
    Ok(success(&format!(
        "{identifier} deleted from {}",
        list_name(list)
    )))
}

/// The tag of a call that names a section; `None` when its body names an entry.
fn tag_instead_of_body(query: Parameters, body: &[u8]) -> Result<Option<String>, Refusal> {
    let tag = parameters(query, &["tag"])?.remove("tag");
    match (&tag, body.trim_ascii()) {
        (None, _) | (Some(_), []) => Ok(tag),
        (Some(_), _) => Err(Refusal::wrong(
            "tag: stands beside an entry: give one of them",
        )),
    }
}

/// The sections that a tag names.
fn wanted(tag: &str) -> Result<Vec<(&'static str, Source)>, Refusal> {
    let named = SECTIONS.into_iter();
    let named: Vec<_> = named
        .filter(|(name, _)| tag == "all" || tag == *name)
        .collect();
    if named.is_empty() {
        let names = SECTIONS.map(|(name, _)| name).join(", ");
        return Err(Refusal::wrong(format!(
            "tag: must be all or one of {names}"
        )));
    }
    Ok(named)
}

async fn viewed(
    management: &Management,
    list: ListName,
    query: Parameters,
) -> Result<Response, Refusal> {
    let tag = parameters(query, &["tag"])?.remove("tag");
    shown(management, list, tag.as_deref().unwrap_or("all")).await
}

async fn shown(management: &Management, list: ListName, tag: &str) -> Result<Response, Refusal> {
    let sections = wanted(tag)?.into_iter();
    let sections = sections.map(|(name, source)| (name, Sources::Only(source)));
    let list = (management.ase.snapshot.load_full(), list);
    let sections = Sections::new(list, (Head::Success, sections.collect()), clock::now());
    management.documents.begin(sections).await
}

/// As the original's commands name an entry.
fn subject(entry: &Value) -> String {
    let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("type"), text("value"))
}

fn list_name(list: ListName) -> &'static str {
    match list {
        ListName::Deny => "blacklist",
        ListName::Allow => "whitelist",
    }
}
