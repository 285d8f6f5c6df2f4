//! A detection as it is stored and shown: what was measured, and what shows it. Samples hold no secrets; the engine saw to that.

use ase_core::identifier_list::{Scope, Source};
use ase_engine::{Detection, Listing, Measured, Sample, Threshold};
use serde_json::{Map, Value, json};

use crate::clock;
use crate::state::detections::{Outcome, Sighting};

/// The detection, reported only.
pub(super) fn sighting(detection: &Detection) -> Sighting {
    Sighting {
        attack: Some(detection.catalogue_id),
        name: detection.attack.as_str().to_owned(),
        api: detection.api.as_ref().map(|api| api.as_str().to_owned()),
        identifier: detection.identifier,
        scope: Scope::All,
        source: Source::Engine,
        variables: variables(&detection.variables).to_string(),
        evidence: evidence(detection).to_string(),
        first: detection.at,
        last: detection.at,
        count: 1,
        ttl: None,
        outcome: Outcome::Reported,
    }
}

fn variables(measured: &[Measured]) -> Value {
    let shown = measured.iter().map(|measured| {
        let value = json!({
            "meaning": measured.meaning,
            "value": rounded(measured.value),
            "tn": rounded(measured.tn),
            "tx": measured.tx.map(rounded),
            "reached": match measured.reached {
                Threshold::Below => Value::Null,
                Threshold::Normal | Threshold::Extreme => measured.reached.as_str().into(),
            },
            "deviation_percent": rounded(measured.deviation_percent()),
        });
        (measured.variable.as_str().to_owned(), value)
    });
    Value::Object(Map::from_iter(shown))
}

fn evidence(detection: &Detection) -> Value {
    let last = detection.samples.last();
    let (listing, ttl) = match detection.listing {
        Listing::Proposed { ttl } => ("proposed", Some(ttl)),
        Listing::Simulated(hypothetical) => ("simulated", Some(hypothetical.ttl)),
        Listing::OfMembers => ("of_members", None),
    };
    let members = detection.members.iter().map(ToString::to_string);
    json!({
        "title": detection.attack.title(),
        "reason": detection.reason(),
        "route": detection.route.as_deref(),
        "requests": detection.requests,
        "first_seen": clock::rfc3339(detection.first),
        "last_seen": clock::rfc3339(detection.last),
        "method": last.map(|sample| &*sample.method),
        "url": last.map(|sample| &*sample.target),
        "samples": detection.samples.iter().map(sample).collect::<Vec<_>>(),
        "members": members.collect::<Vec<_>>(),
        "listing": listing,
        "listing_ttl_s": ttl.map(|ttl| ttl.as_secs()),
    })
}

/// A sample as answers show it.
pub(crate) fn sample(sample: &Sample) -> Value {
    json!({
        "time": clock::rfc3339(sample.at),
        "from": sample.from.to_string(),
        "user_agent": sample.user_agent.as_deref(),
        "method": &*sample.method,
        "target": &*sample.target,
        "status": sample.status,
        "odd": sample.odd,
    })
}

/// Two digits behind the point are enough for people.
pub(crate) fn rounded(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}
