//! The one owner of the deny and the allow list: every change goes through here, one at a time.
//!
//! A change is stored first and published second, so whatever a caller was told holds after a crash, and the next question sees
//! it. Its calls touch the disk: run them off the request path.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ase_core::decision::{Snapshot, Switch, Switches};
use ase_core::identifier_list::{
    Entry, IdentifierList, LineFault, ListedIdentifier, PlainList, RemoveWhich, Rest, Scope,
    Source, Sources, parse_plain,
};
use ase_core::registry::Registry;
use ase_core::time::UnixMillis;
use thiserror::Error;

use crate::state::{ListName, State, StateError};

/// Most blocks of entries that one step of a purge changes: some milliseconds.
const PURGE_STEP: usize = 256;

/// The owner.
#[derive(Debug)]
pub struct Lists {
    state: Mutex<State>,
    published: Arc<ArcSwap<Snapshot>>,
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// So many entries.
    Entries(usize),
    /// Nothing: no such entry.
    NotListed,
    /// Nothing: only other sources than management list it.
    OfOtherSource(Source),
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
    /// Takes the state over and publishes its entries into `published`.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn open(
        mut state: State,
        published: Arc<ArcSwap<Snapshot>>,
        now: UnixMillis,
    ) -> Result<Self, StateError> {
        state.purge_expired(now)?;
        let mut snapshot = Snapshot::clone(&published.load());
        for stored in state.entries()? {
            list_mut(&mut snapshot, stored.list).insert(stored.identifier, stored.entry);
        }
        published.store(Arc::new(snapshot));
        Ok(Self {
            state: Mutex::new(state),
            published,
        })
    }

    /// Lists every network of a file, in place of those of the file before.
    pub fn load_file(&self, name: ListName, file: &PlainList, reason: &str, now: UnixMillis) {
        let _owner = self.owner();
        let reason: Arc<str> = Arc::from(reason);
        self.publish(name, |list| {
            list.clear(Sources::Only(Source::File));
            for network in &file.networks {
                let entry = Entry {
                    scope: Scope::All,
                    expires: None,
                    source: Source::File,
                    reason: Arc::clone(&reason),
                    added: now,
                };
                list.insert(ListedIdentifier::Network(*network), entry);
            }
        });
    }

    /// Puts another registry in place of the one that questions are decided by; nothing else changes meanwhile.
    ///
    /// # Errors
    /// Those of `change`; then the registry stays.
    pub fn change_registry<E>(
        &self,
        change: impl FnOnce(&Registry) -> Result<Registry, E>,
    ) -> Result<(), E> {
        let _owner = self.owner();
        let mut snapshot = Snapshot::clone(&self.published.load());
        snapshot.registry = Arc::new(change(&snapshot.registry)?);
        self.published.store(Arc::new(snapshot));
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
        let mut state = self.owner();
        state.put(name, &identifier, &entry)?;
        self.publish(name, |list| drop(list.insert(identifier, entry)));
        Ok(())
    }

    /// Removes what management has listed: of one scope, or of all.
    ///
    /// # Errors
    /// When the removal is not stored; what was removed before that holds.
    pub fn remove(
        &self,
        name: ListName,
        identifier: &ListedIdentifier,
        scope: Option<&Scope>,
    ) -> Result<Removed, StateError> {
        let mut state = self.owner();
        let snapshot = self.published.load();
        let mut listed = list_of(&snapshot, name).entries_of(identifier);
        listed.retain(|entry| scope.is_none_or(|scope| entry.scope == scope));
        let manual: Vec<_> = listed
            .iter()
            .filter(|entry| entry.source == Source::Manual)
            .collect();
        if manual.is_empty() {
            return Ok(match listed.first() {
                Some(entry) => Removed::OfOtherSource(entry.source),
                None => Removed::NotListed,
            });
        }
        for entry in &manual {
            state.delete(name, identifier, (entry.scope, Source::Manual))?;
            let which = RemoveWhich::Exactly(entry.scope.clone(), Source::Manual);
            self.publish(name, |list| {
                list.remove(identifier, &which);
            });
        }
        Ok(Removed::Entries(manual.len()))
    }

    /// Publishes another set of API definitions.
    pub fn set_registry(&self, registry: Arc<Registry>) {
        let _owner = self.owner();
        let mut snapshot = Snapshot::clone(&self.published.load());
        snapshot.registry = registry;
        self.published.store(Arc::new(snapshot));
    }

    /// Turns the master switches. Turning off `ase_detected_attack` takes every entry of real-time rules off.
    ///
    /// # Errors
    /// When a removal is not stored; then the switches stay.
    pub fn set_switches(&self, switches: Switches) -> Result<(), StateError> {
        let mut state = self.owner();
        let mut snapshot = Snapshot::clone(&self.published.load());
        match switches.ase_detected_attack {
            Switch::On => {}
            Switch::Off => {
                for (identifier, entry) in snapshot.attack.iter() {
                    if Sources::RealTime.include(entry.source) {
                        state.delete(ListName::Deny, &identifier, (entry.scope, entry.source))?;
                    }
                }
                snapshot.attack.clear(Sources::RealTime);
            }
        }
        snapshot.switches = switches;
        self.published.store(Arc::new(snapshot));
        Ok(())
    }

    /// Takes expired entries off both lists.
    ///
    /// # Errors
    /// When the state cannot be changed; look-ups never return expired entries anyway.
    pub fn purge_expired(&self, now: UnixMillis) -> Result<(), StateError> {
        self.owner().purge_expired(now)?;
        for name in [ListName::Deny, ListName::Allow] {
            // Changes come between the steps.
            while let Rest::More = self.purge_step(name, now) {}
        }
        Ok(())
    }

    fn purge_step(&self, name: ListName, now: UnixMillis) -> Rest {
        let _owner = self.owner();
        let mut list = list_of(&self.published.load(), name).clone();
        let purged = list.purge_expired(now, PURGE_STEP);
        if purged.entries > 0 {
            self.publish(name, |published| *published = list);
        }
        purged.rest
    }

    fn owner(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves the state file whole: every change is one statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller holds the owner's lock.
    fn publish(&self, name: ListName, change: impl FnOnce(&mut IdentifierList)) {
        let mut snapshot = Snapshot::clone(&self.published.load());
        let list = list_mut(&mut snapshot, name);
        change(list);
        self.published.store(Arc::new(snapshot));
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
