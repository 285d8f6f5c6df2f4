//! Reports by attack and by API.

use std::collections::BTreeMap;
use std::sync::Arc;

use ase_core::api_id::ApiId;
use ase_core::credential::CredentialKind;
use ase_core::registry::Registry;
use ase_core::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::{EARLIER, LATER, Period, SHOWN};
use crate::clock;
use crate::engine_host::{Amount, FAILURES, METHODS, SPAN_MS, Served};
use crate::management::documented::{Parameters, parameters};
use crate::management::reply::Refusal;
use crate::management::restricted::Sight;
use crate::management::{Management, detections, discovery as found_apis, off_path};
use crate::state::detections::{DetectionFilter, StoredDetection};

/// What a restricted caller is told of a detection beside a pseudonym: nothing that was requested, and nobody else.
const RESTRICTED: [&str; 12] = [
    "id",
    "attack_id",
    "name",
    "api",
    "type",
    "source",
    "variables",
    "first",
    "last",
    "count",
    "outcome",
    "undone",
];

pub(super) async fn attack(
    management: Arc<Management>,
    query: Parameters,
    sight: Sight,
) -> Result<Value, Refusal> {
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
        let details = found.iter();
        let details: Vec<Value> = details
            .map(|found| indicator(found, &management, sight))
            .collect();
        Ok(json!({"attack_type": number, "total_ioc": details.len(), "details": details}))
    })
    .await
}

/// A detection with the documented codes beside our members.
pub(super) fn indicator(found: &StoredDetection, management: &Management, sight: Sight) -> Value {
    let mut shown = detections::shown(found);
    let codes = codes(shown.get("variables"));
    let Some(members) = shown.as_object_mut() else {
        return shown;
    };
    match sight {
        Sight::Full => {}
        Sight::Restricted => members.retain(|name, _| RESTRICTED.contains(&name.as_str())),
    }
    let identifier = sight.name(&found.sighting.identifier, management);
    members.insert("identifier".to_owned(), identifier.into());
    let names = ["attack_code", "attack_deviation"];
    for (name, code) in names.into_iter().zip([codes.0, codes.1]) {
        members.insert(name.to_owned(), code.into());
    }
    shown
}

/// `varA(Tx, 26)` and `varA(700%)` of the variables that have reached a threshold.
fn codes(variables: Option<&Value>) -> (String, String) {
    let (mut reached, mut deviations) = (Vec::new(), Vec::new());
    let variables = variables.and_then(Value::as_object);
    for (letter, measured) in variables.into_iter().flatten() {
        let number = |name: &str| measured.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        if let Some(threshold) = measured.get("reached").and_then(Value::as_str) {
            reached.push(format!("var{letter}({threshold}, {:.0})", number("value")));
            deviations.push(format!("var{letter}({:.0}%)", number("deviation_percent")));
        }
    }
    (reached.join(", "), deviations.join(", "))
}

pub(super) async fn metrics(
    management: Arc<Management>,
    query: Parameters,
) -> Result<Value, Refusal> {
    let mut query = parameters(query, &[EARLIER.0, LATER.0, "api_name"])?;
    let period = Period::take(&mut query)?;
    let (from, to) = (period.from, period.to.min(clock::now()));
    let engine = &management.ase.engine;
    let counted = engine.ask(move |desk| desk.activity.between(from, to));
    let mut counted = counted.await.unwrap_or_default();
    if let Some(name) = query.remove("api_name") {
        let wanted = ApiId::parse(&name).map(Served::Api);
        counted.retain(|(served, _)| wanted.as_ref() == Ok(served));
        let known = |api: &Served| match api {
            Served::Api(id) => management.ase.snapshot.load().registry.get(id).is_some(),
            Served::Undefined | Served::Others => false,
        };
        if counted.is_empty() && !wanted.is_ok_and(|wanted| known(&wanted)) {
            return Err(Refusal::absent(format!("there is no API {name:?}")));
        }
    }
    off_path(move || {
        let attacks = attacks_by_api(&management, &period)?;
        let snapshot = management.ase.snapshot.load();
        let shown = |(served, amount): &(Served, Amount)| {
            let name = match served {
                Served::Api(id) => Some(id.as_str().to_owned()),
                Served::Undefined | Served::Others => None,
            };
            let attacks = attacks.get(&name);
            let mut report = amount_json(amount);
            report.extend(described(served, &snapshot.registry));
            report.insert("attacks".to_owned(), json!(attacks));
            Value::Object(report)
        };
        let span = |at: UnixMillis| UnixMillis(at.0 / SPAN_MS * SPAN_MS);
        Ok(json!({
            "earlier_date": clock::rfc3339(span(from)),
            "later_date": clock::rfc3339(span(to).after(std::time::Duration::from_millis(SPAN_MS))),
            "apis": counted.iter().map(shown).collect::<Vec<_>>(),
        }))
    })
    .await
}

