//! The table against plain expectations; time is stepped.

use std::borrow::Cow;

use ase_core::metadata::RequestMetadata;
use ase_core::time::UnixMillis;
use ase_core::transaction::{End, GatewayDecision};

use super::*;
use crate::exchange::{Ending, ReportMode, RequestFacts, Started};
use crate::fingerprint::Fingerprinter;
use crate::tokens::Gateway;

const TTL: Duration = Duration::from_secs(180);

struct Table {
    fingerprinter: Fingerprinter,
    table: Correlation,
    start: Instant,
}

#[test]
fn a_response_finds_its_request_once() {
    let mut table = table(10);
    assert_eq!(table.open("a", 0), []);
    assert_eq!(table.finish("a", 2), "a");
    assert_eq!(table.finish("a", 3), "unknown");
    assert_eq!(table.finish("b", 3), "unknown");
}

#[test]
fn an_exchange_that_waits_too_long_is_handed_out_and_no_longer_found() {
    let mut table = table(10);
    assert_eq!(table.open("a", 0), []);
    assert_eq!(table.open("b", 100), []);
    assert_eq!(table.finish("a", 180), "unknown");
    assert_eq!(
        table.open("c", 180),
        [("a".to_owned(), AbortCause::Expired)]
    );
    assert_eq!(table.finish("b", 279), "b");
}

#[test]
fn the_oldest_makes_room_and_the_newest_of_an_id_wins() {
    let mut table = table(2);
    assert_eq!(table.open("a", 0), []);
    assert_eq!(table.open("b", 1), []);
    assert_eq!(table.open("a", 2), [("a".to_owned(), AbortCause::Replaced)]);
    assert_eq!(table.open("c", 3), [("b".to_owned(), AbortCause::Evicted)]);
    assert_eq!(table.finish("a", 4), "a");
    assert_eq!(table.finish("c", 4), "c");
}

#[test]
fn the_order_stays_bounded_when_responses_come_fast() {
    let mut table = table(10);
    for _ in 0..1000 {
        assert_eq!(table.open("a", 0), []);
        assert_eq!(table.finish("a", 0), "a");
    }
    assert!(table.table.order.len() <= 20);
}

#[test]
fn lines_that_are_too_large_together_make_room_from_the_oldest() {
    let mut table = table(10);
    table.table.max_bytes = 2 * half("a").bytes();
    assert!(table.open("a", 0).is_empty());
    assert!(table.open("b", 0).is_empty());
    assert_eq!(table.open("c", 0), [("a".to_owned(), AbortCause::Evicted)]);
    assert_eq!(table.finish("b", 1), "b");
    assert!(table.open("d", 1).is_empty());
}

#[test]
fn a_question_repeats_while_it_is_remembered_and_only_itself() {
    let mut table = table(10);
    let (id, other) = (table.id("a"), table.id("b"));
    table.open("a", 0);
    let at = |second| table.start + Duration::from_secs(second);
    assert!(table.table.repeats(id, id, at(1)));
    assert!(!table.table.repeats(id, other, at(1)));
    assert!(!table.table.repeats(other, other, at(1)));
    assert!(!table.table.repeats(id, id, at(180)));
}

#[test]
fn a_logged_exchange_is_accepted_and_never_handed_out() {
    let mut table = table(10);
    let id = table.id("a");
    assert!(
        table
            .table
            .open(id, id, Opened::Logged, table.start)
            .is_empty()
    );
    assert_eq!(table.finish("a", 1), "logged");
    assert_eq!(table.finish("a", 2), "logged");
    assert_eq!(table.finish("a", 180), "unknown");
    assert!(table.table.drain().is_empty());
}

fn table(bound: usize) -> Table {
    Table {
        fingerprinter: Fingerprinter::default(),
        table: Correlation::new(bound, usize::MAX, TTL),
        start: Instant::now(),
    }
}

impl Table {
    fn id(&self, name: &str) -> Fingerprint {
        self.fingerprinter.of(&Gateway::Unchecked, name.as_bytes())
    }

    fn open(&mut self, name: &str, second: u64) -> Vec<(String, AbortCause)> {
        let (id, now) = (self.id(name), self.start + Duration::from_secs(second));
        let aborted = self.table.open(id, id, Opened::Half(half(name)), now);
        aborted
            .into_iter()
            .map(|a| (name_of(a.half), a.cause))
            .collect()
    }

    fn finish(&mut self, name: &str, second: u64) -> String {
        let now = self.start + Duration::from_secs(second);
        match self.table.finish(self.id(name), now) {
            Finished::Half(half, _) => name_of(half),
            Finished::Logged => "logged".to_owned(),
            Finished::Unknown => "unknown".to_owned(),
        }
    }
}

fn half(name: &str) -> RequestHalf {
    let metadata = RequestMetadata {
        method: Some(Cow::Borrowed("GET")),
        ..RequestMetadata::default()
    };
    RequestHalf::of(&RequestFacts {
        started: Started::At(UnixMillis(0)),
        id: name,
        gateway: "-",
        mode: ReportMode::Sideband,
        metadata: &metadata,
        decision: GatewayDecision::Verdict,
        verdict: None,
        found: None,
    })
}

fn name_of(half: RequestHalf) -> String {
    let line = half.finish(&Ending {
        outcome: End::Aborted,
        response: None,
        duration: None,
        asked_for: None,
    });
    let line: serde_json::Value = serde_json::from_slice(line.as_bytes()).unwrap();
    line["id"].as_str().unwrap().to_owned()
}
