//! The stored list entries. Every change moves the lists' revision on in the same transaction.

use std::sync::Arc;

use ase_core::address::Network;
use ase_core::credential::{CredentialId, CredentialKind, KeyId};
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source, Sources};
use ase_core::time::UnixMillis;
use rusqlite::{Connection, Row, params};

use super::detections::{Sighting, record_in, undo_in};
use super::{ListName, State, StateError, stored_time, time};

const PUT: &str =
    "INSERT OR REPLACE INTO entry (list, identifier, scope, source, reason, added_ms, expires_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// An entry as stored.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The list that it is on.
    pub list: ListName,
    /// Whom it names.
    pub identifier: ListedIdentifier,
    /// Why and how long.
    pub entry: Entry,
}

impl State {
    /// Hands every stored entry to `take`, one after another.
    ///
    /// # Errors
    /// When the state cannot be read, or holds what this version does not know.
    pub fn each_entry(&self, mut take: impl FnMut(StoredEntry)) -> Result<(), StateError> {
        let mut select = self.database.prepare(
            "SELECT list, identifier, scope, source, reason, added_ms, expires_ms FROM entry",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let identifier: String = row.get(1)?;
            let entry = stored_entry(row, &identifier)?;
            take(entry.ok_or(StateError::Unreadable(identifier))?);
        }
        Ok(())
    }

    /// Stores entries, all or none; one of the same list, identifier, scope and source is replaced. Each is one revision.
    ///
    /// # Errors
    /// When they are not stored.
    pub fn put(
        &mut self,
        list: ListName,
        entries: &[(ListedIdentifier, Entry)],
    ) -> Result<(), StateError> {
        self.put_detected(list, entries, &[])
    }

    /// Stores entries as [`Self::put`] does and, in the same step, the detections that they come from.
    ///
    /// # Errors
    /// When they are not stored.
    pub fn put_detected(
        &mut self,
        list: ListName,
        entries: &[(ListedIdentifier, Entry)],
        sightings: &[Sighting],
    ) -> Result<(), StateError> {
        let kept = self.retention.count;
        let transaction = self.database.transaction()?;
        {
            let mut insert = transaction.prepare(PUT)?;
            for (identifier, entry) in entries {
                insert.execute(params![
                    list.as_str(),
                    identifier.to_string(),
                    entry.scope.to_string(),
                    entry.source.as_str(),
                    &*entry.reason,
                    stored_time(entry.added),
                    entry.expires.map(stored_time),
                ])?;
            }
        }
        advance(&transaction, entries.len())?;
        if !sightings.is_empty() {
            record_in(&transaction, sightings, kept)?;
        }
        Ok(transaction.commit()?)
    }

    /// Removes entries by scope and source, all or none, and marks the detections that they came from as undone. Each is one
    /// revision.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn delete(
        &mut self,
        list: ListName,
        identifier: &ListedIdentifier,
        places: &[(Scope, Source)],
    ) -> Result<(), StateError> {
        let transaction = self.database.transaction()?;
        for (scope, source) in places {
            transaction.execute(
                "DELETE FROM entry WHERE list = ?1 AND identifier = ?2 AND scope = ?3 AND source = ?4",
                params![
                    list.as_str(),
                    identifier.to_string(),
                    scope.to_string(),
                    source.as_str()
                ],
            )?;
            if list == ListName::Deny {
                undo_in(
                    &transaction,
                    Some((identifier, scope)),
                    Sources::Only(*source),
                )?;
            }
        }
        advance(&transaction, places.len())?;
        Ok(transaction.commit()?)
    }

    /// Removes every entry of some sources from a list, and marks their detections as undone: one revision.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn clear(&mut self, list: ListName, sources: Sources) -> Result<(), StateError> {
        let transaction = self.database.transaction()?;
        for source in Source::ALL {
            if sources.include(source) {
                transaction.execute(
                    "DELETE FROM entry WHERE list = ?1 AND source = ?2",
                    params![list.as_str(), source.as_str()],
                )?;
            }
        }
        if list == ListName::Deny {
            undo_in(&transaction, None, sources)?;
        }
        advance(&transaction, 1)?;
        Ok(transaction.commit()?)
    }

    /// Moves the revision on for changes that are not stored here, those of list files.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn advance(&mut self, changes: usize) -> Result<(), StateError> {
        Ok(advance(&self.database, changes)?)
    }

    /// Removes at most `bound` entries that have expired at `now`, and says how many. No revision: look-ups do not see them anyway.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn purge_expired(&mut self, now: UnixMillis, bound: u32) -> Result<usize, StateError> {
        let delete = "DELETE FROM entry WHERE (list, identifier, scope, source) IN
            (SELECT list, identifier, scope, source FROM entry WHERE expires_ms <= ?1 LIMIT ?2)";
        let removed = self
            .database
            .execute(delete, params![stored_time(now), bound])?;
        Ok(removed)
    }

    /// How many stored entries name a credential by a key, on both lists.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn entries_under(&self, key: KeyId) -> Result<u64, StateError> {
        let count = "SELECT count(*) FROM entry WHERE identifier LIKE ?1";
        let pattern = format!("% k{}:%", key.0);
        let counted = |row: &Row<'_>| row.get::<_, i64>(0);
        let entries = self.database.query_row(count, params![pattern], counted)?;
        Ok(u64::try_from(entries).unwrap_or(0))
    }
}

fn advance(database: &Connection, changes: usize) -> Result<(), rusqlite::Error> {
    let changes = i64::try_from(changes).unwrap_or(i64::MAX);
    let update = "UPDATE meta SET value = value + ?1 WHERE name = 'revision'";
    database.execute(update, params![changes]).map(drop)
}

/// `None` when a column holds what this version does not know.
fn stored_entry(row: &Row<'_>, identifier: &str) -> Result<Option<StoredEntry>, rusqlite::Error> {
    let (list, scope, source): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
    let reason: String = row.get(4)?;
    let (added, expires): (i64, Option<i64>) = (row.get(5)?, row.get(6)?);
    let list = [ListName::Deny, ListName::Allow]
        .into_iter()
        .find(|name| name.as_str() == list);
    let parts = (
        list,
        stored_identifier(identifier),
        Scope::parse(&scope).ok(),
        Source::parse(&source).ok(),
    );
    let (Some(list), Some(identifier), Some(scope), Some(source)) = parts else {
        return Ok(None);
    };
    let entry = Entry {
        scope,
        expires: expires.map(time),
        source,
        reason: Arc::from(reason),
        added: time(added),
    };
    Ok(Some(StoredEntry {
        list,
        identifier,
        entry,
    }))
}

/// The text form of [`ListedIdentifier`], read back.
pub(super) fn stored_identifier(text: &str) -> Option<ListedIdentifier> {
    match text.split_once(' ') {
        None => Network::parse(text).ok().map(ListedIdentifier::Network),
        Some((kind, id)) => Some(ListedIdentifier::Credential {
            kind: CredentialKind::parse(kind).ok()?,
            id: CredentialId::parse(id).ok()?,
        }),
    }
}
