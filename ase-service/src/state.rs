//! ASE's own state in one SQLite file: list entries, credential keys, sideband tokens, detections, switches,
//! what the behaviour engine has learned.
//!
//! A change is acknowledged when it is committed and synced (WAL with `synchronous = FULL`: a commit is one append and one sync,
//! so also a machine that loses power keeps it); a process killed at any instant starts again with everything acknowledged.
//! One process at a time owns the file.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ase_core::time::UnixMillis;
use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

use detections::Retention;

mod backup;
pub mod detections;
mod entries;
mod keys;
mod learned;
mod schema;
mod switches;
mod thresholds;
mod tokens;

pub use backup::RestoreError;
pub use entries::StoredEntry;
pub use keys::{Orphans, RotationError};
pub use learned::Learned;
pub use schema::{Epoch, Version};
pub use switches::StoredSwitch;
pub use thresholds::SetThreshold;
pub use tokens::{StoredToken, TokenDigest};

/// The file in the state folder.
pub const FILE: &str = "ase.db";
/// How long to wait for a process that is just ending.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
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
    /// How many detections are kept, and how long.
    retention: Retention,
}

/// The state, for all who change it; one at a time.
#[derive(Clone, Debug)]
pub struct SharedState(Arc<Mutex<State>>);

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
    /// Another process has it.
    #[error("state folder {}: is in use by another ase: a daemon, or a command that copies or replaces the state", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A change was not stored.
    #[error("the change was not stored: {0}")]
    Change(#[from] rusqlite::Error),
    /// Something stored that this version cannot read.
    #[error("the state holds {0:?}, which is not an entry")]
    Unreadable(String),
    /// A newer version has written it.
    #[error("state file {}: schema {found} is newer than this version, which knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema of this version.
        known: i64,
    },
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

impl SharedState {
    /// Shares a state.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for the state. What is done with it touches the disk: run it off the request path.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves the file whole: every change is one transaction.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        if !path.exists() {
            drop(private_file(&path).map_err(of_folder)?);
        }
        let prepared = Connection::open(&path).and_then(|database| {
            database.busy_timeout(BUSY_TIMEOUT)?;
            database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            database.pragma_update(None, "journal_mode", "WAL")?;
            database.pragma_update(None, "synchronous", "FULL")?;
            Ok(database)
        });
        let opened = prepared
            .map_err(|error| StateError::Database {
                path: path.clone(),
                error,
            })
            .and_then(|mut database| {
                schema::migrate(&mut database, &path)?;
                Ok(Self {
                    database,
                    retention: Retention::default(),
                })
            });
        match opened {
            Err(StateError::Database { error, .. }) if is_taken(&error) => Err(StateError::InUse {
                path: folder.to_path_buf(),
            }),
            opened => opened,
        }
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    let taken = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
    error
        .sqlite_error_code()
        .is_some_and(|code| taken.contains(&code))
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

/// Makes a file for the owner's eyes only; one that exists is an error.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600).open(path)
}

fn stored_time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> UnixMillis {
    UnixMillis(u64::try_from(millis).unwrap_or(0))
}

fn as_stored(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

#[cfg(test)]
mod tests;
