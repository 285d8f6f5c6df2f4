//! Counts under keys that are not known beforehand, such as ids of APIs; counting under a known key takes no lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// Most keys that are counted apart; further ones are not counted.
const MAX_KEYS: usize = 30_000;

/// The counts.
#[derive(Debug)]
pub struct Tally<K>(ArcSwap<BTreeMap<K, Arc<AtomicU64>>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(BTreeMap::new()))
    }
}

impl<K: Ord + Clone> Tally<K> {
    /// Adds `amount` under this key; 0 makes the key appear.
    pub fn add(&self, key: &K, amount: u64) {
        if let Some(count) = self.0.load().get(key) {
            count.fetch_add(amount, Ordering::Relaxed);
            return;
        }
        self.0.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            if known.len() < MAX_KEYS {
                known.entry(key.clone()).or_default();
            }
            known
        });
        if let Some(count) = self.0.load().get(key) {
            count.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Every key with its count, in the order of the keys.
    #[must_use]
    pub fn read(&self) -> Vec<(K, u64)> {
        let counts = self.0.load();
        let read =
            |(key, count): (&K, &Arc<AtomicU64>)| (key.clone(), count.load(Ordering::Relaxed));
        counts.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_addition_from_any_thread_is_lost_while_keys_appear() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1000 {
                        tally.add(&(number % 10), 1);
                    }
                });
            }
        });
        let expected: Vec<(i32, u64)> = (0..10).map(|key| (key, 400)).collect();
        assert_eq!(tally.read(), expected);
    }

    #[test]
    fn further_keys_are_bounded() {
        let tally = Tally::default();
        let full: BTreeMap<usize, Arc<AtomicU64>> =
            (0..MAX_KEYS).map(|key| (key, Arc::default())).collect();
        tally.0.store(Arc::new(full));
        tally.add(&MAX_KEYS, 1);
        tally.add(&0, 1);
        assert_eq!(tally.read().len(), MAX_KEYS);
        assert_eq!(tally.read()[0], (0, 1));
    }
}
