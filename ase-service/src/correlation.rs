//! Exchanges of old gateway policies between their two calls.
//!
//! Bounded in number, in bytes and in time; whatever leaves without its response is handed out, so that it can be logged as aborted.
//! Time is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::exchange::RequestHalf;
use crate::fingerprint::{Fingerprint, Placed};

/// The exchanges that wait for their response call.
#[derive(Debug)]
pub struct Correlation {
    waiting: HashMap<Fingerprint, Waiting, Placed>,
    /// In order of arrival; an entry whose serial is not the waiting one's has gone.
    order: VecDeque<(Instant, Fingerprint, u64)>,
    serial: u64,
    bound: usize,
    /// Bytes of all lines that wait.
    bytes: usize,
    max_bytes: usize,
    ttl: Duration,
}

/// An exchange about to wait.
#[derive(Debug)]
pub enum Opened {
    /// Its line waits for the response.
    Half(RequestHalf),
    /// Its line is written already; a response call for it is only accepted.
    Logged,
}

/// An exchange that will not see its response.
#[derive(Debug)]
pub struct Aborted {
    /// Its line.
    pub half: RequestHalf,
    /// Why.
    pub cause: AbortCause,
}

/// Why an exchange will not see its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortCause {
    /// It waited too long.
    Expired,
    /// It made room for another.
    Evicted,
    /// Its id was used again.
    Replaced,
    /// ASE stops.
    Stopped,
}

/// What a response call finds.
#[derive(Debug)]
pub enum Finished {
    /// The line, and how long it waited.
    Half(RequestHalf, Duration),
    /// An exchange that was logged before.
    Logged,
    /// Nothing of this id.
    Unknown,
}

#[derive(Debug)]
struct Waiting {
    opened: Opened,
    question: Fingerprint,
    since: Instant,
    serial: u64,
}

impl Correlation {
    /// An empty table for at most `bound` exchanges, whose lines hold at most `max_bytes` together.
    #[must_use]
    pub fn new(bound: usize, max_bytes: usize, ttl: Duration) -> Self {
        Self {
            waiting: HashMap::default(),
            order: VecDeque::new(),
            serial: 0,
            bound: bound.max(1),
            bytes: 0,
            max_bytes,
            ttl,
        }
    }

    /// Whether this very question is remembered under `id`: a gateway whose call timed out asks again.
    #[must_use]
    pub fn repeats(&self, id: Fingerprint, question: Fingerprint, now: Instant) -> bool {
        self.waiting.get(&id).is_some_and(|waiting| {
            waiting.question == question && now.saturating_duration_since(waiting.since) < self.ttl
        })
    }

    /// Takes an exchange in; the newest of an id wins. Returns those that had to go.
    pub fn open(
        &mut self,
        id: Fingerprint,
        question: Fingerprint,
        opened: Opened,
        now: Instant,
    ) -> Vec<Aborted> {
        let mut aborted = self.expire(now);
        self.serial = self.serial.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(opened.bytes());
        let waiting = Waiting {
            opened,
            question,
            since: now,
            serial: self.serial,
        };
        if let Some(replaced) = self.waiting.insert(id, waiting) {
            self.bytes = self.bytes.saturating_sub(replaced.opened.bytes());
            aborted.extend(replaced.aborted(AbortCause::Replaced));
        }
        self.order.push_back((now, id, self.serial));
        while self.waiting.len() > self.bound || self.bytes > self.max_bytes {
            match self.remove_first() {
                Some(evicted) => aborted.extend(evicted.aborted(AbortCause::Evicted)),
                None => break,
            }
        }
        if self.order.len() > self.bound.saturating_mul(2) {
            let waiting = &self.waiting;
            self.order
                .retain(|(_, id, serial)| waiting.get(id).is_some_and(|w| w.serial == *serial));
        }
        aborted
    }

    /// Answers a response call.
    pub fn finish(&mut self, id: Fingerprint, now: Instant) -> Finished {
        let Some(waiting) = self.waiting.get(&id) else {
            return Finished::Unknown;
        };
        let waited = now.saturating_duration_since(waiting.since);
        match waiting.opened {
            Opened::Half(_) | Opened::Logged if waited >= self.ttl => Finished::Unknown,
            Opened::Logged => Finished::Logged,
            Opened::Half(_) => match self.take(&id).map(|removed| removed.opened) {
                Some(Opened::Half(half)) => Finished::Half(half, waited),
                Some(Opened::Logged) | None => Finished::Unknown,
            },
        }
    }

    /// Takes out what has waited too long.
    pub fn expire(&mut self, now: Instant) -> Vec<Aborted> {
        let mut aborted = Vec::new();
        while let Some((since, ..)) = self.order.front()
            && now.saturating_duration_since(*since) >= self.ttl
        {
            aborted.extend(
                self.remove_front()
                    .and_then(|w| w.aborted(AbortCause::Expired)),
            );
        }
        aborted
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> Vec<Aborted> {
        let mut aborted = Vec::new();
        while let Some(waiting) = self.remove_first() {
            aborted.extend(waiting.aborted(AbortCause::Stopped));
        }
        aborted
    }

    /// How many exchanges are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn remove_first(&mut self) -> Option<Waiting> {
        while !self.order.is_empty() {
            let removed = self.remove_front();
            if removed.is_some() {
                return removed;
            }
        }
        None
    }

    /// Takes the front of the order; `None` when its exchange has gone before.
    fn remove_front(&mut self) -> Option<Waiting> {
        let (_, id, serial) = self.order.pop_front()?;
        let current = self.waiting.get(&id)?.serial == serial;
        if current { self.take(&id) } else { None }
    }

    fn take(&mut self, id: &Fingerprint) -> Option<Waiting> {
        let taken = self.waiting.remove(id)?;
        self.bytes = self.bytes.saturating_sub(taken.opened.bytes());
        Some(taken)
    }
}

impl Opened {
    fn bytes(&self) -> usize {
        match self {
            Self::Half(half) => half.bytes(),
            Self::Logged => 0,
        }
    }
}

impl Waiting {
    fn aborted(self, cause: AbortCause) -> Option<Aborted> {
        match self.opened {
            Opened::Half(half) => Some(Aborted { half, cause }),
            Opened::Logged => None,
        }
    }
}

#[cfg(test)]
mod tests;
