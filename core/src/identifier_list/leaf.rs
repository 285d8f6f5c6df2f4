//! A few hundred listings in one block of memory, sorted by tag, key, scope and source.
//!
//! Made for size: an entry of an IPv4 address takes 34 bytes, its reason stands once in the block however many entries share it.
//! A tag is a part of the key's hash, so the tags are spread evenly and a key's place is near that of its tag in their range: a look-up
//! of a key that is not there, which most are, reads one or two cache lines. The leaf knows nothing of what a key is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Entry, EntryRef, RemoveWhich, Scope, Source};
use crate::api_id::{ApiGroup, ApiId};
use crate::time::UnixMillis;

/// Stands for "never" in [`Slot::expires`].
const NEVER: u64 = u64::MAX;
/// Room for growth: a sixteenth of the block, so that a load does not move it at every entry and little memory lies idle.
const SLACK_SHARE: usize = 16;
/// Text out of use that a replaced entry may leave behind.
const WASTE_BYTES: usize = 256;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Leaf<K> {
    /// The tag of each slot. Whoever looks for a key has them too, so a change makes new ones.
    tags: Arc<[u16]>,
    slots: Vec<Slot<K>>,
    /// The reasons, one after another.
    texts: String,
    scopes: Vec<Scope>,
    /// No entry expires before this.
    soonest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot<K> {
    added: u64,
    expires: u64,
    text_start: u32,
    scope: u32,
    text_len: u16,
    key: K,
    source: Source,
}

impl<K> Default for Leaf<K> {
    fn default() -> Self {
        Self {
            tags: Arc::default(),
            slots: Vec::new(),
            texts: String::new(),
            scopes: Vec::new(),
            soonest: NEVER,
        }
    }
}

impl<K: Copy + Ord> Leaf<K> {
    /// The entries of `key`, by scope and source.
    pub(super) fn of_key(&self, (tag, key): (u16, K)) -> impl Iterator<Item = EntryRef<'_>> {
        let slots = self.slots.get(tagged(&self.tags, tag)).unwrap_or_default();
        slots
            .iter()
            .filter(move |slot| slot.key == key)
            .filter_map(|slot| self.entry(slot))
    }

    /// The entry that counts for an API at `now`: the one that lasts longest, among equals the first.
    pub(super) fn live(
        &self,
        key: (u16, K),
        (api, group): (&ApiId, Option<&ApiGroup>),
        now: UnixMillis,
    ) -> Option<EntryRef<'_>> {
        self.of_key(key)
            .filter(|entry| !entry.is_expired(now) && entry.scope.covers(api, group))
            .reduce(|best, entry| {
                if entry.lasts_longer_than(&best) {
                    entry
                } else {
                    best
                }
            })
    }

    /// The tag of each slot.
    pub(super) fn tags(&self) -> Arc<[u16]> {
        Arc::clone(&self.tags)
    }

    /// Every key with its entries, in the order of their tags.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, EntryRef<'_>)> {
        self.slots
            .iter()
            .filter_map(|slot| Some((slot.key, self.entry(slot)?)))
    }

    /// Where an entry of this key, scope and source is, or belongs.
    fn place(&self, (tag, key): (u16, K), entry: &Entry) -> Result<usize, usize> {
        let places = tagged(&self.tags, tag);
        let start = places.start;
        let slots = self.slots.get(places).unwrap_or_default();
        let found = slots.binary_search_by(|slot| {
            let scope = || {
                usize::try_from(slot.scope)
                    .ok()
                    .and_then(|at| self.scopes.get(at))
            };
            slot.key
                .cmp(&key)
                .then_with(|| scope().cmp(&Some(&entry.scope)))
                .then_with(|| slot.source.cmp(&entry.source))
        });
        found.map(|at| start + at).map_err(|at| start + at)
    }

    /// Adds an entry; one of the same key, scope and source is replaced and returned.
    pub(super) fn insert(&mut self, (tag, key): (u16, K), entry: &Entry) -> Option<Entry> {
        let place = self.place((tag, key), entry);
        let (text_start, text_len) = self.text_place(&entry.reason);
        let slot = Slot {
            added: entry.added.0,
            expires: entry.expires.map_or(NEVER, |at| at.0),
            text_start,
            scope: self.scope_place(&entry.scope),
            text_len,
            key,
            source: entry.source,
        };
        self.soonest = self.soonest.min(slot.expires);
        match place {
            Ok(at) => {
                let held = self.slots.get_mut(at)?;
                let replaced = std::mem::replace(held, slot);
                let replaced = self.entry(&replaced).map(|entry| entry.to_entry());
                self.tidy_if_wasteful();
                replaced
            }
            Err(at) => {
                if self.slots.len() == self.slots.capacity() {
                    let more = self.slots.len() / SLACK_SHARE + 1;
                    self.slots.reserve_exact(more);
                }
                self.slots.insert(at, slot);
                let (before, after) = self.tags.split_at_checked(at).unwrap_or((&self.tags, &[]));
                let tags = before.iter().chain(std::iter::once(&tag)).chain(after);
                self.tags = tags.copied().collect();
                None
            }
        }
    }

    /// Removes entries of `key` and says how many.
    pub(super) fn remove(&mut self, key: K, which: &RemoveWhich) -> usize {
        self.retain(|held, entry| held != key || !which.selects(entry))
    }

    /// Keeps the entries that `keep` selects and says how many went.
    pub(super) fn retain(&mut self, keep: impl Fn(K, &EntryRef<'_>) -> bool) -> usize {
        let before = self.slots.len();
        let all = self.tags.iter().zip(&self.slots);
        let kept =
            all.filter(|(_, slot)| self.entry(slot).is_some_and(|entry| keep(slot.key, &entry)));
        let (tags, slots): (Vec<u16>, Vec<Slot<K>>) = kept.map(|(tag, slot)| (*tag, *slot)).unzip();
        let removed = before.saturating_sub(slots.len());
        if removed > 0 {
            self.tags = tags.into();
            self.slots = slots;
            self.tidy();
        }
        removed
    }

    /// No entry expires before this.
    pub(super) fn soonest(&self) -> UnixMillis {
        UnixMillis(self.soonest)
    }

    fn entry(&self, slot: &Slot<K>) -> Option<EntryRef<'_>> {
        let start = usize::try_from(slot.text_start).ok()?;
        Some(EntryRef {
            scope: self.scopes.get(usize::try_from(slot.scope).ok()?)?,
            expires: (slot.expires != NEVER).then_some(UnixMillis(slot.expires)),
            source: slot.source,
            reason: self
                .texts
                .get(start..start.saturating_add(slot.text_len.into()))
                .unwrap_or_default(),
            added: UnixMillis(slot.added),
        })
    }

    /// Where `reason` stands, at the end when it is new. One over 65535 bytes is cut.
    fn text_place(&mut self, reason: &str) -> (u32, u16) {
        let reason = reason
            .get(..reason.floor_char_boundary(usize::from(u16::MAX)))
            .unwrap_or_default();
        let len = u16::try_from(reason.len()).unwrap_or_default();
        let same = self.slots.iter().find(|slot| {
            slot.text_len == len && self.entry(slot).is_some_and(|held| held.reason == reason)
        });
        if let Some(slot) = same {
            return (slot.text_start, len);
        }
        match u32::try_from(self.texts.len()) {
            Ok(start) => {
                let needed = self.texts.len().saturating_add(reason.len());
                if needed > self.texts.capacity() {
                    self.texts
                        .reserve_exact(reason.len() + self.texts.len() / SLACK_SHARE);
                }
                self.texts.push_str(reason);
                (start, len)
            }
            // Four gigabytes of reasons in one block: this one is not kept.
            Err(_) => (0, 0),
        }
    }

    fn scope_place(&mut self, scope: &Scope) -> u32 {
        let known = self.scopes.iter().position(|held| held == scope);
        let at = known.unwrap_or_else(|| {
            self.scopes.reserve_exact(1);
            self.scopes.push(scope.clone());
            self.scopes.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn tidy_if_wasteful(&mut self) {
        let used: usize = self
            .slots
            .iter()
            .map(|slot| usize::from(slot.text_len))
            .sum();
        if self.texts.len() > used + WASTE_BYTES || self.scopes.len() > self.slots.len() {
            self.tidy();
        }
    }

    /// Brings texts, scopes and the soonest expiry down to those in use.
    fn tidy(&mut self) {
        let mut tags = Vec::with_capacity(self.slots.len());
        let mut fresh = Self {
            slots: Vec::with_capacity(self.slots.len()),
            ..Self::default()
        };
        let mut texts: BTreeMap<(u32, u16), u32> = BTreeMap::new();
        let mut scopes: BTreeMap<u32, u32> = BTreeMap::new();
        for (tag, slot) in self.tags.iter().zip(&self.slots) {
            let Some(entry) = self.entry(slot) else {
                continue;
            };
            let mut slot = *slot;
            let text = texts
                .entry((slot.text_start, slot.text_len))
                .or_insert_with(|| {
                    let start = u32::try_from(fresh.texts.len()).unwrap_or_default();
                    fresh.texts.push_str(entry.reason);
                    start
                });
            slot.text_start = *text;
            let scope = scopes.entry(slot.scope).or_insert_with(|| {
                fresh.scopes.push(entry.scope.clone());
                u32::try_from(fresh.scopes.len() - 1).unwrap_or(u32::MAX)
            });
            slot.scope = *scope;
            fresh.soonest = fresh.soonest.min(slot.expires);
            tags.push(*tag);
            fresh.slots.push(slot);
        }
        fresh.texts.shrink_to_fit();
        fresh.tags = tags.into();
        *self = fresh;
    }
}

/// Where a tag is among those of a leaf, which are sorted; where it would be, when it is not there.
pub(super) fn tagged(tags: &[u16], tag: u16) -> Range<usize> {
    let guess = (usize::from(tag) * tags.len()) >> u16::BITS;
    let below = tags.get(..guess).unwrap_or_default();
    let start = match below.iter().rposition(|held| *held < tag) {
        Some(last) => last + 1,
        None => 0,
    };
    let rest = tags.get(start..).unwrap_or_default();
    let skipped = rest.iter().take_while(|held| **held < tag).count();
    let start = start + skipped;
    let rest = rest.get(skipped..).unwrap_or_default();
    start..start + rest.iter().take_while(|held| **held == tag).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(u32, Entry),
        Remove(u32, RemoveWhich),
        Purge(u64),
    }

    /// At both ends of the range, some of them shared.
    fn tag(key: u32) -> u16 {
        [0, 1, 0x7fff, 0x8000, u16::MAX][key as usize % 5]
    }

    fn operations() -> impl Strategy<Value = Operation> {
        let scopes = ["all", "api:a", "group:g"].map(|text| Scope::parse(text).unwrap());
        let entry = (
            select(scopes.to_vec()),
            proptest::option::of(0_u64..50),
            select(Source::ALL.to_vec()),
            // Reasons that are shared, empty, not ASCII and parts of each other.
            select(vec![
                "",
                "a",
                "aa",
                "spr\u{fc}hend",
                "a reason that is longer",
            ]),
            0_u64..9,
        );
        let entry = entry.prop_map(|(scope, expires, source, reason, added)| Entry {
            scope,
            expires: expires.map(UnixMillis),
            source,
            reason: reason.into(),
            added: UnixMillis(added),
        });
        prop_oneof![
            8 => (0_u32..12, entry).prop_map(|(key, entry)| Operation::Insert(key, entry)),
            3 => (0_u32..12).prop_map(|key| Operation::Remove(key, RemoveWhich::Every)),
            2 => (0_u32..12, select(Source::ALL.to_vec())).prop_map(|(key, source)| Operation::Remove(key, RemoveWhich::OfSource(source))),
            1 => (0_u64..50).prop_map(Operation::Purge),
        ]
    }

    proptest! {
        #[test]
        fn a_leaf_holds_what_a_sorted_map_would(operations in prop::collection::vec(operations(), 1..80)) {
            let mut leaf = Leaf::default();
            let mut model: BTreeMap<(u32, Scope, Source), Entry> = BTreeMap::new();
            for operation in operations {
                match operation {
                    Operation::Insert(key, entry) => {
                        let place = (key, entry.scope.clone(), entry.source);
                        prop_assert_eq!(leaf.insert((tag(key), key), &entry), model.insert(place, entry));
                    }
                    Operation::Remove(key, which) => {
                        let before = model.len();
                        model.retain(|(held, _, _), entry| *held != key || !which.selects(&entry.as_ref()));
                        prop_assert_eq!(leaf.remove(key, &which), before - model.len());
                    }
                    Operation::Purge(now) => {
                        let before = model.len();
                        model.retain(|_, entry| !entry.is_expired(UnixMillis(now)));
                        prop_assert_eq!(leaf.retain(|_, entry| !entry.is_expired(UnixMillis(now))), before - model.len());
                    }
                }
                let held: Vec<_> = leaf.iter().collect();
                let mut expect: Vec<_> = model.iter().map(|((key, _, _), entry)| (*key, entry.as_ref())).collect();
                expect.sort_by_key(|(key, _)| (tag(*key), *key));
                prop_assert_eq!(held, &*expect);
                for key in 0..12 {
                    let held: Vec<_> = leaf.of_key((tag(key), key)).collect();
                    let expect: Vec<_> = expect.iter().filter(|(other, _)| *other == key).map(|(_, entry)| *entry).collect();
                    prop_assert_eq!(held, expect);
                }
                let soonest = model.values().filter_map(|entry| entry.expires).min();
                prop_assert!(soonest.is_none_or(|soonest| leaf.soonest() <= soonest));
                let texts: usize = model.values().map(|entry| entry.reason.len()).sum();
                prop_assert!(leaf.texts.len() <= texts + WASTE_BYTES);
            }
        }
    }

    #[test]
    fn a_reason_that_many_entries_share_stands_once_and_a_very_long_one_is_cut() {
        let entry = |reason: &str| Entry::everywhere(Source::File, reason, UnixMillis(0));
        let mut leaf = Leaf::default();
        for key in 0..100_u32 {
            leaf.insert((tag(key), key), &entry("a feed of addresses"));
        }
        assert_eq!(leaf.texts.len(), "a feed of addresses".len());
        leaf.insert((tag(100), 100), &entry(&"\u{e4}".repeat(40_000)));
        let cut = leaf.of_key((tag(100), 100)).next().unwrap();
        assert_eq!(cut.reason.len(), 65_534);
        assert!(size_of::<Slot<u32>>() <= 32);
        assert!(size_of::<Slot<u128>>() <= 48);
    }
}
