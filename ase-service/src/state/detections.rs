//! What was detected, of whom, and what came of it: for people, for reports, and so that a false alarm can be marked as one.
//!
//! One row is a run of offences of one kind by one client: an offence that follows within [`RUN_GAP`] is counted in the same row.
//! Bounded by count and by age; the oldest go first. Identifiers are networks and keyed ids, never secrets; whoever fills in
//! variables and evidence has taken the secrets out.

use std::time::Duration;

use ase_core::identifier_list::{ListedIdentifier, Scope, Source, Sources};
use ase_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::entries::stored_identifier;
use super::{State, StateError, stored_time, time};

/// Offences further apart than this are two runs.
pub const RUN_GAP: Duration = Duration::from_secs(3600);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Most rows.
    pub count: u64,
    /// How long after its last offence a row is kept.
    pub age: Duration,
}

/// One offence, or several of one kind by one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The number in the catalogue of attacks, where it has one.
    pub attack: Option<u16>,
    /// The name of the attack or rule.
    pub name: String,
    /// The API; `None` for an attack across APIs.
    pub api: Option<String>,
    /// Whom.
    pub identifier: ListedIdentifier,
    /// Where the client is listed for it.
    pub scope: Scope,
    /// What has detected it.
    pub source: Source,
    /// What was measured, a JSON object.
    pub variables: String,
    /// What shows it, a JSON object without secrets. A run keeps that of its first offence.
    pub evidence: String,
    /// The first offence.
    pub first: UnixMillis,
    /// The last one.
    pub last: UnixMillis,
    /// How many.
    pub count: u64,
    /// How long the client is listed; `None` for ever, or when it is not listed.
    pub ttl: Option<Duration>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a detection for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the deny list for it.
    Listed,
    /// The request was refused, the client is not listed.
    Refused,
    /// Nothing: blocking is off.
    Reported,
}

/// A stored detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDetection {
    /// Counts up.
    pub id: i64,
    /// What was seen.
    pub sighting: Sighting,
    /// Whether somebody has taken the client off the list since.
    pub undone: bool,
}

/// Which detections are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionFilter {
    /// Those with an offence at or after this.
    pub since: Option<UnixMillis>,
    /// Those of this attack.
    pub attack: Option<u16>,
    /// Those of this name.
    pub name: Option<String>,
    /// Those on this API.
    pub api: Option<String>,
    /// Those of this client.
    pub identifier: Option<ListedIdentifier>,
    /// Those that this has detected.
    pub source: Option<Source>,
    /// The one of this number.
    pub id: Option<i64>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            count: 100_000,
            age: Duration::from_secs(90 * 86_400),
        }
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Listed, Self::Refused, Self::Reported];

    /// Its name in answers and in the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Refused => "refused",
            Self::Reported => "reported",
        }
    }
}

impl State {
    /// Sets how much is kept, from the next detection on.
    pub fn keep_detections(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Stores detections, all or none.
    ///
    /// # Errors
    /// When they are not stored.
    pub fn record(&mut self, sightings: &[Sighting]) -> Result<(), StateError> {
        let kept = self.retention.count;
        let transaction = self.database.transaction()?;
        record_in(&transaction, sightings, kept)?;
        Ok(transaction.commit()?)
    }

    /// The detections of a filter, at most `bound`, those with the latest offence first.
    ///
    /// # Errors
    /// When the state cannot be read, or holds what this version does not know.
    pub fn detections(
        &self,
        filter: &DetectionFilter,
        bound: u32,
    ) -> Result<Vec<StoredDetection>, StateError> {
        let mut select = self.database.prepare(
            "SELECT id, attack, name, api, identifier, scope, source, variables, evidence, first_ms, last_ms, count, ttl_ms,
                outcome, undone FROM detection
            WHERE (?1 IS NULL OR last_ms >= ?1) AND (?2 IS NULL OR attack = ?2) AND (?3 IS NULL OR name = ?3)
                AND (?4 IS NULL OR api = ?4) AND (?5 IS NULL OR identifier = ?5) AND (?7 IS NULL OR source = ?7)
                AND (?8 IS NULL OR id = ?8)
            ORDER BY last_ms DESC, id DESC LIMIT ?6",
        )?;
        let mut rows = select.query(params![
            filter.since.map(stored_time),
            filter.attack,
            filter.name,
            filter.api,
            filter.identifier.map(|identifier| identifier.to_string()),
            bound,
            filter.source.map(Source::as_str),
            filter.id,
        ])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let detection = stored_detection(row)?;
            found.push(detection.ok_or_else(|| StateError::Unreadable("a detection".to_owned()))?);
        }
        Ok(found)
    }

