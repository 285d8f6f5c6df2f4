//! The tables, how an older file is brought up to them, and the version of the lists.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{State, StateError, as_stored};
use crate::secret;

/// What each step adds; the number of steps done is the file's `user_version`. Steps are never changed, only added.
const STEPS: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS credential_key (id INTEGER PRIMARY KEY, secret BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (
        list TEXT NOT NULL, identifier TEXT NOT NULL, scope TEXT NOT NULL, source TEXT NOT NULL,
        reason TEXT NOT NULL, added_ms INTEGER NOT NULL, expires_ms INTEGER,
        PRIMARY KEY (list, identifier, scope, source)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_expires ON entry (expires_ms) WHERE expires_ms IS NOT NULL;",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta (name, value) VALUES ('revision', 0);
    CREATE TABLE token (
        name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, created_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE detection (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, identifier TEXT NOT NULL,
        api TEXT NOT NULL, attack INTEGER NOT NULL, reason TEXT NOT NULL, sample TEXT NOT NULL
    );
    CREATE INDEX detection_at ON detection (at_ms);
    CREATE TABLE switch (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;",
    // No version has written to the table of the step before.
    "DROP TABLE detection;
    CREATE TABLE detection (
        id INTEGER PRIMARY KEY AUTOINCREMENT, attack INTEGER, name TEXT NOT NULL, api TEXT, identifier TEXT NOT NULL,
        scope TEXT NOT NULL, source TEXT NOT NULL, variables TEXT NOT NULL, evidence TEXT NOT NULL,
        first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL, ttl_ms INTEGER,
        outcome TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX detection_last ON detection (last_ms);
    CREATE INDEX detection_identifier ON detection (identifier, name);",
    "CREATE TABLE learned (
        generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (generation, part)
    );
    CREATE TABLE learned_counting (
        only INTEGER PRIMARY KEY CHECK (only = 1), generation INTEGER NOT NULL, parts INTEGER NOT NULL,
        digest BLOB NOT NULL, at_ms INTEGER NOT NULL
    );",
    "CREATE TABLE threshold (
        api TEXT NOT NULL, attack TEXT NOT NULL, variable TEXT NOT NULL, tn REAL NOT NULL, tx REAL,
        PRIMARY KEY (api, attack, variable)
    ) WITHOUT ROWID;",
];

/// One life of a state file: drawn at random when the file is made or restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

/// What the lists were after a change. Revisions count up within an epoch; across epochs they mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The life of the state file.
    pub epoch: Epoch,
    /// The number of changes in it.
    pub revision: u64,
}

impl State {
    /// The version of the lists.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn version(&self) -> Result<Version, StateError> {
        let read = |name: &str| {
            let select = "SELECT value FROM meta WHERE name = ?1";
            self.database
                .query_row(select, params![name], |row| row.get::<_, i64>(0))
        };
        Ok(Version {
            epoch: Epoch(u64::from_ne_bytes(read("epoch")?.to_ne_bytes())),
            revision: u64::try_from(read("revision")?).unwrap_or(0),
        })
    }
}

/// Brings a file to the newest schema, in one transaction.
pub(super) fn migrate(database: &mut Connection, path: &Path) -> Result<(), StateError> {
    let of_file = |error| StateError::Database {
        path: path.to_path_buf(),
        error,
    };
    let transaction = database
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(of_file)?;
    let found: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(of_file)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let Some(done) = usize::try_from(found)
        .ok()
        .filter(|done| *done <= STEPS.len())
    else {
        return Err(StateError::Newer {
            path: path.to_path_buf(),
            found,
            known,
        });
    };
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step).map_err(of_file)?;
    }
    if done < STEPS.len() {
        transaction
            .pragma_update(None, "user_version", known)
            .map_err(of_file)?;
    }
    begin_epoch(&transaction, "INSERT OR IGNORE INTO")?;
    transaction.commit().map_err(of_file)
}

/// Draws a new epoch.
pub(super) fn new_epoch(database: &Connection) -> Result<(), StateError> {
    begin_epoch(database, "INSERT OR REPLACE INTO")
}

fn begin_epoch(database: &Connection, how: &str) -> Result<(), StateError> {
    let [a, b, c, d, e, f, g, h, ..] = secret::random_bytes().map_err(StateError::Randomness)?;
    let epoch = as_stored(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    let insert = format!("{how} meta (name, value) VALUES ('epoch', ?1)");
    database.execute(&insert, params![epoch])?;
    Ok(())
}
