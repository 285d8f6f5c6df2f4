//! Fixed-size stand-ins for names that gateways choose, so that tables of them have a known size; and a bounded memory of those seen.
//!
//! A fingerprint is two SipHash values under keys that are random per process: nobody outside can make two names collide.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};

use crate::tokens::Gateway;

/// Stands for one (gateway, name) pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64, u64);

/// Places fingerprints in tables as they are: they are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsItIs(u64);

/// How tables of fingerprints hash them.
pub type Placed = BuildHasherDefault<AsItIs>;

/// Makes fingerprints.
#[derive(Debug, Default)]
pub struct Fingerprinter(RandomState, RandomState);

/// The records of lately: those that were logged, and those that the disk refused. Of each kind at least the last `bound / 2` are
/// known, at most `bound`.
#[derive(Debug)]
pub struct Seen {
    logged: Recent,
    refused: Recent,
}

/// What is known of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    New,
    /// It was taken, and its line is in the log or on its way there.
    Logged,
    /// It was taken and carried out; the disk has refused its line.
    Refused,
}

/// The fingerprints of lately.
#[derive(Debug)]
struct Recent {
    recent: HashSet<Fingerprint, Placed>,
    older: HashSet<Fingerprint, Placed>,
    half: usize,
}

impl Fingerprinter {
    /// The fingerprint of what `gateway` calls `name`.
    #[must_use]
    pub fn of(&self, gateway: &Gateway, name: &[u8]) -> Fingerprint {
        self.of_named(gateway.as_str(), name)
    }

    /// The same for a gateway of which only the name is known.
    #[must_use]
    pub fn of_named(&self, gateway: &str, name: &[u8]) -> Fingerprint {
        self.of_any(&(gateway, name))
    }

    /// The fingerprint of anything.
    #[must_use]
    pub fn of_any(&self, what: &impl Hash) -> Fingerprint {
        Fingerprint(self.0.hash_one(what), self.1.hash_one(what))
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

impl Seen {
    /// Remembers at most `bound` fingerprints of each kind.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            logged: Recent::new(bound),
            refused: Recent::new(bound),
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn standing(&self, fingerprint: &Fingerprint) -> Standing {
        if self.logged.contains(fingerprint) {
            Standing::Logged
        } else if self.refused.contains(fingerprint) {
            Standing::Refused
        } else {
            Standing::New
        }
    }

    /// It is on its way into the log.
    pub fn logged(&mut self, fingerprint: Fingerprint) {
        self.refused.remove(&fingerprint);
        self.logged.insert(fingerprint);
    }

    /// The disk has refused it.
    pub fn refused(&mut self, fingerprint: Fingerprint) {
        self.logged.remove(&fingerprint);
        self.refused.insert(fingerprint);
    }
}

impl Recent {
    fn new(bound: usize) -> Self {
        Self {
            recent: HashSet::default(),
            older: HashSet::default(),
            half: (bound / 2).max(1),
        }
    }

    fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.recent.contains(fingerprint) || self.older.contains(fingerprint)
    }

    /// The oldest half is forgotten when there are too many.
    fn insert(&mut self, fingerprint: Fingerprint) {
        if self.recent.len() >= self.half {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(fingerprint);
    }

    fn remove(&mut self, fingerprint: &Fingerprint) {
        self.recent.remove(fingerprint);
        self.older.remove(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_half_is_remembered_and_the_whole_is_bounded() {
        let fingerprinter = Fingerprinter::default();
        let of = |number: u32| fingerprinter.of(&Gateway::Unchecked, &number.to_be_bytes());
        let mut seen = Seen::new(10);
        for number in 0..100 {
            seen.logged(of(number));
            assert!(seen.logged.recent.len() + seen.logged.older.len() <= 10);
            for late in number.saturating_sub(4)..=number {
                assert_eq!(seen.standing(&of(late)), Standing::Logged);
            }
        }
        assert_eq!(seen.standing(&of(0)), Standing::New);
    }

    #[test]
    fn what_the_disk_refused_stands_apart_until_it_is_logged() {
        let fingerprinter = Fingerprinter::default();
        let mut seen = Seen::new(10);
        let record = fingerprinter.of(&Gateway::Unchecked, b"1");
        seen.logged(record);
        seen.refused(record);
        assert_eq!(seen.standing(&record), Standing::Refused);
        seen.logged(record);
        assert_eq!(seen.standing(&record), Standing::Logged);
    }

    #[test]
    fn equal_names_of_two_gateways_differ() {
        let fingerprinter = Fingerprinter::default();
        let named = |name: &str| fingerprinter.of(&Gateway::Named(name.into()), b"1");
        assert_ne!(named("kong"), named("envoy"));
        assert_eq!(named("kong"), named("kong"));
        assert_eq!(named("kong"), fingerprinter.of_named("kong", b"1"));
    }
}
