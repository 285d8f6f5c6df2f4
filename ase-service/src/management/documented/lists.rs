//! `firewall/blacklist` and `firewall/whitelist`.

use std::sync::Arc;

use ase_core::identifier_list::{Rule, Source};
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value};

use super::{Names, Parameters, name, parameters, success};
use crate::clock;
use crate::lists::list_of;
use crate::management::caller::Caller;
use crate::management::openapi::Schema;
use crate::management::reply::{Refusal, documented};
use crate::management::route::{Presence, Route, Verb};
use crate::management::{Management, lists, off_path};
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
        let viewing = async move |State(management), query: Parameters| {
            documented(shown(management, list, query).await)
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
            async move |State(management), caller: Caller, body: Bytes| {
                let added = lists::add(management, list, &caller, &body).await;
                documented(added.map(|entry| {
                    success(&format!("{} added to {}", subject(&entry), list_name(list)))
                }))
            };
        let route = Route::new(
            Verb::Post,
            &path,
            (add, "Add an entry"),
            Schema::Success,
            adding,
        );
        routes.push(route.body(Schema::EntryChange));
        let removing = async move |State(management), caller: Caller, body: Bytes| {
            let removed = lists::remove(management, list, &caller, &body).await;
            documented(removed.map(|removed| {
                let identifier = removed.get("identifier").and_then(Value::as_str);
                let identifier = identifier.unwrap_or_default();
                success(&format!("{identifier} deleted from {}", list_name(list)))
            }))
        };
        let summary = "Delete an entry that was added by hand";
        let route = Route::new(
            Verb::Delete,
            &path,
            (delete, summary),
            Schema::Success,
            removing,
        );
        routes.push(route.body(Schema::EntryChange));
    }
    routes
}

async fn shown(
    management: Arc<Management>,
    list: ListName,
    query: Parameters,
) -> Result<Value, Refusal> {
    let tag = parameters(query, &["tag"])?.remove("tag");
    let tag = tag.unwrap_or_else(|| "all".to_owned());
    let wanted: Vec<(&str, Source)> = SECTIONS
        .into_iter()
        .filter(|(name, _)| tag == "all" || tag == *name)
        .collect();
    if wanted.is_empty() {
        let names = SECTIONS.map(|(name, _)| name).join(", ");
        return Err(Refusal::wrong(format!(
            "tag: must be all or one of {names}"
        )));
    }
    off_path(move || {
        let snapshot = management.ase.snapshot.load();
        let now = clock::now();
        let mut sections: Vec<(&str, Source, Vec<Value>)> = wanted
            .into_iter()
            .map(|(name, source)| (name, source, Vec::new()))
            .collect();
        for (identifier, entry) in list_of(&snapshot, list).iter_sorted() {
            if entry.is_expired(now) {
                continue;
            }
            for (_, source, entries) in &mut sections {
                if *source == entry.source {
                    entries.push(lists::entry_json(&identifier, &entry.to_entry()));
                }
            }
        }
        let mut answer = Map::new();
        answer.insert("status".to_owned(), "success".into());
        for (name, _, entries) in sections {
            answer.insert(name.to_owned(), entries.into());
        }
        Ok(Value::Object(answer))
    })
    .await
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
