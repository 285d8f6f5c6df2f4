//! Looking at what the engine knows of one client, and taking a detection back.

use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;

use super::facts::{self, Fact};
use super::{Engine, bit};
use crate::baseline::BaselineReport;
use crate::catalogue::Attack;
use crate::client::Standing;
use crate::detection::{DetectionId, Sample};
use crate::lessons::{Lesson, Undone};
use crate::settings::Response;
use crate::signs::ApiIndex;

/// What the engine knows of one identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientReport {
    /// Who.
    pub identifier: ListedIdentifier,
    /// The first transaction that is remembered.
    pub first: UnixMillis,
    /// The last one.
    pub last: UnixMillis,
    /// How many there were.
    pub requests: u32,
    /// Whether it is held to be one client.
    pub proven: Provenness,
    /// How often listing it has been proposed.
    pub offences: u8,
    /// Until when the last proposed listing counts; `None` when it is over or never was.
    pub listed_until: Option<UnixMillis>,
    /// Requests that passed while that listing should have counted.
    pub passed_since_listing: u32,
    /// The attacks detected since the last listing ended.
    pub attacks: Vec<Attack>,
    /// The share of failures among its answers, in percent, over about an hour.
    pub failures_percent: f32,
    /// Distinct routes that failed, over about an hour.
    pub failed_routes: f32,
    /// What it did, as of its last request.
    pub facts: Vec<Fact>,
    /// Sample requests, if it is a suspect.
    pub samples: Vec<Sample>,
}

/// Whether an identifier is held to be one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenness {
    /// It is an address.
    Address,
    /// Anybody could have made it up.
    Unproven,
    /// Verified, or answered well over time and from more than one network.
    Proven,
}

impl Engine {
    /// What has been learned of every API that had traffic.
    #[must_use]
    pub fn baselines(&self) -> Vec<BaselineReport> {
        let named = self
            .apis
            .iter()
            .filter_map(|(api, index)| self.baselines.report(*index, Some(api.clone())));
        let unnamed = self.baselines.report(ApiIndex::default(), None);
        unnamed.into_iter().chain(named).collect()
    }

    /// What is known of an identifier; `None` when it is not watched.
    #[must_use]
    pub fn client(&self, identifier: &ListedIdentifier) -> Option<ClientReport> {
        let slot = self.clients.find(identifier)?;
        let client = self.clients.get(slot)?;
        let attacks = Attack::ALL.into_iter();
        Some(ClientReport {
            identifier: client.identifier,
            first: self.clock.unix(client.first),
            last: self.clock.unix(client.last),
            requests: client.requests,
            proven: match (client.identifier, client.standing) {
                (ListedIdentifier::Network(_), _) => Provenness::Address,
                (ListedIdentifier::Credential { .. }, Standing::Unproven) => Provenness::Unproven,
                (ListedIdentifier::Credential { .. }, Standing::Proven) => Provenness::Proven,
            },
            offences: client.offences,
            listed_until: client
                .is_listed(client.last)
                .then(|| self.clock.unix(client.listed_until)),
            passed_since_listing: client.passed_since_listing,
            attacks: attacks
                .filter(|attack| client.attacks & bit(*attack) != 0)
                .collect(),
            failures_percent: client.failures_percent(),
            failed_routes: client.probing.routes,
            facts: facts::of(client),
            samples: self.evidence.samples(slot, &self.clock),
        })
    }

    /// Says what any detection leads to at most from now on. Once it is more than before, whoever was reported and not listed is
    /// judged anew: an attack that goes on is reported again, and listed.
    pub fn lead_to_at_most(&mut self, at_most: Response) {
        let rises = at_most > self.settings.at_most;
        self.settings.at_most = at_most;
        if rises {
            let now = self.clock.now();
            for client in self.clients.iter_mut() {
                if !client.is_listed(now) {
                    client.reported_until = client.reported_until.min(now);
                }
            }
        }
    }

    /// The last detection of an attack by a client, as far as it can be taken back.
    #[must_use]
    pub fn last_detection(
        &self,
        identifier: &ListedIdentifier,
        attack: Attack,
    ) -> Option<DetectionId> {
        let undone = Undone {
            identifier: *identifier,
            attack,
        };
        let mut latest_first = self.made.iter().rev();
        latest_first
            .find(|made| made.undone == undone)
            .map(|made| made.id)
    }

    /// Takes a detection back: the client's record starts anew, and the lesson is remembered. `None` when the detection is too old to be known.
    pub fn undo(&mut self, detection: DetectionId, lesson: Lesson) -> Option<Undone> {
        let made = *self.made.iter().find(|made| made.id == detection)?;
        let Undone { identifier, attack } = made.undone;
        if let Some(slot) = self.clients.find(&identifier) {
            let at = self.clients.get(slot).map(|client| client.last);
            self.clients.reset(slot, at.unwrap_or_default());
            self.evidence.forget(slot);
        }
        self.baselines
            .forgive(self.reader.hasher.identifier(&identifier));
        if lesson != Lesson::Once && !self.lessons.has_room() {
            self.counters.lessons_refused += 1;
            return Some(made.undone);
        }
        match lesson {
            Lesson::Once => {}
            Lesson::Client => drop(self.lessons.clients.insert((identifier, attack))),
            Lesson::Route => drop(self.lessons.routes.insert((made.route, attack))),
            Lesson::Threshold => self.lessons.raise(made.api, attack, &made.values),
        }
        Some(made.undone)
    }
}
