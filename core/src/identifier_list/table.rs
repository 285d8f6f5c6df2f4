//! A map from keys to listings whose clone costs nothing and whose change costs one small copy, however large it is.
//!
//! Two levels of 64 branches lead to 4096 leaves. A change to a table that a clone shares copies one leaf and the way to it
//! (some microseconds at a million entries); a table that nobody shares changes in place. Keys can come from attackers,
//! through the engine, so leaves are chosen by a keyed hash.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use super::leaf::Leaf;
use super::{Entry, EntryRef, RemoveWhich};
use crate::api_id::{ApiGroup, ApiId};
use crate::time::UnixMillis;

const FAN_BITS: u32 = 6;
const FAN: usize = 1 << FAN_BITS;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Table<K> {
    root: Arc<Fan<Fan<Leaf<K>>>>,
    len: usize,
}

#[derive(Debug)]
struct Fan<T>([Option<Arc<T>>; FAN]);

impl<T> Fan<T> {
    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_deref()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(Option::as_deref)
    }
}

impl<T> Clone for Fan<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Fan<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| None))
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            root: Arc::default(),
            len: 0,
        }
    }
}

impl<K: Copy + Ord + Hash> Table<K> {
    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The entries of `key`, by scope and source.
    pub(super) fn of_key(&self, hasher: &RandomState, key: K) -> Vec<EntryRef<'_>> {
        let place = place(hasher, key);
        let leaf = self.leaf(place);
        leaf.map_or_else(Vec::new, |leaf| leaf.of_key((place.tag, key)).collect())
    }

    /// The entry that counts for an API at `now`.
    pub(super) fn live(
        &self,
        hasher: &RandomState,
        key: K,
        api: (&ApiId, Option<&ApiGroup>),
        now: UnixMillis,
    ) -> Option<EntryRef<'_>> {
        if self.len == 0 {
            return None;
        }
        let place = place(hasher, key);
        self.leaf(place)?.live((place.tag, key), api, now)
    }

    /// All leaves.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Leaf<K>> {
        self.root.iter().flat_map(Fan::iter)
    }

    /// Adds an entry; one of the same key, scope and source is replaced and returned.
    pub(super) fn insert(&mut self, hasher: &RandomState, key: K, entry: &Entry) -> Option<Entry> {
        let Place { first, second, tag } = place(hasher, key);
        let branch = branch_mut(&mut self.root, first)?;
        let leaf = branch_mut(branch, second)?;
        let replaced = Arc::make_mut(leaf).insert((tag, key), entry);
        if replaced.is_none() {
            self.len = self.len.saturating_add(1);
        }
        replaced
    }

    /// Removes entries of `key` and says how many.
    pub(super) fn remove(&mut self, hasher: &RandomState, key: K, which: &RemoveWhich) -> usize {
        let place = place(hasher, key);
        let Place { first, second, tag } = place;
        let listed = |leaf: &Leaf<K>| leaf.of_key((tag, key)).any(|entry| which.selects(&entry));
        if !self.leaf(place).is_some_and(listed) {
            return 0;
        }
        let removed = branch_mut(&mut self.root, first)
            .and_then(|branch| branch_mut(branch, second))
            .map_or(0, |leaf| Arc::make_mut(leaf).remove(key, which));
        self.len = self.len.saturating_sub(removed);
        removed
    }

    /// Takes off the entries that `goes` selects, in at most `budget` leaves, which it uses up; looks only into leaves whose soonest expiry `may` be meant.
    pub(super) fn take_off(
        &mut self,
        may: impl Fn(UnixMillis) -> bool,
        goes: impl Fn(&EntryRef<'_>) -> bool,
        budget: &mut usize,
    ) -> usize {
        let mut removed = 0_usize;
        for first in 0..FAN {
            for second in 0..FAN {
                let leaf = self.root.get(first).and_then(|branch| branch.get(second));
                let concerned = leaf.is_some_and(|leaf| {
                    may(leaf.soonest()) && leaf.iter().any(|(_, entry)| goes(&entry))
                });
                if !concerned {
                    continue;
                }
                if *budget == 0 {
                    self.len = self.len.saturating_sub(removed);
                    return removed;
                }
                *budget -= 1;
                removed += branch_mut(&mut self.root, first)
                    .and_then(|branch| branch_mut(branch, second))
                    .map_or(0, |leaf| {
                        Arc::make_mut(leaf).retain(|_, entry| !goes(entry))
                    });
            }
        }
        self.len = self.len.saturating_sub(removed);
        removed
    }

    fn leaf(&self, place: Place) -> Option<&Leaf<K>> {
        self.root.get(place.first)?.get(place.second)
    }
}

/// The branch at `at`, of a fan of one's own; made when absent.
fn branch_mut<T: Default>(fan: &mut Arc<Fan<T>>, at: usize) -> Option<&mut Arc<T>> {
    let branch = Arc::make_mut(fan).0.get_mut(at)?;
    Some(branch.get_or_insert_default())
}

/// The way to the entries of a key.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    second: usize,
    tag: u16,
}

fn place<K: Hash>(hasher: &RandomState, key: K) -> Place {
    let hash = hasher.hash_one(key);
    let part = |shift| usize::try_from((hash >> shift) % FAN as u64).unwrap_or_default();
    Place {
        first: part(0),
        second: part(FAN_BITS),
        // The top bits have no part in the branches.
        tag: u16::try_from(hash >> (u64::BITS - u16::BITS)).unwrap_or_default(),
    }
}
