//! The attack list of the original: whom the engine has listed, is listing no more, and taking clients off.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::{ListedIdentifier, Scope, Source, Sources};
use ase_core::time::UnixMillis;
use serde_json::{Value, json};

use super::{EARLIER, LATER, MEMBERS, Period, SHOWN, identifier, member};
use crate::clock;
use crate::lifetimes::IdentifierType;
use crate::lists::{Removed, list_of};
use crate::management::caller::Caller;
use crate::management::documented::{Parameters, parameters, success};
use crate::management::reply::Refusal;
use crate::management::restricted::Sight;
use crate::management::{Management, off_path};
use crate::state::ListName;
use crate::state::detections::{DetectionFilter, Outcome, StoredDetection};

/// One member of the list.
struct Listed {
    identifier: ListedIdentifier,
    description: String,
    scope: Scope,
    added: UnixMillis,
    expires: Option<UnixMillis>,
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Active,
    Expired,
}

pub(super) async fn attack_list(
    management: Arc<Management>,
    query: Parameters,
    sight: Sight,
) -> Result<Value, Refusal> {
    let mut query = parameters(query, &[EARLIER.0, LATER.0, "status"])?;
    let period = Period::take(&mut query)?;
    let wanted = match query.remove("status").as_deref() {
        None => None,
        Some("active") => Some(Status::Active),
        Some("expired") => Some(Status::Expired),
        Some(_) => return Err(Refusal::wrong("status: must be active or expired")),
    };
    off_path(move || {
        let mut all = active(&management);
        all.extend(expired(&management, &all)?);
        let mut answer: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (_, member) in MEMBERS {
            answer.insert(member, Vec::new());
        }
        all.retain(|listed| {
            period.holds(listed.added) && wanted.is_none_or(|wanted| wanted == listed.status)
        });
        for listed in &all {
            if let Some(members) = answer.get_mut(member(&listed.identifier)) {
                members.push(listed.shown(&management, sight));
            }
        }
        Ok(json!(answer))
    })
    .await
}

impl Listed {
    fn shown(&self, management: &Management, sight: Sight) -> Value {
        json!({
            "value": sight.name(&self.identifier, management),
            "description": self.description, "scope": self.scope.to_string(),
            "access_time": clock::rfc3339(self.added), "expires": self.expires.map(clock::rfc3339),
            "status": match self.status { Status::Active => "active", Status::Expired => "expired" },
        })
    }

    /// A listing that is over; `None` for a detection that has led to none, or to one that still counts.
    fn over(found: StoredDetection, now: UnixMillis) -> Option<Self> {
        let (sighting, undone) = (found.sighting, found.undone);
        let expires = sighting.ttl.map(|ttl| sighting.last.after(ttl));
        let is_over = undone || expires.is_some_and(|expires| expires <= now);
        (sighting.outcome == Outcome::Listed && is_over).then_some(Self {
            identifier: sighting.identifier,
            description: sighting.name,
            scope: sighting.scope,
            added: sighting.first,
            expires,
            status: Status::Expired,
        })
    }
}

fn active(management: &Management) -> Vec<Listed> {
    let (snapshot, now) = (management.ase.snapshot.load(), clock::now());
    let entries = list_of(&snapshot, ListName::Deny).iter_sorted();
    let of_engine = entries
        .filter(|(_, entry)| entry.source == Source::Engine && !entry.is_expired(now))
        .map(|(identifier, entry)| Listed {
            identifier,
            description: entry.reason.to_string(),
            scope: entry.scope.clone(),
            added: entry.added,
            expires: entry.expires,
            status: Status::Active,
        });
    of_engine.collect()
}

/// Those that the engine has listed before: the deny list does not hold them any more, the detections do. The latest of each client.
fn expired(management: &Management, active: &[Listed]) -> Result<Vec<Listed>, Refusal> {
    let filter = DetectionFilter {
        source: Some(Source::Engine),
        ..DetectionFilter::default()
    };
    let found = management.state.lock().detections(&filter, SHOWN)?;
    let (now, mut known) = (clock::now(), BTreeSet::new());
    known.extend(active.iter().map(|listed| listed.identifier.to_string()));
    let over = found
        .into_iter()
        .filter_map(|found| Listed::over(found, now));
    Ok(over
        .filter(|listed| known.insert(listed.identifier.to_string()))
        .collect())
}

pub(super) async fn remove(
    management: Arc<Management>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
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

pub(super) async fn clear(
    management: Arc<Management>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
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
