//! The documented paths of the original's analysis engine, under `/v4/abs`: the attack list, reports by attack and by client.
//!
//! Which shapes are documented and which are our choice is in `docs/management.md`. Raw values become ids on the way in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::{ListedIdentifier, Source, Sources};
use ase_core::time::UnixMillis;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::documented::{Parameters, parameters, success};
use super::openapi::Schema;
use super::reply::{Refusal, documented};
use super::route::{Presence, Route, Verb};
use super::{Management, change, clients, detections, off_path};
use crate::clock;
use crate::lifetimes::IdentifierType;
use crate::lists::{Removed, list_of};
use crate::state::ListName;
use crate::state::detections::DetectionFilter;

/// Most detections of one report.
const SHOWN: u32 = 10_000;
/// The members of the attack list by type of identifier.
const MEMBERS: [(IdentifierType, &str); 5] = [
    (IdentifierType::Ip, "ips"),
    (IdentifierType::Cookie, "cookies"),
    (IdentifierType::Token, "oauth_tokens"),
    (IdentifierType::ApiKey, "api_keys"),
    (IdentifierType::Username, "usernames"),
];
const EARLIER: (&str, &str) = (
    "earlier_date",
    "not before this minute, 2026-11-22T10:30, UTC",
);
const LATER: (&str, &str) = ("later_date", "not after this minute");

