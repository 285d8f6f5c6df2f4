//! A map from keys to listings whose clone costs nothing and whose change costs one small copy, however large it is.
//!
//! Two levels of 64 branches lead to 4096 leaves. A change to a table that a clone shares copies one leaf and the way to it
//! (some microseconds at a million entries); a table that nobody shares changes in place. Keys can come from attackers,
//! through the engine, so leaves are chosen by a keyed hash. The way to a leaf has the leaf's tags too: a look-up of a key that is not listed,
//! which most are, reads them and no leaf.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use super::leaf::{Leaf, tagged};
use super::{Entry, EntryRef, RemoveWhich};
use crate::api_id::{ApiGroup, ApiId};
use crate::time::UnixMillis;

const FAN_BITS: u32 = 6;
const FAN: usize = 1 << FAN_BITS;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Table<K> {
    root: Arc<Fan<Arc<Fan<Branch<K>>>>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Fan<T>([Option<T>; FAN]);

/// A leaf, and what a look-up needs to know that it is not there.
#[derive(Debug)]
struct Branch<K> {
    /// Those of the leaf.
    tags: Arc<[u16]>,
    leaf: Arc<Leaf<K>>,
}

impl<T> Fan<T> {
    fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_ref()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(Option::as_ref)
    }
}

impl<T: Default> Fan<T> {
    fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        Some(self.0.get_mut(at)?.get_or_insert_default())
    }
}

impl<T> Default for Fan<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| None))
    }
}

impl<K> Clone for Branch<K> {
    fn clone(&self) -> Self {
        Self {
            tags: Arc::clone(&self.tags),
            leaf: Arc::clone(&self.leaf),
        }
    }
}

impl<K> Default for Branch<K> {
    fn default() -> Self {
        Self {
            tags: Arc::default(),
            leaf: Arc::default(),
        }
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
        let leaf = self.leaf_with(place);
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
        self.leaf_with(place)?.live((place.tag, key), api, now)
    }

    /// All leaves.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Leaf<K>> {
        let branches = self.root.iter().flat_map(|fan| fan.iter());
        branches.map(|branch| &*branch.leaf)
    }

    /// Adds an entry; one of the same key, scope and source is replaced and returned.
    pub(super) fn insert(&mut self, hasher: &RandomState, key: K, entry: &Entry) -> Option<Entry> {
        let place = place(hasher, key);
        let replaced = self.change(place, |leaf| leaf.insert((place.tag, key), entry))?;
        if replaced.is_none() {
            self.len = self.len.saturating_add(1);
        }
        replaced
    }

    /// Removes entries of `key` and says how many.
    pub(super) fn remove(&mut self, hasher: &RandomState, key: K, which: &RemoveWhich) -> usize {
        let place = place(hasher, key);
        let listed = |leaf: &Leaf<K>| {
            let mut entries = leaf.of_key((place.tag, key));
            entries.any(|entry| which.selects(&entry))
        };
        if !self.leaf_with(place).is_some_and(listed) {
            return 0;
        }
        let removed = self.change(place, |leaf| leaf.remove(key, which));
        let removed = removed.unwrap_or_default();
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
                let place = Place {
                    first,
                    second,
                    tag: 0,
                };
                let leaf = self.branch(place).map(|branch| &branch.leaf);
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
                let gone = self.change(place, |leaf| leaf.retain(|_, entry| !goes(entry)));
                removed += gone.unwrap_or_default();
            }
        }
        self.len = self.len.saturating_sub(removed);
        removed
    }

    fn branch(&self, place: Place) -> Option<&Branch<K>> {
        self.root.get(place.first)?.get(place.second)
    }

    /// The leaf with entries of the place's tag, if there are any.
    fn leaf_with(&self, place: Place) -> Option<&Leaf<K>> {
        let branch = self.branch(place)?;
        let some = !tagged(&branch.tags, place.tag).is_empty();
        some.then_some(&branch.leaf)
    }

    /// Changes a leaf of one's own, which is made when absent.
    fn change<R>(&mut self, place: Place, act: impl FnOnce(&mut Leaf<K>) -> R) -> Option<R> {
        let fan = Arc::make_mut(&mut self.root).get_mut(place.first)?;
        let branch = Arc::make_mut(fan).get_mut(place.second)?;
        let done = act(Arc::make_mut(&mut branch.leaf));
        branch.tags = branch.leaf.tags();
        Some(done)
    }
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
