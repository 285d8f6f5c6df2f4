//! ASE's own state in one SQLite file: the credential key and the list entries that were made through the management port.
//!
//! A change is acknowledged when it is committed and synced; a process killed at any instant starts again with everything
//! acknowledged. One process at a time owns the file.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ase_core::address::Network;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId};
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source};
use ase_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use thiserror::Error;

use crate::secret;

const FILE: &str = "ase.db";
/// How long to wait for a process that is just ending.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS credential_key (id INTEGER PRIMARY KEY, secret BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (
        list TEXT NOT NULL, identifier TEXT NOT NULL, scope TEXT NOT NULL, source TEXT NOT NULL,
        reason TEXT NOT NULL, added_ms INTEGER NOT NULL, expires_ms INTEGER,
        PRIMARY KEY (list, identifier, scope, source)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_expires ON entry (expires_ms) WHERE expires_ms IS NOT NULL;
    PRAGMA user_version = 1;";

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListName {
    /// Whom to block.
    Deny,
    /// Whom never to block.
    Allow,
}

/// The open state file.
#[derive(Debug)]
pub struct State {
    database: Connection,
}

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

/// Why the state cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// The folder or the file cannot be made.
    #[error("state folder {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// SQLite refuses.
    #[error("state file {}: {error}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// A change was not stored.
    #[error("the change was not stored: {0}")]
    Change(#[from] rusqlite::Error),
    /// Something stored that this version cannot read.
    #[error("the state holds {0:?}, which is not an entry")]
    Unreadable(String),
    /// The operating system has no randomness for a key.
    #[error("no randomness for a key: {0}")]
    Randomness(io::Error),
}

impl ListName {
    /// Its name in paths, commands and the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

impl State {
    /// Opens the state in `folder` and makes what is missing, for the owner's eyes only.
    ///
    /// # Errors
    /// When that is not possible, or when another process has it open.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        make_folder(folder)?;
        let path = folder.join(FILE);
        let of_folder = |error| StateError::Folder {
            path: folder.to_path_buf(),
            error,
        };
        // SQLite gives the files beside it the same mode.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        drop(file.map_err(of_folder)?);
        let prepared = Connection::open(&path).and_then(|database| {
            database.busy_timeout(BUSY_TIMEOUT)?;
            database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            database.pragma_update(None, "journal_mode", "WAL")?;
            database.pragma_update(None, "synchronous", "FULL")?;
            database.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
            Ok(database)
        });
        match prepared {
            Ok(database) => Ok(Self { database }),
            Err(error) => Err(StateError::Database { path, error }),
        }
    }

    /// The key of credential ids; made at the first start.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn credential_key(&mut self) -> Result<CredentialKey, StateError> {
        let stored: Option<(u8, [u8; 32])> = self
            .database
            .query_row(
                "SELECT id, secret FROM credential_key ORDER BY id DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (id, secret) = match stored {
            Some(stored) => stored,
            None => {
                let secret = secret::random_bytes().map_err(StateError::Randomness)?;
                let insert = "INSERT INTO credential_key (id, secret) VALUES (1, ?1)";
                self.database.execute(insert, params![secret])?;
                (1, secret)
            }
        };
        Ok(CredentialKey::from_bytes(KeyId(id), secret))
    }

    /// Every stored entry.
    ///
    /// # Errors
    /// When the state cannot be read, or holds what this version does not know.
    pub fn entries(&self) -> Result<Vec<StoredEntry>, StateError> {
        let mut select = self.database.prepare(
            "SELECT list, identifier, scope, source, reason, added_ms, expires_ms FROM entry",
        )?;
        let mut rows = select.query([])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let identifier: String = row.get(1)?;
            let entry = stored_entry(row, &identifier)?;
            entries.push(entry.ok_or(StateError::Unreadable(identifier))?);
        }
        Ok(entries)
    }

    /// Stores an entry; one of the same list, identifier, scope and source is replaced.
    ///
    /// # Errors
    /// When it is not stored.
    pub fn put(
        &mut self,
        list: ListName,
        identifier: &ListedIdentifier,
        entry: &Entry,
    ) -> Result<(), StateError> {
        self.database.execute(
            "INSERT OR REPLACE INTO entry (list, identifier, scope, source, reason, added_ms, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                list.as_str(),
                identifier.to_string(),
                entry.scope.to_string(),
                entry.source.as_str(),
                &*entry.reason,
                stored_time(entry.added),
                entry.expires.map(stored_time),
            ],
        )?;
        Ok(())
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn delete(
        &mut self,
        list: ListName,
        identifier: &ListedIdentifier,
        (scope, source): (&Scope, Source),
    ) -> Result<(), StateError> {
        self.database.execute(
            "DELETE FROM entry WHERE list = ?1 AND identifier = ?2 AND scope = ?3 AND source = ?4",
            params![
                list.as_str(),
                identifier.to_string(),
                scope.to_string(),
                source.as_str()
            ],
        )?;
        Ok(())
    }

    /// Removes every entry that has expired at `now`.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn purge_expired(&mut self, now: UnixMillis) -> Result<(), StateError> {
        let delete = "DELETE FROM entry WHERE expires_ms <= ?1";
        self.database.execute(delete, params![stored_time(now)])?;
        Ok(())
    }
}

/// Makes a folder that only its owner can enter; one that exists keeps its mode.
fn make_folder(folder: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|error| StateError::Folder {
        path: folder.to_path_buf(),
        error,
    })
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
    let time = |millis: i64| UnixMillis(u64::try_from(millis).unwrap_or(0));
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
fn stored_identifier(text: &str) -> Option<ListedIdentifier> {
    match text.split_once(' ') {
        None => Network::parse(text).ok().map(ListedIdentifier::Network),
        Some((kind, id)) => Some(ListedIdentifier::Credential {
            kind: CredentialKind::parse(kind).ok()?,
            id: CredentialId::parse(id).ok()?,
        }),
    }
}

fn stored_time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