    /// Forgets the detections that are too old at `now`, and says how many.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn forget_detections(&mut self, now: UnixMillis) -> Result<usize, StateError> {
        let age = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        let before = UnixMillis(now.0.saturating_sub(age));
        let delete = "DELETE FROM detection WHERE last_ms < ?1";
        Ok(self
            .database
            .execute(delete, params![stored_time(before)])?)
    }
}

pub(super) fn record_in(
    database: &Connection,
    sightings: &[Sighting],
    kept: u64,
) -> Result<(), rusqlite::Error> {
    let mut known = database.prepare(
        "SELECT id FROM detection WHERE identifier = ?1 AND name = ?2 AND api IS ?3 AND source = ?4 AND undone = 0
            AND last_ms >= ?5 ORDER BY id DESC LIMIT 1",
    )?;
    let mut renew = database.prepare(
        "UPDATE detection SET last_ms = max(last_ms, ?2), count = count + ?3, variables = ?4,
            ttl_ms = CASE ?6 WHEN 'listed' THEN ?5 ELSE ttl_ms END,
            outcome = CASE outcome WHEN 'listed' THEN outcome ELSE ?6 END WHERE id = ?1",
    )?;
    let mut insert = database.prepare(
        "INSERT INTO detection (attack, name, api, identifier, scope, source, variables, evidence, first_ms, last_ms, count,
            ttl_ms, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let gap = u64::try_from(RUN_GAP.as_millis()).unwrap_or(u64::MAX);
    for sighting in sightings {
        let (identifier, source) = (sighting.identifier.to_string(), sighting.source.as_str());
        let recent = stored_time(UnixMillis(sighting.first.0.saturating_sub(gap)));
        let run: Option<i64> = known
            .query_row(
                params![identifier, sighting.name, sighting.api, source, recent],
                |row| row.get(0),
            )
            .optional()?;
        let count = i64::try_from(sighting.count).unwrap_or(i64::MAX);
        let (last, outcome) = (stored_time(sighting.last), sighting.outcome.as_str());
        let ttl = sighting.ttl.map(stored_duration);
        match run {
            Some(id) => {
                renew.execute(params![id, last, count, sighting.variables, ttl, outcome])?
            }
            None => insert.execute(params![
                sighting.attack,
                sighting.name,
                sighting.api,
                identifier,
                sighting.scope.to_string(),
                source,
                sighting.variables,
                sighting.evidence,
                stored_time(sighting.first),
                last,
                count,
                ttl,
                outcome,
            ])?,
        };
    }
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    let bound = "DELETE FROM detection WHERE id <= (SELECT max(id) FROM detection) - ?1";
    database.execute(bound, params![kept]).map(drop)
}

/// Marks the detections that have put a client on the deny list, where that was undone: for some sources, and for one client and
/// scope or for all.
pub(super) fn undo_in(
    database: &Connection,
    whom: Option<(&ListedIdentifier, &Scope)>,
    sources: Sources,
) -> Result<(), rusqlite::Error> {
    let mut undo = database.prepare(
        "UPDATE detection SET undone = 1 WHERE outcome = 'listed' AND undone = 0 AND source = ?1
            AND (?2 IS NULL OR identifier = ?2) AND (?3 IS NULL OR scope = ?3)",
    )?;
    let (identifier, scope) = match whom {
        Some((identifier, scope)) => (Some(identifier.to_string()), Some(scope.to_string())),
        None => (None, None),
    };
    for source in Source::ALL {
        if sources.include(source) {
            undo.execute(params![source.as_str(), identifier, scope])?;
        }
    }
    Ok(())
}

/// `None` when a column holds what this version does not know.
fn stored_detection(row: &Row<'_>) -> Result<Option<StoredDetection>, rusqlite::Error> {
    let (identifier, scope, source): (String, String, String) =
        (row.get(4)?, row.get(5)?, row.get(6)?);
    let (count, ttl, outcome): (i64, Option<i64>, String) =
        (row.get(11)?, row.get(12)?, row.get(13)?);
    let parts = (
        stored_identifier(&identifier),
        Scope::parse(&scope).ok(),
        Source::parse(&source).ok(),
        Outcome::ALL
            .into_iter()
            .find(|known| known.as_str() == outcome),
    );
    let (Some(identifier), Some(scope), Some(source), Some(outcome)) = parts else {
        return Ok(None);
    };
    Ok(Some(StoredDetection {
        id: row.get(0)?,
        sighting: Sighting {
            attack: row.get(1)?,
            name: row.get(2)?,
            api: row.get(3)?,
            identifier,
            scope,
            source,
            variables: row.get(7)?,
            evidence: row.get(8)?,
            first: time(row.get(9)?),
            last: time(row.get(10)?),
            count: u64::try_from(count).unwrap_or(0),
            ttl: ttl.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))),
            outcome,
        },
        undone: row.get(14)?,
    }))
}

fn stored_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
