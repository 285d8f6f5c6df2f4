//! Comparing what came with what must come. Every difference is named; none stops the comparison.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::http1::{self, Head};
use crate::raw_client::Reply;
use crate::scenario::{
    Any, AskedExpectation, ClientExpectation, MetadataExpectation, RecordCount, RecordExpectation,
    Request, Rise, UpstreamExpectation,
};
use crate::upstream::Received;

/// Differences, as sentences.
#[derive(Debug, Default)]
pub struct Differences(pub Vec<String>);

impl Differences {
    fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(&mut self, what: &str, got: &T, wanted: &T) {
        if got != wanted {
            self.0
                .push(format!("{what}: got {got:?}, wanted {wanted:?}"));
        }
    }

    /// The client's reply.
    pub fn of_reply(&mut self, reply: &Reply, wanted: &ClientExpectation, request: &Request) {
        self.equal("client: status", &reply.status, &wanted.status);
        if let Some(body) = &wanted.body {
            self.equal("client: body", &http1::latin1(&reply.body.content), body);
        }
        if request.after_upgrade.is_some() {
            self.equal("client: echo", &reply.echoed, &request.after_upgrade);
        }
        self.of_headers("client", &reply.head, &wanted.headers, &wanted.no_headers);
    }

    /// What the upstream got in this step.
    pub fn of_upstream(&mut self, received: &[Received], wanted: &UpstreamExpectation) {
        self.equal("upstream: requests", &received.len(), &wanted.count);
        for request in received {
            if let Some(target) = &wanted.target {
                self.equal("upstream: target", request.head.word(1), target);
            }
            self.of_headers(
                "upstream",
                &request.head,
                &wanted.headers,
                &wanted.no_headers,
            );
            if let Some(bytes) = wanted.body_bytes {
                let got = request.body.as_ref().map(|body| body.content.len());
                self.equal("upstream: body bytes", &got, &Some(bytes));
            }
            if !wanted.trailers.is_empty() {
                let got = request
                    .body
                    .as_ref()
                    .map(|body| body.trailers.clone())
                    .unwrap_or_default();
                self.equal("upstream: trailers", &got, &wanted.trailers);
            }
        }
    }

    /// What ASE was asked in this step, or was told by `/ase/response`.
    pub fn of_calls(&mut self, what: &str, calls: &[(Head, Value)], wanted: &AskedExpectation) {
        self.equal(&format!("{what}: calls"), &calls.len(), &wanted.count);
        for (head, json) in calls {
            if let Some(target) = &wanted.target {
                self.equal(&format!("{what}: target"), head.word(1), target);
            }
            self.of_headers(what, head, &wanted.call_headers, &wanted.no_call_headers);
            self.of_metadata(what, json, &wanted.metadata);
        }
    }

    /// A step's records; `requests` is how many there must be unless the expectation says otherwise.
    pub fn of_records(&mut self, records: &[Value], requests: usize, wanted: &RecordExpectation) {
        match wanted.count.unwrap_or(RecordCount::Exactly(requests)) {
            RecordCount::Exactly(count) => self.equal("records", &records.len(), &count),
            RecordCount::Unsaid(Any::Any) => {}
        }
        if let Some(wanted) = &wanted.ends {
            let end = |record: &Value| record.get("end")?.as_str().map(str::to_owned);
            let got: Vec<String> = records.iter().filter_map(end).collect();
            self.equal("records: end", &got, wanted);
        }
        for record in records {
            let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
            let mut compare = |name: &str, wanted: &Option<String>| {
                self.equal(&format!("record: {name}"), &text(name), wanted);
            };
            // ASE writes its own verdict into such a record, so that is compared all the same.
            let by_image = wanted.may_pass_by_image
                && wanted.decision.as_deref() == Some("verdict")
                && wanted.verdict.as_deref() == Some("allowed")
                && text("decision").as_deref() == Some("local");
            if wanted.decision.is_some() {
                if !by_image {
                    compare("decision", &wanted.decision);
                }
                compare("cause", &wanted.cause);
                let told = wanted.verdict_by_image.as_ref().filter(|_| by_image);
                compare("verdict", &told.or(wanted.verdict.as_ref()).cloned());
            }
            for (name, value) in [("end", &wanted.end), ("mode", &wanted.mode)] {
                if value.is_some() {
                    compare(name, value);
                }
            }
            self.of_fields("record", record, &wanted.fields, &wanted.absent);
            self.of_metadata(
                "record's request",
                record.get("request").unwrap_or(&Value::Null),
                &wanted.request,
            );
            self.of_metadata(
                "record's response",
                record.get("response").unwrap_or(&Value::Null),
                &wanted.response,
            );
        }
    }

