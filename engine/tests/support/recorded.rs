//! Recorded traffic through the engine with its defaults, on the log's own clock, and who was listed at which of its requests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ase_core::address::ClientAddress;
use ase_core::time::UnixMillis;
use ase_engine::{Engine, Fate, Identifier, Output, Settings, Transaction};

use super::combined::{self, Line};

/// What became of one client.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub requests: u32,
    /// The request at which it was listed, and why.
    pub listed: Option<(u32, String)>,
}

/// Which requests of a log are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// Those of the first half of its time.
    First,
    /// Those of the second half.
    Second,
}

/// What a client of the labelled log is, by its reader.
#[derive(Clone, Debug)]
pub struct Label {
    pub label: String,
    pub kind: String,
}

/// The folder of recorded traffic, if there is one.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("ASE_TRAFFIC").map(PathBuf::from)
}

pub fn lines(file: &Path, part: Part) -> Vec<Line> {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    let mut lines = combined::read(&text);
    lines.sort_by_key(|line| line.at_ms);
    let (first, last) = (lines[0].at_ms, lines[lines.len() - 1].at_ms);
    let middle = first.midpoint(last);
    lines.retain(|line| match part {
        Part::Whole => true,
        Part::First => line.at_ms <= middle,
        Part::Second => line.at_ms > middle,
    });
    lines
}

pub fn labels(file: &Path) -> BTreeMap<ClientAddress, Label> {
    let text = fs::read_to_string(file).unwrap();
    let rows = text
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>());
    rows.map(|row| {
        let label = Label {
            label: row[2].to_owned(),
            kind: row[3].to_owned(),
        };
        (ClientAddress::parse(row[0]).unwrap(), label)
    })
    .collect()
}

/// Plays the lines and says what became of every client.
pub fn play(lines: &[Line]) -> BTreeMap<ClientAddress, Client> {
    let mut engine = Engine::new(Settings::default(), 1);
    let mut output = Output::default();
    let mut clients: BTreeMap<ClientAddress, Client> = BTreeMap::new();
    for line in lines {
        let transaction = Transaction {
            record: None,
            at: UnixMillis(line.at_ms),
            api: None,
            client: line.client,
            credentials: &[],
            method: &line.method,
            target: &line.target,
            path: &line.path,
            user_agent: Some(&line.agent),
            status: Some(line.status),
            request_bytes: None,
            response_bytes: Some(line.bytes),
            duration: None,
            fate: Fate::Passed,
            broken_rule: None,
            account: None,
            carriers: &[],
        };
        output.clear();
        engine.observe(&[transaction], UnixMillis(line.at_ms), &mut output);
        let client = clients.entry(line.client).or_default();
        client.requests += 1;
        for proposal in &output.proposals {
            let Identifier::Network(network) = proposal.identifier else {
                continue;
            };
            let listed = clients.entry(network.first()).or_default();
            if listed.listed.is_none() {
                listed.listed = Some((listed.requests, proposal.reason.clone()));
            }
        }
    }
    clients
}
