//! The engine: one transaction after another through signs, blame and detectors.

use std::collections::{BTreeMap, VecDeque};

use ase_core::api_id::ApiId;
use ase_core::identifier_list::Scope;
use ase_core::time::UnixMillis;

use crate::blame::{Blamed, Role, Subject, blame};
use crate::catalogue::Attack;
use crate::clients::{Clients, Slot};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::detection::{Detection, DetectionId, Hypothetical, Listing, Output, Proposal};
use crate::detectors::{self, Context, Suspicion, Values};
use crate::evidence::Evidence;
use crate::hash::Hasher;
use crate::known_routes::KnownRoutes;
use crate::lessons::{Lessons, LimitTable, Undone};
use crate::login_routes::LoginRoutes;
use crate::settings::{Response, Settings};
use crate::signs::{Answer, ApiIndex, Reader, Signs};
use crate::transaction::{Fate, Transaction};

mod inspect;

pub use inspect::{ClientReport, Provenness};

/// Fingerprints of records that are remembered to drop those that come twice.
const RECENT_RECORDS: usize = 1 << 16;
/// Detections that can be undone.
const UNDOABLE: usize = 4096;

/// The behaviour engine. One owner feeds it; see the crate's text.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    limits: LimitTable,
    reader: Reader,
    clock: Clock,
    clients: Clients,
    evidence: Evidence,
    routes: KnownRoutes,
    logins: LoginRoutes,
    lessons: Lessons,
    apis: BTreeMap<ApiId, ApiIndex>,
    recent_records: Vec<u64>,
    made: VecDeque<Made>,
    next_detection: u64,
    counters: Counters,
    forgotten: Vec<Slot>,
}

/// A detection as far as undoing it needs.
#[derive(Clone, Copy, Debug)]
struct Made {
    id: DetectionId,
    undone: Undone,
    api: ApiIndex,
    route: u64,
    values: Values,
}

