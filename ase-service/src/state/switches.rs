//! The switches and lifetimes that operators set, by name. What a switch means, and what holds while it was never turned, is known elsewhere.

use rusqlite::params;

use super::{State, StateError};

/// A switch that was turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSwitch {
    /// Its name: `enable_firewall`, `enable_ase_detected_attack`, `sideband_authentication`, `attack_ttl_min.<type>`, `manual_ttl_min.<type>`.
    pub name: String,
    /// `on` or `off`; the minutes of a lifetime.
    pub state: String,
}

impl State {
    /// Remembers switches and forgets others, so that the configuration counts again for these; all or nothing.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn settle(
        &mut self,
        turned: &[StoredSwitch],
        forgotten: &[String],
    ) -> Result<(), StateError> {
        let change = self.database.transaction()?;
        for StoredSwitch { name, state } in turned {
            let insert = "INSERT OR REPLACE INTO switch (name, state) VALUES (?1, ?2)";
            change.execute(insert, params![name, state])?;
        }
        for name in forgotten {
            change.execute("DELETE FROM switch WHERE name = ?1", params![name])?;
        }
        change.commit()?;
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
