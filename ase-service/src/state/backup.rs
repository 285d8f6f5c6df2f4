//! Copies of the state file, taken while it is in use and put back while it is not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use super::schema::{migrate, new_epoch};
use super::{State, StateError};

/// Why a copy is not put back.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The copy cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The copy.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// The copy is damaged, or is something else.
    #[error("{}: is not a whole state file: {fault}", path.display())]
    Damaged {
        /// The copy.
        path: PathBuf,
        /// What SQLite says.
        fault: String,
    },
    /// The state that would be replaced.
    #[error(transparent)]
    State(#[from] StateError),
}

impl State {
    /// Writes a copy of the state as of now to a file that must not exist, and syncs it. Changes wait meanwhile.
    ///
    /// # Errors
    /// When it cannot be written; then no part of it is left.
    pub fn back_up(&self, to: &Path) -> Result<(), StateError> {
        let of_file = |error| StateError::Database {
            path: to.to_path_buf(),
            error,
        };
        let of_folder = |error| StateError::Folder {
            path: to.to_path_buf(),
            error,
        };
        let file = super::private_file(to).map_err(of_folder)?;
        let copied = Connection::open(to).and_then(|mut copy| {
            Backup::new(&self.database, &mut copy)?.run_to_completion(
                i32::MAX,
                Duration::ZERO,
                None,
            )
        });
        let synced = copied
            .map_err(of_file)
            .and_then(|()| file.sync_all().map_err(of_folder));
        if synced.is_err() {
            drop(std::fs::remove_file(to));
        }
        synced
    }

    /// The bytes of a copy of the state as of now. Changes wait meanwhile.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn copy(&self) -> Result<Vec<u8>, StateError> {
        let mut copy = Connection::open_in_memory()?;
        transfer(&self.database, &mut copy)?;
        // A copy is no longer written to: it needs no log beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        Ok(copy.serialize("main")?.to_vec())
    }

    /// Replaces everything by a copy, in one transaction, and begins a new epoch: whoever follows the lists starts over.
    ///
    /// # Errors
    /// When the copy is damaged or too new, or the change is not stored; then the state is as it was.
    pub fn restore(&mut self, from: &Path) -> Result<(), RestoreError> {
        let unreadable = |error| RestoreError::Unreadable {
            path: from.to_path_buf(),
            error,
        };
        // A copy of one's own, brought to this version's schema, so that the file that was given stays as it is.
        let copy = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let copy = copy.map_err(unreadable)?;
        let check: String = copy
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(unreadable)?;
        let tables: i64 = copy
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name IN ('entry', 'credential_key')",
                [],
                |row| row.get(0),
            )
            .map_err(unreadable)?;
        if check != "ok" || tables != 2 {
            let fault = if check == "ok" {
                "it lacks the tables of one".to_owned()
            } else {
                check
            };
            return Err(RestoreError::Damaged {
                path: from.to_path_buf(),
                fault,
            });
        }
        let mut staged = Connection::open("").map_err(StateError::Change)?;
        transfer(&copy, &mut staged)?;
        migrate(&mut staged, from)?;
        new_epoch(&staged)?;
        transfer(&staged, &mut self.database)?;
        Ok(())
    }
}

fn transfer(from: &Connection, to: &mut Connection) -> Result<(), StateError> {
    let backup = Backup::new(from, to)?;
    Ok(backup.run_to_completion(i32::MAX, Duration::ZERO, None)?)
}