impl Engine {
    /// An engine that has seen nothing. `seed` keys its hashes: it should be random where strangers choose what is hashed.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let hasher = Hasher::new(seed);
        Self {
            limits: LimitTable::of(&settings),
            reader: Reader::new(hasher),
            clock: Clock::default(),
            clients: Clients::new(settings.limits.clients, hasher),
            evidence: Evidence::new(settings.limits.suspects),
            routes: KnownRoutes::new(settings.limits.routes),
            logins: LoginRoutes::default(),
            lessons: Lessons::new(settings.limits.lessons),
            apis: BTreeMap::new(),
            recent_records: vec![0; RECENT_RECORDS],
            made: VecDeque::new(),
            next_detection: 1,
            counters: Counters::default(),
            forgotten: Vec::new(),
            settings,
        }
    }

    /// Takes a batch of finished exchanges, in rough order. `now` is the host's clock. What is found is added to `output`.
    pub fn observe(&mut self, batch: &[Transaction<'_>], now: UnixMillis, output: &mut Output) {
        self.clock.advance(now, &mut self.counters);
        for transaction in batch {
            self.take(transaction, output);
        }
    }

    /// Lets time pass without traffic.
    pub fn tick(&mut self, now: UnixMillis, output: &mut Output) {
        self.observe(&[], now, output);
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many identifiers are watched.
    #[must_use]
    pub fn watched(&self) -> u32 {
        self.clients.len()
    }

    fn take(&mut self, transaction: &Transaction<'_>, output: &mut Output) {
        self.counters.transactions += 1;
        if self.came_before(transaction) {
            self.counters.duplicates += 1;
            return;
        }
        if transaction.fate == Fate::Blocked {
            self.counters.blocked += 1;
            return;
        }
        let at = self.clock.of(transaction.at, &mut self.counters);
        let api = self.api_index(transaction);
        let mut signs = self.reader.read(transaction, api, at);
        signs.login = self.logins.settle(&signs);
        let blamed = blame(
            transaction,
            &signs,
            &mut self.clients,
            self.settings.ipv6_width,
            &mut self.counters,
            &mut self.forgotten,
        );
        for slot in self.forgotten.drain(..) {
            self.evidence.forget(slot);
        }
        self.learn_and_judge(transaction, &signs, &blamed, output);
    }

    fn learn_and_judge(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        blamed: &Blamed,
        output: &mut Output,
    ) {
        let place = self.reader.hasher.address(transaction.client.ip());
        let known_route = self.routes.is_known_to_others(signs.route, place);
        let common_route = self.routes.is_common(signs.route);
        for subject in blamed.subjects.iter().flatten() {
            let context = Context {
                known_route,
                common_route,
                credential: subject.role != Role::Address,
            };
            self.charge(transaction, signs, *subject, context, output);
        }
        if signs.answer == Answer::Success && signs.injection.is_none() {
            self.routes
                .learn(signs.route, place, signs.at, &mut self.counters);
        }
    }

    /// One transaction against one who is answerable for it.
    fn charge(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        subject: Subject,
        context: Context,
        output: &mut Output,
    ) {
        let Some(client) = self.clients.get_mut(subject.slot) else {
            return;
        };
        client.requests = client.requests.saturating_add(1);
        if client.is_listed(signs.at) {
            client.passed_since_listing = client.passed_since_listing.saturating_add(1);
        }
        if client.reported_until <= signs.at {
            client.attacks = 0;
        }
        detectors::learn(client, signs, context);
        if signs.odd().is_some() {
            self.evidence
                .keep(subject.slot, transaction, signs, &mut self.counters);
        }
        let thresholds = self.lessons.thresholds(&self.limits, signs.api);
        let Some(suspicion) = detectors::judge(client, signs, context, &thresholds) else {
            return;
        };
        let may_be_listed =
            subject.role != Role::Unproven || suspicion.attack == Attack::StolenCredential;
        let known = client.attacks & bit(suspicion.attack) != 0;
        let exempt = self
            .lessons
            .exempt(&client.identifier, signs.route, suspicion.attack);
        if may_be_listed && !known && !exempt {
            self.detect(transaction, signs, subject.slot, &suspicion, output);
        }
    }

    fn detect(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        slot: Slot,
        suspicion: &Suspicion,
        output: &mut Output,
    ) {
        let attack = suspicion.attack;
        let response = self.settings.response(attack);
        let Some(client) = self.clients.get_mut(slot) else {
            return;
        };
        if response == Response::Off {
            return;
        }
        client.attacks |= bit(attack);
        let identifier = client.identifier;
        let ttl = self.settings.ttl.of(&identifier, client.offences);
        let end = signs.at.after_millis(ttl.as_millis());
        client.reported_until = client.reported_until.max(end);
        let listing = match response {
            Response::Off | Response::Simulate => Listing::Simulated(Hypothetical { ttl }),
            Response::Enforce => {
                // Another attack within one listing is the same offence.
                if !client.is_listed(signs.at) {
                    client.offences = client.offences.saturating_add(1);
                    client.passed_since_listing = 0;
                }
                client.listed_until = client.listed_until.max(end);
                Listing::Proposed { ttl }
            }
        };
        let (first, last, requests) = (client.first, client.last, client.requests);
        if signs.odd().is_none() {
            self.evidence
                .keep(slot, transaction, signs, &mut self.counters);
        }
        let id = DetectionId(self.next_detection);
        self.next_detection += 1;
        let thresholds = self.lessons.thresholds(&self.limits, signs.api);
        let detection = Detection {
            id,
            attack,
            catalogue_id: attack.id(&identifier),
            api: transaction.api.map(|api| api.id.clone()),
            identifier,
            at: self.clock.unix(signs.at),
            variables: detectors::measured(attack, &suspicion.values, &thresholds),
            first: self.clock.unix(first),
            last: self.clock.unix(last),
            requests,
            samples: self.evidence.samples(slot, &self.clock),
            listing,
            members: Vec::new(),
        };
        self.remember(Made {
            id,
            undone: Undone { identifier, attack },
            api: signs.api,
            route: signs.route,
            values: suspicion.values,
        });
        self.hand_out(detection, output);
    }

    fn hand_out(&mut self, detection: Detection, output: &mut Output) {
        self.counters.detections += 1;
        match detection.listing {
            Listing::Simulated(_) => self.counters.simulated += 1,
            Listing::Proposed { ttl } => {
                self.counters.proposals += 1;
                output.proposals.push(Proposal {
                    detection: detection.id,
                    identifier: detection.identifier,
                    attack: detection.attack,
                    scope: Scope::All,
                    ttl,
                    reason: detection.reason(),
                });
            }
        }
        output.detections.push(detection);
    }

    fn remember(&mut self, made: Made) {
        if self.made.len() >= UNDOABLE {
            self.made.pop_front();
        }
        self.made.push_back(made);
    }

    fn came_before(&mut self, transaction: &Transaction<'_>) -> bool {
        let Some(record) = transaction.record else {
            return false;
        };
        let mark = self.reader.hasher.pair(record, 1) | 1;
        let place = (mark >> 32) as usize % RECENT_RECORDS;
        let Some(recent) = self.recent_records.get_mut(place) else {
            return false;
        };
        std::mem::replace(recent, mark) == mark
    }

    fn api_index(&mut self, transaction: &Transaction<'_>) -> ApiIndex {
        let Some(api) = transaction.api else {
            return ApiIndex::default();
        };
        if let Some(index) = self.apis.get(api.id) {
            return *index;
        }
        let next = self.apis.len().saturating_add(1);
        match u16::try_from(next) {
            Ok(next) if next < self.settings.limits.apis => {
                self.apis.insert(api.id.clone(), ApiIndex(next));
                ApiIndex(next)
            }
            Ok(_) | Err(_) => {
                self.counters.apis_shared += 1;
                ApiIndex(self.settings.limits.apis)
            }
        }
    }
}

fn bit(attack: Attack) -> u32 {
    1 << (attack as u32)
}
