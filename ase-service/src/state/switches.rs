//! The switches that operators turn, by name. What a switch means, and what holds while it was never turned, is known elsewhere.

use rusqlite::params;

use super::{State, StateError};

/// A switch that was turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSwitch {
    /// Its name: `enable_firewall`, `enable_ase_detected_attack`, `sideband_authentication`, `blocking:<api id>`.
    pub name: String,
    /// `on` or `off`.
    pub state: String,
}

impl State {
    /// Remembers a switch, in place of what was remembered of it.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn turn(&mut self, switch: &StoredSwitch) -> Result<(), StateError> {
        let insert = "INSERT OR REPLACE INTO switch (name, state) VALUES (?1, ?2)";
        self.database
            .execute(insert, params![switch.name, switch.state])?;
        Ok(())
    }

    /// Remembers switches as [`Self::turn`] does, all of them or none.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn turn_all(&mut self, switches: &[StoredSwitch]) -> Result<(), StateError> {
        let change = self.database.transaction()?;
        for StoredSwitch { name, state } in switches {
            let insert = "INSERT OR REPLACE INTO switch (name, state) VALUES (?1, ?2)";
            change.execute(insert, params![name, state])?;
        }
        change.commit()?;
        Ok(())
    }

    /// Forgets a switch, so that the configuration counts again.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn forget_switch(&mut self, name: &str) -> Result<(), StateError> {
        let delete = "DELETE FROM switch WHERE name = ?1";
        self.database.execute(delete, params![name])?;
        Ok(())
    }

    /// Every switch that was turned, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn switches(&self) -> Result<Vec<StoredSwitch>, StateError> {
        let mut select = self
            .database
            .prepare("SELECT name, state FROM switch ORDER BY name")?;
        let rows = select.query_map([], |row| {
            Ok(StoredSwitch {
                name: row.get(0)?,
                state: row.get(1)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
