//! The one owner of the deny and the allow list: every change goes through here, one at a time.
//!
//! A change is stored first and published second, so whatever a caller was told holds after a crash, and the next question sees
//! it. Every change has a revision within the state file's epoch, and the last ones can be asked for: whoever keeps a copy of
//! the lists follows them so. Its calls touch the disk: run them off the request path.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ase_core::address::Network;
use ase_core::decision::{Snapshot, Switch, Switches};
use ase_core::identifier_list::{
    Entry, IdentifierList, LineFault, ListedIdentifier, PlainList, RemoveWhich, Rest, Scope,
    Source, Sources, parse_plain,
};
use ase_core::registry::Registry;
use ase_core::time::UnixMillis;
use thiserror::Error;

use crate::state::detections::Sighting;
use crate::state::{ListName, SharedState, StateError, Version};

mod changes;

pub use changes::{Change, Changes, Step, What};

/// Most blocks of entries that one step of a purge changes: some milliseconds.
const PURGE_STEP: usize = 256;
/// Most stored entries that one step of a purge removes.
const STORED_PURGE_STEP: u32 = 2000;

/// The owner.
#[derive(Debug)]
pub struct Lists {
    /// Held by whoever changes a list, from the disk to the snapshot.
    state: SharedState,
    /// Held for as long as it takes to note a step, however much was done in it: gateways wait for it.
    changes: Mutex<Changes>,
    /// Held by whoever changes the registry.
    definitions: Mutex<()>,
    published: Arc<ArcSwap<Snapshot>>,
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// So many entries.
    Entries(usize),
    /// Nothing: no such entry.
    NotListed,
    /// Nothing: only a list file has it.
    InFile,
}

/// A list file that cannot be read.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct ListFileError {
    path: PathBuf,
    error: std::io::Error,
}

/// Reads a plain list file; bad lines are among its faults.
///
/// # Errors
/// When the file cannot be read.
pub fn read_list_file(path: &Path) -> Result<PlainList, ListFileError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(parse_plain(&String::from_utf8_lossy(&bytes))),
        Err(error) => Err(ListFileError {
            path: path.to_path_buf(),
            error,
        }),
    }
}

