//! The offences that wait to be stored, one element per client, API and rule, however often it was broken.
//!
//! Bounded: a flood of clients finds no room and is counted by whoever asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ase_core::address::Network;
use ase_core::decision::{Decision, Detection, Verdict};
use ase_core::identifier_list::{ListedIdentifier, Scope, Source};
use ase_core::time::UnixMillis;

use crate::state::detections::{Outcome, Sighting};

/// Most that wait.
const BOUND: usize = 8192;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<HashMap<Key, Sighting>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    detection: Detection,
    api: String,
    client: Network,
}

/// What becomes of an offence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It waits.
    Waits,
    /// There was no room.
    Dropped,
}

/// An offence.
pub(super) struct Offence<'o> {
    pub(super) client: Network,
    pub(super) decision: &'o Decision,
    pub(super) detection: Detection,
    pub(super) api: &'o str,
    pub(super) evidence: &'o str,
    pub(super) at: UnixMillis,
    pub(super) ttl: Option<Duration>,
}

impl Sightings {
    pub(super) fn note(&self, offence: &Offence<'_>) -> Noted {
        let key = Key {
            detection: offence.detection,
            api: offence.api.to_owned(),
            client: offence.client,
        };
        let mut waiting = self.waiting();
        if let Some(known) = waiting.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            known.first = known.first.min(offence.at);
            known.last = known.last.max(offence.at);
            if offence.outcome() == Outcome::Listed {
                known.outcome = Outcome::Listed;
                known.ttl = offence.ttl;
            }
            return Noted::Waits;
        }
        if waiting.len() >= BOUND {
            return Noted::Dropped;
        }
        waiting.insert(key, offence.sighting());
        Noted::Waits
    }

    /// Everything that waits, which then waits no more.
    pub(super) fn take(&self) -> Vec<Sighting> {
        let taken = std::mem::take(&mut *self.waiting());
        let mut sightings: Vec<Sighting> = taken.into_values().collect();
        sightings.sort_by_key(|sighting| sighting.first);
        sightings
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Sighting>> {
        // A panic under the lock leaves whole elements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Offence<'_> {
    fn outcome(&self) -> Outcome {
        match (self.decision.effects.list, self.decision.verdict) {
            (Some(_), _) => Outcome::Listed,
            (None, Verdict::Blocked) => Outcome::Refused,
            (
                None,
                Verdict::NotListed
                | Verdict::AllowListed
                | Verdict::WouldBlock
                | Verdict::UnknownApi
                | Verdict::UnknownHostname,
            ) => Outcome::Reported,
        }
    }

    fn sighting(&self) -> Sighting {
        let outcome = self.outcome();
        Sighting {
            attack: self.detection.attack_id().map(u16::from),
            name: self.detection.as_str().to_owned(),
            api: Some(self.api.to_owned()),
            identifier: ListedIdentifier::Network(self.client),
            scope: Scope::All,
            source: Source::RealTime(self.detection.rule()),
            variables: "{}".to_owned(),
            evidence: self.evidence.to_owned(),
            first: self.at,
            last: self.at,
            count: 1,
            ttl: self.ttl.filter(|_| outcome == Outcome::Listed),
            outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ase_core::decision::Effects;
    use ase_core::registry::Lure;

    fn decision(list: Option<Detection>) -> Decision {
        Decision {
            verdict: Verdict::NotListed,
            api: None,
            listing: None,
            detection: None,
            effects: Effects { list, count: None },
        }
    }

    fn note(sightings: &Sightings, client: &str, list: Option<Detection>, at: u64) -> Noted {
        sightings.note(&Offence {
            client: Network::parse(client).unwrap(),
            decision: &decision(list),
            detection: Detection::ClientSpike,
            api: "shop",
            evidence: &format!("{{\"at\":{at}}}"),
            at: UnixMillis(at),
            ttl: Some(Duration::from_secs(60)),
        })
    }

    #[test]
    fn a_client_that_goes_on_is_one_element_with_the_evidence_of_the_first_offence() {
        let sightings = Sightings::default();
        note(&sightings, "192.0.2.1", None, 10);
        note(&sightings, "192.0.2.1", None, 12);
        note(&sightings, "192.0.2.2", None, 11);
        note(
            &sightings,
            "192.0.2.1",
            Some(Detection::Decoy(Lure::InContext)),
            11,
        );
        let taken = sightings.take();
        let facts: Vec<_> = taken
            .iter()
            .map(|seen| (seen.count, seen.first.0, seen.last.0, seen.outcome))
            .collect();
        assert_eq!(
            facts,
            [(3, 10, 12, Outcome::Listed), (1, 11, 11, Outcome::Reported)]
        );
        assert_eq!(taken[0].evidence, "{\"at\":10}");
        assert_eq!(taken[0].ttl, Some(Duration::from_secs(60)));
        assert_eq!(taken[1].ttl, None);
        assert!(sightings.take().is_empty());
    }

    #[test]
    fn a_flood_of_clients_is_dropped_and_those_that_wait_are_still_counted() {
        let sightings = Sightings::default();
        for number in 0..BOUND {
            let client = format!(
                "10.{}.{}.{}",
                number >> 16,
                (number >> 8) & 255,
                number & 255
            );
            assert_eq!(note(&sightings, &client, None, 1), Noted::Waits);
        }
        assert_eq!(note(&sightings, "192.0.2.1", None, 1), Noted::Dropped);
        assert_eq!(note(&sightings, "10.0.0.0", None, 2), Noted::Waits);
        assert_eq!(sightings.take().len(), BOUND);
    }
}
