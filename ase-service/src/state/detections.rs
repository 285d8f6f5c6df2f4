//! What was detected, for people to look at later. Bounded by age: whoever adds also forgets.

use ase_core::time::UnixMillis;
use rusqlite::params;

use super::{State, StateError, stored_time, time};

/// A detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDetection {
    /// Counts up; 0 before it is stored.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// Whom: the text form of a listed identifier.
    pub identifier: String,
    /// The API; empty for all.
    pub api: String,
    /// The number of the attack.
    pub attack: u16,
    /// Why, for people.
    pub reason: String,
    /// A line of the access log that shows it; empty when there is none.
    pub sample: String,
}

impl State {
    /// Stores detections, all or none.
    ///
    /// # Errors
    /// When they are not stored.
    pub fn add_detections(&mut self, detections: &[StoredDetection]) -> Result<(), StateError> {
        let transaction = self.database.transaction()?;
        for detection in detections {
            transaction.execute(
                "INSERT INTO detection (at_ms, identifier, api, attack, reason, sample) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    stored_time(detection.at),
                    detection.identifier,
                    detection.api,
                    detection.attack,
                    detection.reason,
                    detection.sample
                ],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// The newest detections, at most `bound`, the newest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn detections(&self, bound: u32) -> Result<Vec<StoredDetection>, StateError> {
        let mut select = self.database.prepare(
            "SELECT id, at_ms, identifier, api, attack, reason, sample FROM detection ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = select.query_map(params![bound], |row| {
            Ok(StoredDetection {
                id: row.get(0)?,
                at: time(row.get(1)?),
                identifier: row.get(2)?,
                api: row.get(3)?,
                attack: row.get(4)?,
                reason: row.get(5)?,
                sample: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets the detections before an instant and says how many.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn forget_detections(&mut self, before: UnixMillis) -> Result<usize, StateError> {
        let delete = "DELETE FROM detection WHERE at_ms < ?1";
        Ok(self
            .database
            .execute(delete, params![stored_time(before)])?)
    }
}
