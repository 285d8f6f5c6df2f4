//! Sample requests of suspects: the first few odd ones and the latest few, for a bounded number of suspects.
//!
//! What may be secret is left out: of a query only the names of its parameters are kept.

use std::collections::{BTreeMap, VecDeque};

use ase_core::address::ClientAddress;

use crate::clients::Slot;
use crate::clock::{Clock, Moment};
use crate::counters::Counters;
use crate::detection::Sample;
use crate::signs::{Signs, query_of};
use crate::transaction::Transaction;

const FIRST: usize = 4;
const LATEST: usize = 4;
const METHOD_CHARS: usize = 16;
const PATH_CHARS: usize = 120;
const QUERY_NAMES: usize = 8;
const NAME_CHARS: usize = 24;
const AGENT_CHARS: usize = 80;

/// Sample requests by client.
#[derive(Debug)]
pub(crate) struct Evidence {
    capacity: usize,
    suspects: BTreeMap<Slot, Suspect>,
    /// By when they were last added to.
    order: BTreeMap<u64, Slot>,
    stamp: u64,
}

#[derive(Debug, Default)]
struct Suspect {
    stamp: u64,
    first: Vec<Kept>,
    latest: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    at: Moment,
    from: ClientAddress,
    user_agent: Option<Box<str>>,
    method: Box<str>,
    target: Box<str>,
    status: Option<u16>,
    odd: Option<&'static str>,
}

impl Evidence {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity.max(1) as usize,
            suspects: BTreeMap::new(),
            order: BTreeMap::new(),
            stamp: 0,
        }
    }

    /// Keeps a request of a suspect.
    pub(crate) fn keep(
        &mut self,
        slot: Slot,
        transaction: &Transaction<'_>,
        signs: &Signs,
        counters: &mut Counters,
    ) {
        self.stamp += 1;
        let suspect = self.suspects.entry(slot).or_default();
        self.order.remove(&suspect.stamp);
        self.order.insert(self.stamp, slot);
        suspect.stamp = self.stamp;
        suspect.keep(Kept::of(transaction, signs));
        if self.suspects.len() > self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.suspects.remove(&oldest);
            counters.evidence_evicted += 1;
        }
    }

    pub(crate) fn forget(&mut self, slot: Slot) {
        if let Some(suspect) = self.suspects.remove(&slot) {
            self.order.remove(&suspect.stamp);
        }
    }

    pub(crate) fn samples(&self, slot: Slot, clock: &Clock) -> Vec<Sample> {
        let Some(suspect) = self.suspects.get(&slot) else {
            return Vec::new();
        };
        let kept = suspect.first.iter().chain(&suspect.latest);
        kept.map(|kept| kept.sample(clock)).collect()
    }
}

impl Suspect {
    fn keep(&mut self, kept: Kept) {
        if self.first.len() < FIRST {
            self.first.push(kept);
            return;
        }
        if self.latest.len() >= LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(kept);
    }
}

impl Kept {
    fn of(transaction: &Transaction<'_>, signs: &Signs) -> Self {
        Self {
            at: signs.at,
            from: transaction.client,
            user_agent: transaction
                .user_agent
                .map(|agent| printable(agent, AGENT_CHARS).into()),
            method: printable(transaction.method, METHOD_CHARS).into(),
            target: target(transaction).into(),
            status: transaction.status,
            odd: signs.odd(),
        }
    }

    fn sample(&self, clock: &Clock) -> Sample {
        Sample {
            at: clock.unix(self.at),
            from: self.from,
            user_agent: self.user_agent.clone(),
            method: self.method.clone(),
            target: self.target.clone(),
            status: self.status,
            odd: self.odd,
        }
    }
}

/// The path and the names of the query's parameters, shortened.
fn target(transaction: &Transaction<'_>) -> String {
    let mut text = printable(&transaction.path.to_string(), PATH_CHARS);
    let query = query_of(transaction.target);
    let names = query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .take(QUERY_NAMES);
    for (number, pair) in names.enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        text.push_str(&printable(&String::from_utf8_lossy(name), NAME_CHARS));
        if name.len() < pair.len() {
            text.push('=');
        }
    }
    text
}

/// At most `limit` characters, without those that would act on a terminal.
fn printable(text: &str, limit: usize) -> String {
    let safe = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().take(limit).map(safe).collect()
}
