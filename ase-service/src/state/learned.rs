//! What the behaviour engine has learned, as one text in parts, and the seed that its hashes mean something under.
//!
//! A text may be tens of megabytes. It is written part by part, each a change of its own, so that other changes wait for one part
//! at most; the last change makes the new text count. Whoever is killed before has the text before.

use std::time::Duration;

use ase_core::time::UnixMillis;
use rusqlite::{OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::{SharedState, State, StateError, as_stored, stored_time, time};
use crate::secret;

const PART_BYTES: usize = 1 << 20;
/// A text of more parts is none of ours.
const MOST_PARTS: i64 = 512;
/// Between two parts, so that whoever waits for the state has it.
const PAUSE: Duration = Duration::from_millis(5);

/// What is stored of what the engine has learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing yet.
    Nothing,
    /// A text, as it was written.
    Whole {
        /// The text.
        text: String,
        /// When it was made.
        at: UnixMillis,
    },
    /// Something else than was written.
    Broken,
}

/// The text that counts.
struct Counting {
    generation: i64,
    parts: i64,
    digest: Vec<u8>,
    at: UnixMillis,
}

impl SharedState {
    /// Stores a text in the place of the one before and waits until the disk has it. Others have the state in between.
    ///
    /// # Errors
    /// When it is not stored; then the one before counts.
    pub fn store_learned(&self, text: &str, at: UnixMillis) -> Result<(), StateError> {
        let before = self.lock().counting()?;
        let before = before.map_or(0, |counting| counting.generation);
        self.clear_learned(before)?;
        let generation = before.wrapping_add(1);
        let mut parts = 0;
        for part in text.as_bytes().chunks(PART_BYTES) {
            self.lock().add_part(generation, parts, part)?;
            parts += 1;
            std::thread::sleep(PAUSE);
        }
        let counting = Counting {
            generation,
            parts,
            digest: Sha256::digest(text).to_vec(),
            at,
        };
        self.lock().make_count(&counting)?;
        self.clear_learned(generation)
    }

