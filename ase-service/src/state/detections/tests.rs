//! Detections as they come back: in runs, filtered, bounded, undone.

use std::path::Path;

use ase_core::address::Network;
use ase_core::identifier_list::{Entry, Rule};

use super::*;
use crate::state::{ListName, State};

const DECOY: Source = Source::RealTime(Rule::Decoy);

fn open(folder: &Path) -> State {
    State::open(folder).unwrap()
}

fn client(last: u8) -> ListedIdentifier {
    ListedIdentifier::Network(Network::parse(&format!("192.0.2.{last}")).unwrap())
}

fn decoy(last: u8, at: u64) -> Sighting {
    Sighting {
        attack: Some(100),
        name: "decoy".to_owned(),
        api: Some("shop".to_owned()),
        identifier: client(last),
        scope: Scope::All,
        source: DECOY,
        variables: "{}".to_owned(),
        evidence: format!(r#"{{"url":"/admin/{at}"}}"#),
        first: UnixMillis(at),
        last: UnixMillis(at),
        count: 1,
        ttl: None,
        outcome: Outcome::Reported,
    }
}

fn all(state: &State) -> Vec<StoredDetection> {
    state.detections(&DetectionFilter::default(), 1000).unwrap()
}

fn gap_millis() -> u64 {
    u64::try_from(RUN_GAP.as_millis()).unwrap()
}

#[test]
fn what_was_recorded_comes_back_after_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Sighting {
        attack: None,
        name: "behaviour".to_owned(),
        api: None,
        scope: Scope::parse("group:retail").unwrap(),
        source: Source::Engine,
        variables: r#"{"A":{"value":26,"tx":9}}"#.to_owned(),
        ttl: Some(Duration::from_secs(60)),
        outcome: Outcome::Listed,
        ..decoy(2, 7_000)
    };
    open(folder.path())
        .record(&[decoy(1, 5_000), engine.clone()])
        .unwrap();
    let stored = all(&open(folder.path()));
    let found: Vec<&Sighting> = stored.iter().map(|found| &found.sighting).collect();
    assert_eq!(found, [&engine, &decoy(1, 5_000)]);
    assert!(stored.iter().all(|found| !found.undone));
}

#[test]
fn offences_close_together_are_one_run_with_the_evidence_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let listed = Sighting {
        outcome: Outcome::Listed,
        ttl: Some(Duration::from_secs(60)),
        ..decoy(1, 6_000)
    };
    state.record(&[decoy(1, 5_000), listed.clone()]).unwrap();
    state.record(&[decoy(1, 5_500), decoy(2, 5_500)]).unwrap();
    let far = 6_000 + gap_millis() + 1;
    state.record(&[decoy(1, far)]).unwrap();
    let runs: Vec<_> = all(&state)
        .into_iter()
        .filter(|found| found.sighting.identifier == client(1))
        .map(|found| found.sighting)
        .collect();
    let first = Sighting {
        first: UnixMillis(5_000),
        last: UnixMillis(6_000),
        count: 3,
        evidence: decoy(1, 5_000).evidence,
        ..listed
    };
    assert_eq!(runs, [decoy(1, far), first]);
}

#[test]
fn a_filter_keeps_what_it_names_and_the_bound_keeps_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let other = Sighting {
        attack: Some(13),
        name: "client_spike".to_owned(),
        api: Some("cart".to_owned()),
        ..decoy(3, 9_000)
    };
    state
        .record(&[decoy(1, 5_000), decoy(2, 7_000), other])
        .unwrap();
    let none = DetectionFilter::default;
    let found = |filter: DetectionFilter| -> Vec<ListedIdentifier> {
        let found = state.detections(&filter, 2).unwrap();
        found
            .into_iter()
            .map(|found| found.sighting.identifier)
            .collect()
    };
    assert_eq!(found(none()), [client(3), client(2)]);
    let since = Some(UnixMillis(7_000));
    assert_eq!(found(DetectionFilter { since, ..none() }).len(), 2);
    let attack = Some(13);
    assert_eq!(found(DetectionFilter { attack, ..none() }), [client(3)]);
    let api = Some("shop".to_owned());
    assert_eq!(
        found(DetectionFilter { api, ..none() }),
        [client(2), client(1)]
    );
    let name = Some("client_spike".to_owned());
    assert_eq!(found(DetectionFilter { name, ..none() }), [client(3)]);
    let identifier = Some(client(1));
    assert_eq!(
        found(DetectionFilter {
            identifier,
            ..none()
        }),
        [client(1)]
    );
}

#[test]
fn no_more_are_kept_than_count_and_age_allow() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let age = Duration::from_millis(1_000);
    state.keep_detections(Retention { count: 3, age });
    for number in 0..10 {
        state.record(&[decoy(number, u64::from(number))]).unwrap();
    }
    let left: Vec<_> = all(&state)
        .into_iter()
        .map(|found| found.sighting.first.0)
        .collect();
    assert_eq!(left, [9, 8, 7]);
    assert_eq!(state.forget_detections(UnixMillis(1_008)).unwrap(), 1);
    assert_eq!(all(&state).len(), 2);
}

#[test]
fn a_client_taken_off_the_list_has_its_detections_undone_and_a_later_offence_is_a_new_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = open(folder.path());
    let listed = |last, at| Sighting {
        outcome: Outcome::Listed,
        ..decoy(last, at)
    };
    let entry = Entry::everywhere(DECOY, "decoy", UnixMillis(1));
    for last in [1, 2] {
        let entries = [(client(last), entry.clone())];
        state
            .put_detected(ListName::Deny, &entries, &[listed(last, 5)])
            .unwrap();
    }
    let undone = |state: &State| -> Vec<(u64, bool)> {
        let found = all(state).into_iter();
        found
            .map(|found| (found.sighting.first.0, found.undone))
            .collect()
    };
    let place = [(Scope::All, DECOY)];
    state.delete(ListName::Allow, &client(1), &place).unwrap();
    assert_eq!(undone(&state), [(5, false), (5, false)]);
    state.delete(ListName::Deny, &client(1), &place).unwrap();
    assert_eq!(undone(&state), [(5, false), (5, true)]);
    state.record(&[listed(1, 6)]).unwrap();
    assert_eq!(undone(&state), [(6, false), (5, false), (5, true)]);
    state.clear(ListName::Deny, Sources::Only(DECOY)).unwrap();
    assert_eq!(undone(&state), [(6, true), (5, true), (5, true)]);
}
