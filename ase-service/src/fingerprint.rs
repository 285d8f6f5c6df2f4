//! Fixed-size stand-ins for names that gateways choose, so that tables of them have a known size; and a bounded memory of those seen.
//!
//! A fingerprint is two SipHash values under keys that are random per process: nobody outside can make two names collide.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::tokens::Gateway;

/// Stands for one (gateway, name) pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64, u64);

/// Makes fingerprints.
#[derive(Debug, Default)]
pub struct Fingerprinter(RandomState, RandomState);

/// The fingerprints seen lately: at least the last `bound / 2`, at most `bound`.
#[derive(Debug)]
pub struct Seen {
    recent: HashSet<Fingerprint>,
    older: HashSet<Fingerprint>,
    half: usize,
}

impl Fingerprinter {
    /// The fingerprint of what `gateway` calls `name`.
    #[must_use]
    pub fn of(&self, gateway: &Gateway, name: &[u8]) -> Fingerprint {
        let named = (gateway.as_str(), name);
        Fingerprint(self.0.hash_one(named), self.1.hash_one(named))
    }
}

impl Seen {
    /// Remembers at most `bound` fingerprints.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            recent: HashSet::new(),
            older: HashSet::new(),
            half: (bound / 2).max(1),
        }
    }

    /// Whether it has been seen lately.
    #[must_use]
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.recent.contains(fingerprint) || self.older.contains(fingerprint)
    }

    /// Remembers it; the oldest half is forgotten when there are too many.
    pub fn insert(&mut self, fingerprint: Fingerprint) {
        if self.recent.len() >= self.half {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(fingerprint);
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
            seen.insert(of(number));
            assert!(seen.recent.len() + seen.older.len() <= 10);
            for late in number.saturating_sub(4)..=number {
                assert!(seen.contains(&of(late)));
            }
        }
        assert!(!seen.contains(&of(0)));
    }

    #[test]
    fn equal_names_of_two_gateways_differ() {
        let fingerprinter = Fingerprinter::default();
        let named = |name: &str| fingerprinter.of(&Gateway::Named(name.into()), b"1");
        assert_ne!(named("kong"), named("envoy"));
        assert_eq!(named("kong"), named("kong"));
    }
}
