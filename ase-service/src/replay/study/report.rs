//! What came of a run, as text and as JSON.

use ase_engine::Listing;
use serde_json::{Value, json};

use super::{Client, Study};
use crate::clock;

impl Study {
    fn per_second(&self) -> u64 {
        let micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        self.requests.saturating_mul(1_000_000) / micros.max(1)
    }

    fn listed(&self) -> usize {
        let listed = |client: &&Client| client.listed.is_some();
        self.clients.values().filter(listed).count()
    }

    fn stopped(&self) -> u64 {
        self.clients.values().map(|client| client.stopped).sum()
    }

    pub(super) fn to_json(&self) -> String {
        let left_out = self.left_out.iter();
        let left_out = left_out.map(|(why, (count, _))| (why.as_str().to_owned(), json!(count)));
        let detections = self.found.iter().map(|found| {
            json!({"time": clock::rfc3339(found.at), "attack": found.attack,
                "identifier": found.identifier, "reason": found.reason,
                "listing": listing(found.listing)})
        });
        let clients = self.clients.iter().map(|(address, client)| {
            let listed = client.listed.as_ref();
            json!({"client": address.to_string(), "requests": client.requests, "stopped": client.stopped,
                "listed_at_request": listed.map(|flag| flag.at_request),
                "attack": listed.map(|flag| &*flag.attack), "reason": listed.map(|flag| &*flag.reason)})
        });
        json!({
            "lines": self.lines, "left_out": left_out.collect::<serde_json::Map<String, Value>>(),
            "transactions": self.requests, "took_s": self.took.as_secs_f64(), "transactions_per_s": self.per_second(),
            "clients": self.clients.len(), "clients_listed": self.listed(), "requests_stopped": self.stopped(),
            "detections": self.detections, "found": detections.collect::<Vec<_>>(),
            "verdicts": clients.collect::<Vec<_>>(),
            "truth": self.score.as_ref().map(super::Score::to_json),
        })
        .to_string()
    }

    pub(super) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for found in &self.found {
            let time = clock::rfc3339(found.at);
            let note = match found.listing {
                Listing::Proposed { .. } => "",
                Listing::Simulated(_) => " (simulated: lists nobody)",
                Listing::OfMembers => " (of many clients together)",
            };
            lines.push(format!(
                "{time}\t{}\t{}\t{}{note}",
                found.attack, found.identifier, found.reason
            ));
        }
        let more = usize::try_from(self.detections).unwrap_or(usize::MAX);
        let more = more.saturating_sub(self.found.len());
        if more > 0 {
            lines.push(format!("and {more} more detections"));
        }
        for (address, client) in &self.clients {
            if let Some(flag) = &client.listed {
                lines.push(format!(
                    "listed\t{address}\tat its request {} of {}, {} stopped\t{}",
                    flag.at_request, client.requests, client.stopped, flag.reason
                ));
            }
        }
        lines.push(format!(
            "{} transactions of {} clients in {:.2} s: {} per second",
            self.requests,
            self.clients.len(),
            self.took.as_secs_f64(),
            self.per_second()
        ));
        for (why, (count, first)) in &self.left_out {
            let why = why.as_str();
            lines.push(format!(
                "{count} lines left out: {why}; the first is line {first}"
            ));
        }
        lines.push(format!(
            "{} detections, {} clients listed, {} of their requests stopped",
            self.detections,
            self.listed(),
            self.stopped()
        ));
        lines.extend(self.score.iter().flat_map(super::Score::lines));
        lines.join("\n")
    }
}

fn listing(listing: Listing) -> &'static str {
    match listing {
        Listing::Proposed { .. } => "proposed",
        Listing::Simulated(_) => "simulated",
        Listing::OfMembers => "of_members",
    }
}