    /// Removes every part that is none of this text.
    fn clear_learned(&self, generation: i64) -> Result<(), StateError> {
        let one = "DELETE FROM learned WHERE rowid =
            (SELECT rowid FROM learned WHERE generation <> ?1 LIMIT 1)";
        while self.lock().database.execute(one, params![generation])? > 0 {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl State {
    /// The seed of the engine's hashes; made at the first start.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn engine_seed(&self) -> Result<u64, StateError> {
        let [a, b, c, d, e, f, g, h, ..] =
            secret::random_bytes().map_err(StateError::Randomness)?;
        let drawn = as_stored(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let insert = "INSERT OR IGNORE INTO meta (name, value) VALUES ('engine_seed', ?1)";
        self.database.execute(insert, params![drawn])?;
        let select = "SELECT value FROM meta WHERE name = 'engine_seed'";
        let seed: i64 = self.database.query_row(select, [], |row| row.get(0))?;
        Ok(u64::from_ne_bytes(seed.to_ne_bytes()))
    }

    /// What is stored of what the engine has learned.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn learned(&self) -> Result<Learned, StateError> {
        let Some(counting) = self.counting()? else {
            return Ok(Learned::Nothing);
        };
        let mut bytes = Vec::new();
        let mut select = self
            .database
            .prepare("SELECT bytes FROM learned WHERE generation = ?1 ORDER BY part LIMIT ?2")?;
        let parts = counting.parts.min(MOST_PARTS);
        let mut rows = select.query(params![counting.generation, parts])?;
        while let Some(row) = rows.next()? {
            bytes.extend_from_slice(row.get_ref(0)?.as_bytes().unwrap_or_default());
        }
        if *Sha256::digest(&bytes) != *counting.digest {
            return Ok(Learned::Broken);
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Learned::Whole {
                text,
                at: counting.at,
            },
            Err(_) => Learned::Broken,
        })
    }

    fn counting(&self) -> Result<Option<Counting>, StateError> {
        let select = "SELECT generation, parts, digest, at_ms FROM learned_counting";
        let counting = self.database.query_row(select, [], |row| {
            Ok(Counting {
                generation: row.get(0)?,
                parts: row.get(1)?,
                digest: row.get(2)?,
                at: time(row.get(3)?),
            })
        });
        Ok(counting.optional()?)
    }

    fn add_part(&self, generation: i64, part: i64, bytes: &[u8]) -> Result<(), StateError> {
        let insert = "INSERT OR REPLACE INTO learned (generation, part, bytes) VALUES (?1, ?2, ?3)";
        self.database
            .execute(insert, params![generation, part, bytes])?;
        Ok(())
    }

    fn make_count(&self, counting: &Counting) -> Result<(), StateError> {
        let Counting {
            generation,
            parts,
            digest,
            at,
        } = counting;
        let replace =
            "INSERT OR REPLACE INTO learned_counting (only, generation, parts, digest, at_ms)
            VALUES (1, ?1, ?2, ?3, ?4)";
        let at = stored_time(*at);
        self.database
            .execute(replace, params![generation, parts, digest, at])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &std::path::Path) -> SharedState {
        SharedState::new(State::open(folder).unwrap())
    }

    fn parts(state: &SharedState) -> i64 {
        let count = "SELECT count(*) FROM learned";
        let state = state.lock();
        state
            .database
            .query_row(count, [], |row| row.get(0))
            .unwrap()
    }

    /// Two and a half parts.
    fn long(letter: &str) -> String {
        letter.repeat(PART_BYTES * 5 / 2)
    }

    fn whole(text: &str, at: u64) -> Learned {
        Learned::Whole {
            text: text.to_owned(),
            at: UnixMillis(at),
        }
    }

    #[test]
    fn the_last_text_and_the_seed_come_back_and_nothing_is_left_of_texts_before() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(folder.path());
        let seed = state.lock().engine_seed().unwrap();
        assert_eq!(state.lock().learned().unwrap(), Learned::Nothing);
        state.store_learned(&long("a"), UnixMillis(1)).unwrap();
        state.store_learned(&long("b"), UnixMillis(2)).unwrap();
        drop(state);
        let state = open(folder.path());
        assert_eq!(state.lock().learned().unwrap(), whole(&long("b"), 2));
        assert_eq!(parts(&state), 3);
        assert_eq!(state.lock().engine_seed().unwrap(), seed);
    }

    #[test]
    fn who_is_killed_while_writing_has_the_text_before() {
        let folder = tempfile::tempdir().unwrap();
        let state = open(folder.path());
        state.store_learned(&long("a"), UnixMillis(1)).unwrap();
        state.lock().add_part(2, 0, b"half of the next").unwrap();
        assert_eq!(state.lock().learned().unwrap(), whole(&long("a"), 1));
        state.store_learned("c", UnixMillis(3)).unwrap();
        assert_eq!(state.lock().learned().unwrap(), whole("c", 3));
        assert_eq!(parts(&state), 1);
    }

    #[test]
    fn a_text_of_which_a_byte_or_a_part_is_not_what_was_written_is_broken() {
        for damage in [
            "UPDATE learned SET bytes = x'00' WHERE part = 1",
            "DELETE FROM learned WHERE part = 2",
            "UPDATE learned SET bytes = 7 WHERE part = 0",
            "UPDATE learned_counting SET parts = 2",
            "UPDATE learned_counting SET digest = x''",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let state = open(folder.path());
            state.store_learned(&long("a"), UnixMillis(1)).unwrap();
            state.lock().database.execute_batch(damage).unwrap();
            let learned = state.lock().learned().unwrap();
            assert_eq!(learned, Learned::Broken, "{damage}");
        }
    }

    #[test]
    fn a_copy_of_the_state_holds_what_was_learned_and_its_seed() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = open(folder.path());
        state.store_learned(&long("a"), UnixMillis(1)).unwrap();
        let seed = state.lock().engine_seed().unwrap();
        let copy = folder.path().join("copy");
        state.lock().back_up(&copy).unwrap();
        let restored = open(other.path());
        assert_ne!(restored.lock().engine_seed().unwrap(), seed);
        restored.lock().restore(&copy).unwrap();
        assert_eq!(restored.lock().learned().unwrap(), whole(&long("a"), 1));
        assert_eq!(restored.lock().engine_seed().unwrap(), seed);
    }
}