/// How many detections each API has had, by the attack's name.
fn attacks_by_api(
    management: &Management,
    period: &Period,
) -> Result<BTreeMap<Option<String>, BTreeMap<String, u64>>, Refusal> {
    let filter = DetectionFilter {
        since: Some(period.from),
        ..DetectionFilter::default()
    };
    let mut by_api: BTreeMap<Option<String>, BTreeMap<String, u64>> = BTreeMap::new();
    for found in management.state.lock().detections(&filter, SHOWN)? {
        let sighting = found.sighting;
        if period.holds(sighting.last) {
            let of_api = by_api.entry(sighting.api).or_default();
            *of_api.entry(sighting.name).or_default() += 1;
        }
    }
    Ok(by_api)
}

fn described(served: &Served, registry: &Registry) -> Map<String, Value> {
    let mut members = Map::new();
    let (name, note) = match served {
        Served::Api(id) => (Some(id.as_str()), None),
        Served::Undefined => (None, Some("traffic that no definition covers")),
        Served::Others => (None, Some("APIs beyond the number that is counted apart")),
    };
    members.insert("api_name".to_owned(), json!(name));
    members.extend(note.map(|note| ("note".to_owned(), note.into())));
    if let Served::Api(id) = served
        && let Some(api) = registry.get(id)
    {
        members.insert("api_url".to_owned(), api.base_path().to_string().into());
        members.insert("hostname".to_owned(), api.host().to_string().into());
    }
    members
}

fn amount_json(amount: &Amount) -> Map<String, Value> {
    let classes = [
        "unanswered",
        "informational",
        "success",
        "redirects",
        "client_errors",
        "server_errors",
    ];
    let named = |names: &[&str], counts: &[u64]| {
        let pairs = names.iter().zip(counts);
        let pairs = pairs.filter(|(_, count)| **count > 0);
        let members = pairs.map(|(name, count)| ((*name).to_owned(), json!(count)));
        Value::Object(members.collect())
    };
    let failures = FAILURES.map(|status| status.to_string());
    let failures: Vec<&str> = failures.iter().map(String::as_str).collect();
    let mut kinds: Vec<&str> = CredentialKind::ALL.map(CredentialKind::as_str).to_vec();
    kinds.push("ip");
    let mut by_kind = amount.by_kind.to_vec();
    by_kind.push(amount.bare);
    let millis = |micros: u64| micros as f64 / 1000.0;
    let mean = (amount.timed > 0).then(|| millis(amount.took_us / amount.timed.max(1)));
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    add("total_requests", amount.requests.into());
    add("responses", named(&classes, &amount.by_class));
    add("backend_errors", named(&failures, &amount.by_failure));
    add("methods", named(&METHODS, &amount.by_method));
    add("identified_by", named(&kinds, &by_kind));
    add("would_block", amount.would_block.into());
    add("request_bytes", amount.request_bytes.into());
    add("response_bytes", amount.response_bytes.into());
    let longest = (amount.timed > 0).then(|| millis(amount.longest_us));
    add("duration_ms", json!({"mean": mean, "longest": longest}));
    members
}

pub(super) async fn discovery(
    management: Arc<Management>,
    query: Parameters,
) -> Result<Value, Refusal> {
    let mut query = parameters(query, &["api_name"])?;
    let found = found_apis::found(&management).await;
    // Behind a gateway ASE does not know the servers; the original says so in these words.
    let servers = json!([{"host": "0.0.0.0", "status": "not available"}]);
    match query.remove("api_name") {
        None => {
            let summary = |api: &Value| {
                let of = |key: &str| api.get(key).cloned().unwrap_or_default();
                json!({"api_name": of("name"), "api_url": of("url"), "total_requests": of("requests"),
                    "identified_by": of("identified_by"), "servers": servers})
            };
            let apis: Vec<Value> = found.iter().map(summary).collect();
            Ok(json!({"total_apis": apis.len(), "discovered_apis": apis}))
        }
        Some(name) => {
            let named = |api: &&Value| api.get("name").and_then(Value::as_str) == Some(&*name);
            let api = found.iter().find(named);
            let api =
                api.ok_or_else(|| Refusal::absent(format!("no such API is discovered: {name:?}")))?;
            let of = |pointer: &str| api.pointer(pointer).cloned().unwrap_or_default();
            Ok(json!({
                "api_name": name, "api_url": of("/url"), "total_requests": of("/requests"),
                "identified_by": of("/identified_by"), "templates": of("/templates"), "servers": servers,
                "api_metadata": of("/definition/api_metadata"),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_name_the_variables_that_have_reached_a_threshold() {
        let variables = json!({
            "A": {"value": 26.2, "reached": "Tx", "deviation_percent": 700.4},
            "B": {"value": 3.0, "reached": null, "deviation_percent": 0.0},
            "C": {"value": 9.0, "reached": "Tn", "deviation_percent": 12.5},
        });
        let (reached, deviations) = codes(Some(&variables));
        assert_eq!(reached, "varA(Tx, 26), varC(Tn, 9)");
        assert_eq!(deviations, "varA(700%), varC(12%)");
        assert_eq!(codes(None), (String::new(), String::new()));
    }
}
