//! Sideband tokens as they are stored: a name and a digest, never the value.
//!
//! A token has at least 16 characters of somebody's random choice, so a plain SHA-256 cannot be searched back; a slow hash would
//! be paid on every call of a gateway.

use ase_core::time::UnixMillis;
use rusqlite::params;
use sha2::{Digest as _, Sha256};

use super::{State, StateError, stored_time, time};

/// The SHA-256 of a token's value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The gateway or group of gateways that shows it.
    pub name: String,
    /// What stands for its value.
    pub digest: TokenDigest,
    /// When it was made or imported.
    pub created: UnixMillis,
}

impl TokenDigest {
    /// The digest of a value.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest(***)")
    }
}

impl State {
    /// Stores a token. Whether it is new is said: a name or a value that is there already is left as it is.
    ///
    /// # Errors
    /// When it is not stored.
    pub fn add_token(&mut self, token: &StoredToken) -> Result<bool, StateError> {
        let insert = "INSERT OR IGNORE INTO token (name, digest, created_ms) VALUES (?1, ?2, ?3)";
        let added = self.database.execute(
            insert,
            params![token.name, token.digest.0, stored_time(token.created)],
        )?;
        Ok(added > 0)
    }

    /// Every stored token, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn tokens(&self) -> Result<Vec<StoredToken>, StateError> {
        let select = "SELECT name, digest, created_ms FROM token ORDER BY name";
        let mut select = self.database.prepare(select)?;
        let rows = select.query_map([], |row| {
            Ok(StoredToken {
                name: row.get(0)?,
                digest: TokenDigest(row.get(1)?),
                created: time(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a token and says whether there was one of that name.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn delete_token(&mut self, name: &str) -> Result<bool, StateError> {
        let delete = "DELETE FROM token WHERE name = ?1";
        Ok(self.database.execute(delete, params![name])? > 0)
    }
}
