//! What each API has answered, by spans of ten minutes over a day: for reports, not for detection.
//!
//! Counted on the engine's thread, from what the engine gets; bounded in APIs and spans, and gone with the process.

use std::collections::BTreeMap;

use ase_core::api_id::ApiId;
use ase_core::credential::CredentialKind;
use ase_core::time::UnixMillis;
use ase_engine::{Fate, Transaction};

/// How long a span is, in milliseconds.
pub(crate) const SPAN_MS: u64 = 10 * 60 * 1000;
/// Spans that are kept of each API.
pub(crate) const SPANS: usize = 144;
/// APIs that are counted apart; those beyond are counted together.
const MAX_APIS: usize = 1000;
/// The methods that are counted apart; others are counted as the last name says.
pub(crate) const METHODS: [&str; 8] = [
    "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "other",
];
/// The failures that are counted by their status.
pub(crate) const FAILURES: [u16; 5] = [403, 404, 500, 503, 504];

/// Which traffic is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Served {
    /// That of an API.
    Api(ApiId),
    /// That of no API that is defined.
    Undefined,
    /// That of the APIs beyond the bound.
    Others,
}

/// What was counted. Of exchanges that the gateway let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// All of them.
    pub requests: u64,
    /// By the first digit of their status; the first place counts those without an answer.
    pub by_class: [u64; 6],
    /// By the status of `FAILURES`.
    pub by_failure: [u64; FAILURES.len()],
    /// By the method of `METHODS`.
    pub by_method: [u64; METHODS.len()],
    /// Those that carried a credential of a kind, in the order of the kinds.
    pub by_kind: [u64; CredentialKind::ALL.len()],
    /// Those that carried none.
    pub bare: u64,
    /// Those that would have been blocked were blocking on.
    pub would_block: u64,
    /// Bytes of request bodies, where known.
    pub request_bytes: u64,
    /// Bytes of response bodies, where known.
    pub response_bytes: u64,
    /// Those whose duration is known.
    pub timed: u64,
    /// How long these took, in microseconds.
    pub took_us: u64,
    /// The longest of them.
    pub longest_us: u64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Activity(BTreeMap<Served, BTreeMap<u64, Amount>>);

