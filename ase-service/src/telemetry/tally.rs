//! Counts under keys that are not known beforehand, such as ids of APIs; counting under a known key takes no lock.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;

/// Most keys that are counted apart; further ones are not counted.
const MAX_KEYS: usize = 30_000;

/// For each key, `N` counts.
#[derive(Debug)]
pub struct Tally<K, const N: usize>(ArcSwap<HashMap<K, Arc<[AtomicU64; N]>, RandomState>>);

impl<K, const N: usize> Default for Tally<K, N> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(HashMap::default()))
    }
}

impl<K: Ord + Hash + Clone, const N: usize> Tally<K, N> {
    /// Adds `amount` to the count number `which` of this key; 0 makes the key appear.
    pub fn add<Q>(&self, key: &Q, which: usize, amount: u64)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K>,
    {
        if self.added(key, which, amount) {
            return;
        }
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            if known.len() < MAX_KEYS {
                let zeros = || Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
                known.entry(key.to_owned()).or_insert_with(zeros);
            }
            known
        });
        self.added(key, which, amount);
    }

    /// Every key with its counts, in the order of the keys.
    #[must_use]
    pub fn read(&self) -> Vec<(K, [u64; N])> {
        let counts = self.0.load();
        let mut read: Vec<(K, [u64; N])> = counts
            .iter()
            .map(|(key, counts)| {
                let counts = std::array::from_fn(|which| {
                    counts
                        .get(which)
                        .map_or(0, |count| count.load(Ordering::Relaxed))
                });
                (key.clone(), counts)
            })
            .collect();
        read.sort_unstable();
        read
    }

    /// Whether there is such a key.
    fn added<Q: Hash + Eq>(&self, key: &Q, which: usize, amount: u64) -> bool
    where
        K: Borrow<Q>,
    {
        let known = self.0.load();
        let counts = known.get(key);
        if let Some(count) = counts.and_then(|counts| counts.get(which)) {
            count.fetch_add(amount, Ordering::Relaxed);
        }
        counts.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_from_any_thread_is_lost_while_keys_appear() {
        let tally: Tally<i32, 1> = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1000 {
                        tally.add(&(number % 10), 0, 1);
                    }
                });
            }
        });
        let expected: Vec<(i32, [u64; 1])> = (0..10).map(|key| (key, [400])).collect();
        assert_eq!(tally.read(), expected);
    }

    #[test]
    fn further_keys_are_bounded() {
        let tally: Tally<usize, 2> = Tally::default();
        let full = (0..MAX_KEYS).map(|key| (key, Arc::default())).collect();
        tally.0.store(Arc::new(full));
        tally.add(&MAX_KEYS, 0, 1);
        tally.add(&0, 1, 1);
        assert_eq!(tally.read().len(), MAX_KEYS);
        assert_eq!(tally.read()[0], (0, [0, 1]));
    }
}