    /// The rise of counters.
    pub fn of_counters(
        &mut self,
        before: &BTreeMap<String, u64>,
        after: &BTreeMap<String, u64>,
        wanted: &BTreeMap<String, Rise>,
    ) {
        for (name, wanted) in wanted {
            let value = |counters: &BTreeMap<String, u64>| counters.get(name).copied().unwrap_or(0);
            let rise = value(after).saturating_sub(value(before));
            match *wanted {
                Rise::Exactly(exactly) => self.equal(&format!("counter {name}"), &rise, &exactly),
                Rise::AtLeast { at_least } if rise < at_least => {
                    self.0.push(format!(
                        "counter {name}: got {rise}, wanted {at_least} or more"
                    ));
                }
                Rise::AtLeast { .. } => {}
                Rise::Falls { falls } => {
                    let fall = value(before).saturating_sub(value(after));
                    self.equal(&format!("gauge {name} falls by"), &fall, &falls);
                }
            }
        }
    }

    /// What the gateway's log holds.
    pub fn of_log(&mut self, log: &str, wanted: &[String], never: &[String]) {
        for text in wanted.iter().filter(|text| !log.contains(text.as_str())) {
            self.0.push(format!("log: {text:?} is missing"));
        }
        for text in never.iter().filter(|text| log.contains(text.as_str())) {
            self.0.push(format!("log: {text:?} must not be there"));
        }
    }

    fn of_headers(
        &mut self,
        what: &str,
        head: &Head,
        wanted: &BTreeMap<String, String>,
        absent: &[String],
    ) {
        for (name, value) in wanted {
            self.equal(
                &format!("{what}: header {name}"),
                &head.first(name),
                &Some(value.as_str()),
            );
        }
        for name in absent {
            self.equal(&format!("{what}: header {name}"), &head.first(name), &None);
        }
    }

    fn of_fields(
        &mut self,
        what: &str,
        json: &Value,
        wanted: &BTreeMap<String, Value>,
        absent: &[String],
    ) {
        for (pointer, value) in wanted {
            self.equal(
                &format!("{what}: {pointer}"),
                &json.pointer(pointer),
                &Some(value),
            );
        }
        for pointer in absent {
            self.equal(&format!("{what}: {pointer}"), &json.pointer(pointer), &None);
        }
    }

    fn of_metadata(&mut self, what: &str, json: &Value, wanted: &MetadataExpectation) {
        self.of_fields(what, json, &wanted.fields, &wanted.absent);
        for (pointer, wanted) in &wanted.members {
            let got = json.pointer(pointer).and_then(Value::as_array);
            self.equal(
                &format!("{what}: {pointer}"),
                &got.map(|got| sorted(got)),
                &Some(sorted(wanted)),
            );
        }
        let headers = headers(json);
        let mut rest = headers.iter();
        for (name, value) in &wanted.headers {
            if !rest.any(|(key, text)| key == name && text == value) {
                self.0.push(format!(
                    "{what}: header {name}: {value:?} is missing or not in order"
                ));
            }
        }
        for name in wanted
            .no_headers
            .iter()
            .filter(|name| headers.iter().any(|(key, _)| key == *name))
        {
            self.0
                .push(format!("{what}: header {name} must not be there"));
        }
        for (name, count) in &wanted.header_counts {
            let got = headers.iter().filter(|(key, _)| key == name).count();
            self.equal(&format!("{what}: header {name} occurs"), &got, count);
        }
    }
}

fn sorted(members: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = members.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// The header fields of a half, in order.
fn headers(half: &Value) -> Vec<(String, String)> {
    let objects = half
        .get("headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object);
    objects
        .flatten()
        .map(|(name, value)| {
            (
                name.clone(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_allowed_request_may_have_passed_by_the_image() {
        for (verdict, found, differs) in [
            ("allowed", "allowed", false),
            ("allowed", "would_block", true),
            ("would_block", "would_block", true),
            ("would_block", "allowed", true),
        ] {
            let wanted = RecordExpectation {
                decision: Some("verdict".to_owned()),
                verdict: Some(verdict.to_owned()),
                may_pass_by_image: true,
                ..RecordExpectation::default()
            };
            let mut differences = Differences::default();
            let record = json!({"decision": "local", "verdict": found});
            differences.of_records(&[record], 1, &wanted);
            assert_eq!(
                !differences.0.is_empty(),
                differs,
                "{verdict} wanted, {found} found: {differences:?}"
            );
        }
    }
}