impl Activity {
    /// Counts exchanges.
    pub(super) fn count(&mut self, transactions: &[Transaction<'_>]) {
        for transaction in transactions {
            self.spans(transaction)
                .entry(transaction.at.0 / SPAN_MS)
                .or_default()
                .count(transaction);
        }
    }

    /// What every API has answered in the spans that `from` and `to` fall into, and between.
    #[must_use]
    pub fn between(&self, from: UnixMillis, to: UnixMillis) -> Vec<(Served, Amount)> {
        let spans = from.0 / SPAN_MS..=to.0 / SPAN_MS;
        let sum = |all: &BTreeMap<u64, Amount>| {
            let within = all.range(spans.clone());
            within.fold(Amount::default(), |sum, (_, amount)| sum.plus(amount))
        };
        let all = self
            .0
            .iter()
            .map(|(served, all)| (served.clone(), sum(all)));
        all.filter(|(_, amount)| amount.requests > 0).collect()
    }

    fn spans(&mut self, transaction: &Transaction<'_>) -> &mut BTreeMap<u64, Amount> {
        let served = match transaction.api {
            None => Served::Undefined,
            Some(api) => Served::Api(api.id.clone()),
        };
        let has_room = self.0.len() < MAX_APIS || self.0.contains_key(&served);
        let served = if has_room { served } else { Served::Others };
        let spans = self.0.entry(served).or_default();
        while spans.len() > SPANS {
            spans.pop_first();
        }
        spans
    }
}

impl Amount {
    fn count(&mut self, transaction: &Transaction<'_>) {
        self.requests += 1;
        let status = transaction.status.unwrap_or(0);
        step(self.by_class.get_mut(usize::from(status / 100)));
        let failure = FAILURES.iter().position(|failure| *failure == status);
        step(failure.and_then(|place| self.by_failure.get_mut(place)));
        let method = METHODS.iter().position(|name| *name == transaction.method);
        step(self.by_method.get_mut(method.unwrap_or(METHODS.len() - 1)));
        for (count, kind) in self.by_kind.iter_mut().zip(CredentialKind::ALL) {
            let carried = transaction.credentials.iter();
            *count += u64::from(carried.into_iter().any(|carried| carried.kind == kind));
        }
        self.bare += u64::from(transaction.credentials.is_empty());
        self.would_block += u64::from(transaction.fate == Fate::WouldBlock);
        let add = |sum: &mut u64, more: Option<u64>| *sum = sum.saturating_add(more.unwrap_or(0));
        add(&mut self.request_bytes, transaction.request_bytes);
        add(&mut self.response_bytes, transaction.response_bytes);
        if let Some(duration) = transaction.duration {
            let took = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            self.timed += 1;
            add(&mut self.took_us, Some(took));
            self.longest_us = self.longest_us.max(took);
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            by_class: sums(self.by_class, other.by_class),
            by_failure: sums(self.by_failure, other.by_failure),
            by_method: sums(self.by_method, other.by_method),
            by_kind: sums(self.by_kind, other.by_kind),
            bare: self.bare + other.bare,
            would_block: self.would_block + other.would_block,
            request_bytes: self.request_bytes.saturating_add(other.request_bytes),
            response_bytes: self.response_bytes.saturating_add(other.response_bytes),
            timed: self.timed + other.timed,
            took_us: self.took_us.saturating_add(other.took_us),
            longest_us: self.longest_us.max(other.longest_us),
        }
    }
}

fn step(count: Option<&mut u64>) {
    if let Some(count) = count {
        *count += 1;
    }
}

fn sums<const N: usize>(mut all: [u64; N], more: [u64; N]) -> [u64; N] {
    for (sum, more) in all.iter_mut().zip(more) {
        *sum += more;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ase_core::address::ClientAddress;
    use ase_core::path::NormalPath;
    use ase_engine::ApiFacts;

    use super::*;

    fn transaction<'a>(at: u64, api: Option<&'a ApiId>, path: &'a NormalPath) -> Transaction<'a> {
        Transaction {
            record: None,
            at: UnixMillis(at),
            api: api.map(|id| ApiFacts::of(id, None)),
            client: ClientAddress::parse("192.0.2.1").unwrap(),
            credentials: &[],
            method: "GET",
            target: "/",
            path,
            user_agent: None,
            status: Some(404),
            request_bytes: None,
            response_bytes: Some(10),
            duration: Some(Duration::from_micros(1500)),
            fate: Fate::Passed,
            broken_rule: None,
            account: None,
            carriers: &[],
        }
    }

    #[test]
    fn an_api_is_counted_by_spans_and_only_those_of_the_period_are_summed() {
        let (mut activity, path) = (Activity::default(), NormalPath::from_url("/"));
        let shop = ApiId::parse("shop").unwrap();
        let at = |span: u64| span * SPAN_MS + 7;
        for span in [100, 100, 101, 103] {
            activity.count(&[transaction(at(span), Some(&shop), &path)]);
        }
        activity.count(&[transaction(at(101), None, &path)]);
        let found = activity.between(UnixMillis(at(101)), UnixMillis(at(103)));
        let named: Vec<_> = found
            .iter()
            .map(|(served, amount)| (served.clone(), amount.requests))
            .collect();
        assert_eq!(named, [(Served::Api(shop), 2), (Served::Undefined, 1)]);
        let (_, amount) = &found[0];
        assert_eq!((amount.by_class[4], amount.by_failure[1]), (2, 2));
        assert_eq!((amount.bare, amount.response_bytes), (2, 20));
        assert_eq!((amount.took_us, amount.longest_us), (3000, 1500));
    }

    #[test]
    fn a_day_is_kept_of_a_bounded_number_of_apis() {
        let (mut activity, path) = (Activity::default(), NormalPath::from_url("/"));
        let shop = ApiId::parse("shop").unwrap();
        for span in 0..1000 {
            activity.count(&[transaction(span * SPAN_MS, Some(&shop), &path)]);
        }
        let (from, to) = (UnixMillis(0), UnixMillis(u64::MAX));
        let [(_, amount)] = activity.between(from, to)[..] else {
            panic!("one API");
        };
        assert_eq!(amount.requests, SPANS as u64 + 1);
        for number in 0..2 * MAX_APIS {
            let id = ApiId::parse(&format!("api-{number}")).unwrap();
            activity.count(&[transaction(0, Some(&id), &path)]);
        }
        let found = activity.between(from, to);
        assert_eq!(found.len(), MAX_APIS + 1);
        let others = found.iter().find(|(served, _)| *served == Served::Others);
        assert_eq!(others.unwrap().1.requests, MAX_APIS as u64 + 1);
    }
}