pub(super) fn routes() -> Vec<Route> {
    let optional = Presence::Optional;
    let dated = |route: Route| {
        route
            .query(EARLIER.0, optional, EARLIER.1)
            .query(LATER.0, optional, LATER.1)
    };
    let list = Route::new(
        Verb::Get,
        "/v4/abs/attacklist",
        ("absAttackList", "Whom the engine has listed"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(attack_list(&management, query))
        },
    )
    .query("status", optional, "active or expired");
    let remove = Route::new(
        Verb::Put,
        "/v4/abs/attacklist",
        ("absRemove", "Take clients off the engine's list"),
        Schema::Success,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            documented(remove(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    let clear = Route::new(
        Verb::Delete,
        "/v4/abs/attacklist",
        (
            "absClear",
            "Take every client of some types off the engine's list",
        ),
        Schema::Success,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            documented(clear(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    let attack = Route::new(
        Verb::Get,
        "/v4/abs/attack",
        ("absAttack", "The detections of one attack, or of all"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(attack(management, query).await)
        },
    )
    .query("type", Presence::Required, "the attack's number, 0 for all");
    let mut forensics = Route::new(
        Verb::Get,
        "/v4/abs",
        ("absForensics", "What is known of one client"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(forensics(management, query).await)
        },
    );
    for (kind, _) in MEMBERS {
        let meaning =
            "the client by this identifier, raw or as lists name it; a cookie as NAME=VALUE";
        forensics = forensics.query(kind.as_str(), optional, meaning);
    }
    vec![dated(list), remove, clear, dated(attack), dated(forensics)]
}

/// The time that a report covers.
struct Period {
    from: UnixMillis,
    to: UnixMillis,
}

impl Period {
    fn take(query: &mut BTreeMap<String, String>) -> Result<Self, Refusal> {
        let mut of = |name: &str| match query.remove(name) {
            None => Ok(None),
            Some(text) => clock::parse_rfc3339(&format!("{text}:00Z"))
                .map(Some)
                .map_err(|_| {
                    Refusal::wrong(format!("{name}: must be a minute such as 2026-11-22T10:30"))
                }),
        };
        Ok(Self {
            from: of(EARLIER.0)?.unwrap_or(UnixMillis(0)),
            to: of(LATER.0)?.map_or(UnixMillis(u64::MAX), |to| {
                to.after(Duration::from_millis(59_999))
            }),
        })
    }

    fn holds(&self, at: UnixMillis) -> bool {
        self.from <= at && at <= self.to
    }
}

fn attack_list(management: &Management, query: Parameters) -> Result<Value, Refusal> {
    let mut query = parameters(query, &[EARLIER.0, LATER.0, "status"])?;
    let period = Period::take(&mut query)?;
    let wanted = match query.remove("status").as_deref() {
        None => None,
        Some("active") => Some(false),
        Some("expired") => Some(true),
        Some(_) => return Err(Refusal::wrong("status: must be active or expired")),
    };
    let (snapshot, now) = (management.ase.snapshot.load(), clock::now());
    let mut answer: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (_, member) in MEMBERS {
        answer.insert(member, Vec::new());
    }
    for (identifier, entry) in list_of(&snapshot, ListName::Deny).iter_sorted() {
        let expired = entry.is_expired(now);
        let asked_for = wanted.is_none_or(|wanted| wanted == expired);
        if entry.source != Source::Engine || !period.holds(entry.added) || !asked_for {
            continue;
        }
        if let Some(entries) = answer.get_mut(member(&identifier)) {
            entries.push(json!({
                "value": identifier.to_string(), "description": entry.reason, "scope": entry.scope.to_string(),
                "access_time": clock::rfc3339(entry.added), "expires": entry.expires.map(clock::rfc3339),
                "status": if expired { "expired" } else { "active" },
            }));
        }
    }
    Ok(json!(answer))
}

fn member(identifier: &ListedIdentifier) -> &'static str {
    let kind = IdentifierType::of(identifier);
    let found = MEMBERS.iter().find(|(known, _)| *known == kind);
    found.map_or("", |(_, member)| member)
}

async fn remove(
    management: Arc<Management>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_else(|| json!({}));
    let mut fields = Fields::of(&document, "", &mut collector);
    let mut named = Vec::new();
    for (kind, member) in MEMBERS {
        match kind {
            IdentifierType::Cookie => {
                let cookies = fields.object(member);
                let names: Vec<String> = cookies.keys().into_iter().map(str::to_owned).collect();
                let mut cookies = cookies;
                for name in names {
                    for value in cookies.list(&name, |item| item.text()) {
                        named.push((kind, Some(name.clone()), value));
                    }
                }
                cookies.finish();
            }
            IdentifierType::Ip
            | IdentifierType::Token
            | IdentifierType::ApiKey
            | IdentifierType::Username => {
                let values = fields.list(member, |item| item.text());
                named.extend(values.into_iter().map(|value| (kind, None, value)));
            }
        }
    }
    fields.finish();
    let named = collector.into_result(named)?;
    let mut identifiers = Vec::new();
    for (kind, name, value) in named {
        identifiers.push(identifier(&management, kind, name.as_deref(), &value)?);
    }
    off_path(move || take_off(&management, &caller, &identifiers)).await
}

async fn clear(management: Arc<Management>, caller: Caller, body: &[u8]) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_else(|| json!({}));
    let mut fields = Fields::of(&document, "", &mut collector);
    let all = fields.flag("delete_all", false);
    let of_type = MEMBERS.map(|(_, member)| fields.flag(&format!("delete_all_{member}"), false));
    fields.finish();
    let members: Vec<&str> = collector.into_result(
        MEMBERS
            .iter()
            .zip(of_type)
            .filter(|(_, chosen)| *chosen || all)
            .map(|((_, member), _)| *member)
            .collect(),
    )?;
    off_path(move || {
        let snapshot = management.ase.snapshot.load();
        let listed = list_of(&snapshot, ListName::Deny).iter();
        let listed = listed.filter(|(identifier, entry)| {
            entry.source == Source::Engine && members.contains(&member(identifier))
        });
        let mut identifiers: Vec<ListedIdentifier> =
            listed.map(|(identifier, _)| identifier).collect();
        identifiers.dedup();
        take_off(&management, &caller, &identifiers)
    })
    .await
}

/// Takes the engine's entries of these clients off the deny list.
fn take_off(
    management: &Management,
    caller: &Caller,
    identifiers: &[ListedIdentifier],
) -> Result<Value, Refusal> {
    let mut removed = 0;
    for identifier in identifiers {
        let (list, engine) = (ListName::Deny, Sources::Only(Source::Engine));
        match management.lists.remove_of(list, identifier, None, engine)? {
            Removed::Entries(entries) => {
                removed += entries;
                let whom = identifier.to_string();
                let resources = [("identifier", whom.as_str()), ("source", "engine")];
                management.audited(caller, "delete_blacklist", &resources)?;
            }
            Removed::NotListed | Removed::InFile => {}
        }
    }
    Ok(success(&format!(
        "{removed} entries deleted from the attack list"
    )))
}

fn identifier(
    management: &Management,
    kind: IdentifierType,
    name: Option<&str>,
    value: &str,
) -> Result<ListedIdentifier, Refusal> {
    let mut document = Map::from_iter([
        ("type".to_owned(), kind.as_str().into()),
        ("value".to_owned(), value.into()),
    ]);
    document.extend(name.map(|name| ("name".to_owned(), name.into())));
    let document = Value::Object(document);
    let mut collector = FaultCollector::default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let keys = management.keys.load();
    let found = change::identifier(&mut fields, keys.current(), management.ipv6_prefix);
    fields.finish();
    Ok(collector.into_complete(found)?.0)
}

async fn attack(management: Arc<Management>, query: Parameters) -> Result<Value, Refusal> {
    let mut query = parameters(query, &[EARLIER.0, LATER.0, "type"])?;
    let period = Period::take(&mut query)?;
    let number = query.remove("type").and_then(|number| number.parse().ok());
    let number: u16 =
        number.ok_or_else(|| Refusal::wrong("type: must be the number of an attack, 0 for all"))?;
    off_path(move || {
        let filter = DetectionFilter {
            since: Some(period.from),
            attack: (number != 0).then_some(number),
            ..DetectionFilter::default()
        };
        let mut found = management.state.lock().detections(&filter, SHOWN)?;
        found.retain(|found| period.holds(found.sighting.last));
        let details: Vec<Value> = found.iter().map(detections::shown).collect();
        Ok(json!({"attack_type": number, "total_ioc": details.len(), "details": details}))
    })
    .await
}

async fn forensics(management: Arc<Management>, query: Parameters) -> Result<Value, Refusal> {
    let mut known = vec![EARLIER.0, LATER.0];
    known.extend(MEMBERS.map(|(kind, _)| kind.as_str()));
    let mut query = parameters(query, &known)?;
    let period = Period::take(&mut query)?;
    let mut asked = query.into_iter();
    let (Some((kind, value)), None) = (asked.next(), asked.next()) else {
        return Err(Refusal::wrong(
            "name one of ip, cookie, token, api_key and username",
        ));
    };
    let kind = IdentifierType::ALL
        .into_iter()
        .find(|known| known.as_str() == kind);
    let kind = kind.ok_or_else(|| Refusal::wrong("no such type of identifier"))?;
    let (name, value) = match (kind, value.split_once('=')) {
        (IdentifierType::Cookie, Some((name, value))) => (Some(name), value),
        (_, _) => (None, value.as_str()),
    };
    let identifier = identifier(&management, kind, name, value)?;
    let client = clients::client(management, identifier).await?;
    let within = |detection: &&Value| {
        let last = detection.get("last").and_then(Value::as_str);
        last.is_some_and(|last| clock::parse_rfc3339(last).is_ok_and(|last| period.holds(last)))
    };
    let detections = client.get("detections").and_then(Value::as_array);
    let detections: Vec<&Value> = detections.into_iter().flatten().filter(within).collect();
    let behaviour = client.get("behaviour");
    Ok(json!({
        "summary": {
            "total_requests": behaviour.and_then(|known| known.get("requests")),
            "total_anomalies": 0, "total_ioc": detections.len(),
        },
        "details": {"ioc_types": detections, "metrics": behaviour, "anomalies": []},
        "listed": client.get("listed"), "identifier": client.get("identifier"),
    }))
}