impl Lists {
    /// Takes the lists of a state over and publishes their entries into `published`.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn open(state: SharedState, published: Arc<ArcSwap<Snapshot>>) -> Result<Self, StateError> {
        let (mut deny, mut allow) = (IdentifierList::default(), IdentifierList::default());
        let version = {
            let state = state.lock();
            state.each_entry(|stored| {
                let list = match stored.list {
                    ListName::Deny => &mut deny,
                    ListName::Allow => &mut allow,
                };
                list.insert(stored.identifier, stored.entry);
            })?;
            state.version()?
        };
        let lists = Self {
            state,
            changes: Mutex::new(Changes::beginning_at(version)),
            definitions: Mutex::default(),
            published,
        };
        drop(lists.publish(ListName::Deny, deny));
        drop(lists.publish(ListName::Allow, allow));
        Ok(lists)
    }

    /// Lists every network of a file, in place of those of the file before.
    ///
    /// # Errors
    /// When the new revision is not stored; then the list is as it was.
    pub fn load_file(
        &self,
        name: ListName,
        file: &PlainList,
        reason: &str,
        now: UnixMillis,
    ) -> Result<(), StateError> {
        let mut state = self.state.lock();
        state.advance(file.networks.len().saturating_add(1))?;
        let reason: Arc<str> = Arc::from(reason);
        let entry = |network: &Network| {
            let entry = Entry::everywhere(Source::File, Arc::clone(&reason), now);
            What::Put(ListedIdentifier::Network(*network), entry)
        };
        let cleared = What::Cleared(Sources::Only(Source::File));
        let puts = file.networks.iter().map(entry);
        self.apply(name, std::iter::once(cleared).chain(puts));
        Ok(())
    }

    /// Puts another registry in place of the one that questions are decided by; nobody else does meanwhile.
    ///
    /// # Errors
    /// Those of `change`; then the registry stays.
    pub fn change_registry<E>(
        &self,
        change: impl FnOnce(&Registry) -> Result<Registry, E>,
    ) -> Result<(), E> {
        let _order = self.definitions();
        let registry = Arc::new(change(&self.published.load().registry)?);
        self.publish_registry(&registry);
        Ok(())
    }

    /// Adds an entry; it holds when this returns.
    ///
    /// # Errors
    /// When it is not stored; then it does not hold either.
    pub fn add(
        &self,
        name: ListName,
        identifier: ListedIdentifier,
        entry: Entry,
    ) -> Result<(), StateError> {
        self.add_all(name, vec![(identifier, entry)])
    }

    /// Adds entries, all or none; they hold when this returns. Other changes wait meanwhile, questions do not.
    ///
    /// # Errors
    /// When they are not stored; then none holds.
    pub fn add_all(
        &self,
        name: ListName,
        entries: Vec<(ListedIdentifier, Entry)>,
    ) -> Result<(), StateError> {
        self.add_detected(name, entries, &[])
    }

    /// Adds entries as [`Self::add_all`] does; the detections that they come from are stored in the same step, so that a
    /// listed client never stands without its reason.
    ///
    /// # Errors
    /// When they are not stored; then none holds.
    pub fn add_detected(
        &self,
        name: ListName,
        entries: Vec<(ListedIdentifier, Entry)>,
        sightings: &[Sighting],
    ) -> Result<(), StateError> {
        let mut state = self.state.lock();
        if entries.is_empty() {
            return state.record(sightings);
        }
        state.put_detected(name, &entries, sightings)?;
        let puts = entries.into_iter();
        self.apply(
            name,
            puts.map(|(identifier, entry)| What::Put(identifier, entry)),
        );
        Ok(())
    }

    /// Removes an identifier whoever has listed it, of one scope or of all. Only the entries of a list file stay: they would
    /// come back with it.
    ///
    /// # Errors
    /// When the removal is not stored; then nothing is removed.
    pub fn remove(
        &self,
        name: ListName,
        identifier: &ListedIdentifier,
        scope: Option<&Scope>,
    ) -> Result<Removed, StateError> {
        self.remove_of(name, identifier, scope, Sources::All)
    }

    /// The same for what some sources have listed.
    ///
    /// # Errors
    /// When the removal is not stored; then nothing is removed.
    pub fn remove_of(
        &self,
        name: ListName,
        identifier: &ListedIdentifier,
        scope: Option<&Scope>,
        sources: Sources,
    ) -> Result<Removed, StateError> {
        let mut state = self.state.lock();
        let snapshot = self.published.load();
        let mut listed = list_of(&snapshot, name).entries_of(identifier);
        listed.retain(|entry| scope.is_none_or(|scope| entry.scope == scope));
        listed.retain(|entry| sources.include(entry.source));
        let places: Vec<(Scope, Source)> = listed
            .iter()
            .filter(|entry| entry.source != Source::File)
            .map(|entry| (entry.scope.clone(), entry.source))
            .collect();
        if places.is_empty() {
            return Ok(if listed.is_empty() {
                Removed::NotListed
            } else {
                Removed::InFile
            });
        }
        state.delete(name, identifier, &places)?;
        let removed = places.len();
        let what = |(scope, source)| What::Removed(*identifier, scope, source);
        self.apply(name, places.into_iter().map(what));
        Ok(Removed::Entries(removed))
    }

    /// Takes every entry of some sources off a list and says how many. Those of a list file come back when it is loaded again.
    ///
    /// # Errors
    /// When that is not stored; then nothing is removed.
    pub fn clear(&self, name: ListName, sources: Sources) -> Result<usize, StateError> {
        let mut state = self.state.lock();
        let before = list_of(&self.published.load(), name).len();
        state.clear(name, sources)?;
        self.apply(name, std::iter::once(What::Cleared(sources)));
        let after = list_of(&self.published.load(), name).len();
        Ok(before.saturating_sub(after))
    }

    /// Takes expired entries off both lists, in steps that changes come between, and forgets detections that are too old.
    ///
    /// # Errors
    /// When the state cannot be changed; look-ups never return expired entries anyway.
    pub fn purge_expired(&self, now: UnixMillis) -> Result<(), StateError> {
        while self.state.lock().purge_expired(now, STORED_PURGE_STEP)? > 0 {}
        self.state.lock().forget_detections(now)?;
        for name in [ListName::Deny, ListName::Allow] {
            while let Rest::More = self.purge_step(name, now) {}
        }
        Ok(())
    }

    /// What questions are decided by at present.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// The version of the lists.
    #[must_use]
    pub fn version(&self) -> Version {
        self.changes().version()
    }

    /// What has changed since a version, in order, with the version that it leads to; `None` when that is not known any more,
    /// or was another epoch: then the whole lists must be taken.
    #[must_use]
    pub fn changes_since(&self, version: Version) -> Option<(Version, Vec<Change>)> {
        let changes = self.changes();
        Some((changes.version(), changes.since(version)?))
    }

    /// Publishes another set of API definitions.
    pub fn set_registry(&self, registry: Arc<Registry>) {
        let _order = self.definitions();
        self.publish_registry(&registry);
    }

    /// Turns the master switches. Turning off `ase_detected_attack` takes every entry of real-time rules off.
    ///
    /// # Errors
    /// When that is not stored; then the switches stay.
    pub fn set_switches(&self, switches: Switches) -> Result<(), StateError> {
        match switches.ase_detected_attack {
            Switch::On => {}
            Switch::Off => {
                self.clear(ListName::Deny, Sources::RealTime)?;
            }
        }
        self.published.rcu(|snapshot| Snapshot {
            switches,
            ..Snapshot::clone(snapshot)
        });
        Ok(())
    }

    fn publish_registry(&self, registry: &Arc<Registry>) {
        self.published.rcu(|snapshot| Snapshot {
            registry: Arc::clone(registry),
            ..Snapshot::clone(snapshot)
        });
    }

    fn purge_step(&self, name: ListName, now: UnixMillis) -> Rest {
        let _owner = self.state.lock();
        let mut list = list_of(&self.published.load(), name).clone();
        let purged = list.purge_expired(now, PURGE_STEP);
        if purged.entries > 0 {
            drop(self.publish(name, list));
        }
        purged.rest
    }

    /// The caller holds the state and has stored the changes.
    fn apply(&self, name: ListName, whats: impl Iterator<Item = What>) {
        let mut list = list_of(&self.published.load(), name).clone();
        let mut step = Step::default();
        for what in whats {
            match &what {
                What::Put(identifier, entry) => {
                    drop(list.insert(*identifier, entry.clone()));
                }
                What::Removed(identifier, scope, source) => {
                    list.remove(identifier, &RemoveWhich::Exactly(scope.clone(), *source));
                }
                What::Cleared(sources) => {
                    list.clear(*sources);
                }
            }
            step.push(what);
        }
        let mut changes = self.changes();
        changes.note(name, step);
        // Under the lock of the changes: who asks for them finds no revision that is not published.
        let former = self.publish(name, list);
        drop(changes);
        // It may be the last to hold a million entries.
        drop(former);
    }

    fn publish(&self, name: ListName, list: IdentifierList) -> Arc<Snapshot> {
        self.published.rcu(|snapshot| {
            let mut snapshot = Snapshot::clone(snapshot);
            *list_mut(&mut snapshot, name) = list.clone();
            snapshot
        })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        // A panic between two notes leaves the changes in order.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn definitions(&self) -> MutexGuard<'_, ()> {
        // It guards nothing but the order.
        let definitions = self.definitions.lock();
        definitions.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list of this name in a snapshot.
#[must_use]
pub fn list_of(snapshot: &Snapshot, name: ListName) -> &IdentifierList {
    match name {
        ListName::Deny => &snapshot.attack,
        ListName::Allow => &snapshot.allow,
    }
}

/// A bad line with its file.
#[must_use]
pub fn describe(path: &Path, fault: &LineFault) -> String {
    format!("{}: {fault}", path.display())
}

fn list_mut(snapshot: &mut Snapshot, name: ListName) -> &mut IdentifierList {
    match name {
        ListName::Deny => &mut snapshot.attack,
        ListName::Allow => &mut snapshot.allow,
    }
}

#[cfg(test)]
mod tests;
