//! The engine on recorded traffic, with its defaults. `ASE_TRAFFIC` names the folder; without it there is nothing to judge and the tests say so.
//!
//! What of this traffic the defaults were chosen on is said in `docs/detection.md`.

#![allow(clippy::print_stdout, reason = "says what it skips")]

mod support;

use std::path::PathBuf;

use support::recorded::{self, Client, Part};

fn folder() -> Option<PathBuf> {
    let folder = recorded::folder();
    if folder.is_none() {
        println!("skipped: ASE_TRAFFIC is unset");
    }
    folder
}

#[test]
fn attackers_of_a_server_on_the_internet_are_listed_and_its_operators_are_not() {
    let Some(folder) = folder() else {
        return;
    };
    let labels = recorded::labels(&folder.join("internet-facing-server-2024.labels.csv"));
    let lines = recorded::lines(
        &folder.join("internet-facing-server-2024.access.log"),
        Part::Whole,
    );
    let clients = recorded::play(&lines);
    let listed = |kind: &str, least: u32, most: u32| {
        let of_kind: Vec<&Client> = clients
            .iter()
            .filter(|(address, _)| labels.get(address).is_some_and(|label| label.label == kind))
            .map(|(_, client)| client)
            .filter(|client| (least..=most).contains(&client.requests))
            .collect();
        (
            of_kind
                .iter()
                .filter(|client| client.listed.is_some())
                .count(),
            of_kind.len(),
        )
    };
    println!("one request: {:?}", listed("attack", 1, 1));
    assert_eq!(listed("attack", 5, u32::MAX), (13, 13));
    let (few, of) = listed("attack", 2, 4);
    assert!(few >= 6 && of == 9, "{few} of {of}");
    assert_eq!(listed("benign", 1, u32::MAX), (0, 8));
}

#[test]
fn a_commercial_scanner_is_listed_before_its_thirtieth_request() {
    let Some(folder) = folder() else {
        return;
    };
    let lines = recorded::lines(
        &folder.join("scanner-netsparker-2016.access.log"),
        Part::Whole,
    );
    let clients = recorded::play(&lines);
    assert_eq!(clients.len(), 1);
    for client in clients.values() {
        let at = client.listed.as_ref().map(|(at, _)| *at);
        assert!(at.is_some_and(|at| at < 30), "{at:?}");
    }
}

#[test]
fn hardly_anybody_is_listed_on_a_public_site() {
    let Some(folder) = folder() else {
        return;
    };
    let lines = recorded::lines(&folder.join("public-site-2015.access.log"), Part::Whole);
    let clients = recorded::play(&lines);
    let listed = clients.iter().filter(|(_, client)| client.listed.is_some());
    let listed: Vec<_> = listed.collect();
    assert_eq!(clients.len(), 1753);
    assert!(listed.len() <= 3, "{listed:#?}");
}
