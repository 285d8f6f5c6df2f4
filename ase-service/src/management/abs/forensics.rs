//! The report on one client: its session as the engine remembers it, what was detected, what was odd.

use std::collections::BTreeSet;
use std::sync::Arc;

use ase_engine::{ClientReport, Provenness, Sample};
use serde_json::{Value, json};

use super::reports::indicator;
use super::{EARLIER, LATER, MEMBERS, Period, identifier};
use crate::clock;
use crate::lifetimes::IdentifierType;
use crate::management::clients::{self, Known};
use crate::management::documented::{Parameters, parameters};
use crate::management::reply::Refusal;
use crate::management::restricted::Sight;
use crate::management::{Management, off_path};

pub(super) async fn forensics(
    management: Arc<Management>,
    query: Parameters,
    sight: Sight,
) -> Result<Value, Refusal> {
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
    let known = clients::known(&management, identifier).await;
    off_path(move || report(&management, known?, &period, sight)).await
}

fn report(
    management: &Management,
    known: Known,
    period: &Period,
    sight: Sight,
) -> Result<Value, Refusal> {
    let behaviour = known.behaviour.as_ref();
    let within = behaviour.filter(|of| of.first <= period.to && period.from <= of.last);
    let odd = within.into_iter().flat_map(|of| &of.samples);
    let odd: Vec<_> = odd
        .filter(|sample| sample.odd.is_some() && period.holds(sample.at))
        .collect();
    let anomalies = odd.iter().map(|sample| {
        json!({"time": clock::rfc3339(sample.at), "method": &*sample.method, "path_info": path(sample, sight),
            "status": sample.status, "anomaly": sample.odd})
    });
    let detections = known.detections.iter();
    let detections = detections.filter(|found| period.holds(found.sighting.last));
    let indicators: Vec<Value> = detections
        .map(|found| indicator(found, management, sight))
        .collect();
    let whom = sight.name(&known.identifier, management);
    let sessions = within.map(|of| session(of, &whom, (management, sight)));
    let listed = match sight {
        Sight::Full => clients::listed(management, &known.identifier),
        Sight::Restricted => Value::Null,
    };
    let total = within.map_or(0, |of| of.requests);
    Ok(json!({
        "identifier": whom,
        "summary": {"total_requests": total, "total_anomalies": odd.len(), "total_ioc": indicators.len()},
        "details": {
            "ioc_types": indicators, "metrics": Vec::from_iter(sessions), "anomalies": Vec::from_iter(anomalies),
        },
        "listed": listed,
    }))
}

/// A path may hold the name of somebody, as in `/users/NAME`.
fn path(sample: &Sample, sight: Sight) -> Option<&str> {
    match sight {
        Sight::Full => Some(&sample.target),
        Sight::Restricted => None,
    }
}

/// The engine remembers one session of a client, and requests only of those that it suspects.
fn session(of: &ClientReport, whom: &str, (management, sight): (&Management, Sight)) -> Value {
    let samples = || of.samples.iter();
    let agents: BTreeSet<&str> = samples()
        .filter_map(|sample| sample.user_agent.as_deref())
        .collect();
    let devices: BTreeSet<&str> = agents.iter().map(|agent| device(agent)).collect();
    let mut addresses: BTreeSet<String> = samples()
        .map(|sample| sight.address(&sample.from.to_string(), management))
        .collect();
    if addresses.is_empty()
        && let Provenness::Address = of.proven
    {
        addresses.insert(whom.to_owned());
    }
    let paths: BTreeSet<&str> = samples().filter_map(|sample| path(sample, sight)).collect();
    json!({
        "session_id": whom,
        "start_time": clock::rfc3339(of.first), "end_time": clock::rfc3339(of.last),
        "total_requests": of.requests,
        "source_ip": addresses, "user_agent": agents, "path_info": paths, "device": devices,
    })
}

/// What a user agent says that it runs on.
fn device(agent: &str) -> &'static str {
    let known = [
        ("Android", "ANDROID"),
        ("iPhone", "IPHONE"),
        ("iPad", "IPAD"),
        ("Windows", "WINDOWS"),
        ("Macintosh", "MAC_OS_X"),
        ("CrOS", "CHROME_OS"),
        ("Linux", "LINUX"),
    ];
    let found = known.iter().find(|(word, _)| agent.contains(word));
    found.map_or("UNKNOWN", |(_, device)| device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_the_agent_says_and_otherwise_unknown() {
        let phone = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36";
        assert_eq!(device(phone), "ANDROID");
        assert_eq!(device("Mozilla/5.0 (X11; Linux x86_64)"), "LINUX");
        assert_eq!(device("curl/8"), "UNKNOWN");
    }
}
