//! The keys of credential ids: the one that makes new ids and, during a rotation, the one before.

use ase_core::credential::{CredentialKey, KeyId, KeyRing};
use rusqlite::{OptionalExtension as _, params};
use thiserror::Error;

use super::{State, StateError};
use crate::secret;

/// Why keys are not rotated.
#[derive(Debug, Error)]
pub enum RotationError {
    /// Entries that were made under the key that would end.
    #[error(
        "{entries} list entries name credentials by key k{key}, which a rotation would end: they would match nobody"
    )]
    InUse {
        /// The key.
        key: u8,
        /// How many.
        entries: u64,
    },
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What to do with entries that were made under the key that a rotation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// Refuse to rotate while there are any.
    Keep,
    /// They may lose their effect.
    Abandon,
}

impl State {
    /// The keys of credential ids; the first is made at the first start.
    ///
    /// # Errors
    /// When they can be neither read nor made.
    pub fn key_ring(&mut self) -> Result<KeyRing, StateError> {
        let mut keys = self.stored_keys()?.into_iter();
        let current = match keys.next() {
            Some(stored) => stored,
            None => self.make_key(KeyId(1))?,
        };
        let key = |(id, secret)| CredentialKey::from_bytes(id, secret);
        Ok(KeyRing::new(key(current), keys.next().map(key)))
    }

    /// Makes a new key the current one. The one that was current stays valid as the previous one; the one before that ends.
    ///
    /// # Errors
    /// When entries would lose their effect and may not, or the change is not stored.
    pub fn rotate_key(&mut self, orphans: Orphans) -> Result<KeyRing, RotationError> {
        self.key_ring()?;
        let keys = self.stored_keys()?;
        let ending = keys.get(1).map(|(id, _)| *id);
        if let (Some(key), Orphans::Keep) = (ending, orphans) {
            let entries = self.entries_under(key)?;
            if entries > 0 {
                return Err(RotationError::InUse {
                    key: key.0,
                    entries,
                });
            }
        }
        let newest = keys.first().map_or(0, |(KeyId(id), _)| *id);
        let used = |id: &u8| !keys.iter().any(|(KeyId(held), _)| held == id);
        let next = newest.checked_add(1).unwrap_or(1);
        let next = [next, 1, 2, 3].into_iter().find(used).unwrap_or(next);
        let secret = secret::random_bytes()
            .map_err(|error| RotationError::State(StateError::Randomness(error)))?;
        let write = || {
            let transaction = self.database.unchecked_transaction()?;
            if let Some(KeyId(ending)) = ending {
                transaction.execute("DELETE FROM credential_key WHERE id = ?1", params![ending])?;
            }
            let demote = "UPDATE meta SET value = ?1 WHERE name = 'credential_key'";
            if transaction.execute(demote, params![next])? == 0 {
                let insert = "INSERT INTO meta (name, value) VALUES ('credential_key', ?1)";
                transaction.execute(insert, params![next])?;
            }
            let insert = "INSERT INTO credential_key (id, secret) VALUES (?1, ?2)";
            transaction.execute(insert, params![next, secret])?;
            transaction.commit()
        };
        write().map_err(StateError::Change)?;
        Ok(self.key_ring()?)
    }

    /// The secrets of the valid keys, the current one first, for a gateway that makes ids itself.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn key_secrets(&mut self) -> Result<Vec<(KeyId, [u8; 32])>, StateError> {
        self.key_ring()?;
        self.stored_keys()
    }

    /// The current key first.
    fn stored_keys(&self) -> Result<Vec<(KeyId, [u8; 32])>, StateError> {
        let select = "SELECT value FROM meta WHERE name = 'credential_key'";
        let current: Option<u8> = self
            .database
            .query_row(select, [], |row| row.get(0))
            .optional()?;
        let mut select = self.database.prepare(
            "SELECT id, secret FROM credential_key ORDER BY id = ?1 DESC, id DESC LIMIT 2",
        )?;
        let rows = select.query_map(params![current.unwrap_or(0)], |row| {
            Ok((KeyId(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn make_key(&self, id: KeyId) -> Result<(KeyId, [u8; 32]), StateError> {
        let secret = secret::random_bytes().map_err(StateError::Randomness)?;
        let insert = "INSERT INTO credential_key (id, secret) VALUES (?1, ?2)";
        self.database.execute(insert, params![id.0, secret])?;
        Ok((id, secret))
    }
}
