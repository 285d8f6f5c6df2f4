//! Networks of one address family, by prefix length, so that a look-up probes only the lengths that a list holds.

use std::hash::{Hash, RandomState};

use super::table::Table;
use super::{Entry, EntryRef, RemoveWhich};
use crate::time::UnixMillis;

/// A table for each length that has a network, longest first. A key is the first address of a network.
#[derive(Clone, Debug)]
pub(super) struct Networks<K>(Vec<(u8, Table<K>)>);

impl<K> Default for Networks<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Ord + Hash> Networks<K> {
    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(_, table)| table.len()).sum()
    }

    /// The lengths that have a network, longest first, with their networks.
    pub(super) fn longest_first(&self) -> impl Iterator<Item = (u8, &Table<K>)> {
        self.0.iter().map(|(prefix, table)| (*prefix, table))
    }

    /// The networks of one length.
    pub(super) fn table(&self, prefix: u8) -> Option<&Table<K>> {
        let at = self.place(prefix).ok()?;
        self.0.get(at).map(|(_, table)| table)
    }

    /// Adds an entry of a network; see [`Table::insert`].
    pub(super) fn insert(
        &mut self,
        hasher: &RandomState,
        (prefix, first): (u8, K),
        entry: &Entry,
    ) -> Option<Entry> {
        let at = match self.place(prefix) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (prefix, Table::default()));
                at
            }
        };
        let (_, table) = self.0.get_mut(at)?;
        table.insert(hasher, first, entry)
    }

    /// Removes entries of one network and says how many.
    pub(super) fn remove(
        &mut self,
        hasher: &RandomState,
        (prefix, first): (u8, K),
        which: &RemoveWhich,
    ) -> usize {
        let Ok(at) = self.place(prefix) else {
            return 0;
        };
        let removed = self
            .0
            .get_mut(at)
            .map_or(0, |(_, table)| table.remove(hasher, first, which));
        self.drop_empty();
        removed
    }

    /// As [`Table::take_off`], over all lengths.
    pub(super) fn take_off(
        &mut self,
        may: impl Fn(UnixMillis) -> bool,
        goes: impl Fn(&EntryRef<'_>) -> bool,
        budget: &mut usize,
    ) -> usize {
        let tables = self.0.iter_mut();
        let removed = tables
            .map(|(_, table)| table.take_off(&may, &goes, budget))
            .sum();
        self.drop_empty();
        removed
    }

    fn drop_empty(&mut self) {
        self.0.retain(|(_, table)| table.len() > 0);
    }

    fn place(&self, prefix: u8) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| prefix.cmp(held))
    }
}
