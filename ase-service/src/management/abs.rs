//! The documented paths of the original's analysis engine, under `/v4/abs`: the attack list, reports by attack, by API and by client.
//!
//! Which shapes are documented and which are our choice is in `docs/management.md`. Raw values become ids on the way in; a
//! restricted caller reads everything but who the clients are, and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::documented::Parameters;
use super::openapi::Schema;
use super::reply::{Refusal, documented};
use super::restricted::Sight;
use super::route::{Presence, Route, Verb};
use super::{Management, change};
use crate::clock;
use crate::lifetimes::IdentifierType;

mod attack_list;
mod forensics;
mod reports;
mod threshold;

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
    let routes = list_routes().into_iter();
    let routes = routes.chain(report_routes());
    routes.chain(threshold::routes()).collect()
}

fn dated(route: Route) -> Route {
    route.query(EARLIER.0, Presence::Optional, EARLIER.1).query(
        LATER.0,
        Presence::Optional,
        LATER.1,
    )
}

fn list_routes() -> [Route; 3] {
    let list = Route::new(
        Verb::Get,
        "/v4/abs/attacklist",
        ("absAttackList", "Whom the engine has listed"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, sight: Sight, query: Parameters| {
            documented(attack_list::attack_list(management, query, sight).await)
        },
    )
    .query("status", Presence::Optional, "active or expired");
    let remove = Route::new(
        Verb::Put,
        "/v4/abs/attacklist",
        ("absRemove", "Take clients off the engine's list"),
        Schema::Success,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            documented(attack_list::remove(management, caller, &body).await)
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
            documented(attack_list::clear(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    [dated(list), remove, clear]
}

fn report_routes() -> [Route; 4] {
    let attack = Route::new(
        Verb::Get,
        "/v4/abs/attack",
        ("absAttack", "The detections of one attack, or of all"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, sight: Sight, query: Parameters| {
            documented(reports::attack(management, query, sight).await)
        },
    )
    .query("type", Presence::Required, "the attack's number, 0 for all");
    let metrics = Route::new(
        Verb::Get,
        "/v4/abs/metrics",
        (
            "absMetrics",
            "What each API has answered, and what was detected on it",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(reports::metrics(management, query).await)
        },
    )
    .query("api_name", Presence::Optional, "this API alone");
    let discovery = Route::new(
        Verb::Get,
        "/v4/abs/discovery",
        (
            "absDiscovery",
            "APIs that no definition covers; one of them with its definition",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(reports::discovery(management, query).await)
        },
    )
    .query("api_name", Presence::Optional, "this one, in full");
    let mut forensics = Route::new(
        Verb::Get,
        "/v4/abs",
        ("absForensics", "What is known of one client"),
        Schema::Report,
        async |State(management): State<Arc<Management>>, sight: Sight, query: Parameters| {
            documented(forensics::forensics(management, query, sight).await)
        },
    );
    for (kind, _) in MEMBERS {
        let meaning =
            "the client by this identifier, raw or as lists name it; a cookie as NAME=VALUE";
        forensics = forensics.query(kind.as_str(), Presence::Optional, meaning);
    }
    [dated(attack), dated(metrics), discovery, dated(forensics)]
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

fn member(identifier: &ListedIdentifier) -> &'static str {
    let kind = IdentifierType::of(identifier);
    let found = MEMBERS.iter().find(|(known, _)| *known == kind);
    found.map_or("", |(_, member)| member)
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
    let document = Value::Object(document).into();
    let mut collector = FaultCollector::default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let keys = management.keys.load();
    let found = change::identifier(&mut fields, keys.current(), management.ipv6_prefix);
    fields.finish();
    Ok(collector.into_complete(found)?.0)
}
