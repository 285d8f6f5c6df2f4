//! The engine: one transaction after another through signs, blame and detectors.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ase_core::api_id::ApiId;
use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;

use crate::baseline::{Baselines, Visit};
use crate::blame::{Blamed, Role, Subject, blame};
use crate::campaign::Campaigns;
use crate::catalogue::Attack;
use crate::clients::{Clients, Slot};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::detection::{DetectionId, Output};
use crate::detectors::{self, Context, Suspicion, Telling, Values, enumeration};
use crate::discovery::{DiscoveredApi, Discovery};
use crate::evidence::Evidence;
use crate::hash::Hasher;
use crate::known_routes::KnownRoutes;
use crate::lessons::{Lessons, Undone};
use crate::limit_tables::LimitTables;
use crate::login_routes::LoginRoutes;
use crate::object_routes::{self, ObjectRoutes};
use crate::settings::{Response, Settings};
use crate::signs::{Answer, ApiIndex, Intent, Reader, Signs};
use crate::transaction::{Fate, Transaction};

mod facts;
mod inspect;
mod raise;
mod snapshot;
mod thresholds;
mod together;

pub use facts::Fact;
pub use inspect::{ClientReport, Provenness};
use raise::Accusation;
pub use snapshot::{Restored, Snapshot};
pub use thresholds::ThresholdReport;

/// Requests after a listing that are kept as samples, odd or not: what somebody does who has been found out.
const GOING_ON: u32 = 4;
/// Fingerprints of records that are remembered to drop those that come twice.
const RECENT_RECORDS: usize = 1 << 16;

/// The behaviour engine. One owner feeds it; see the crate's text.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    limits: LimitTables,
    reader: Reader,
    clock: Clock,
    clients: Clients,
    evidence: Evidence,
    routes: KnownRoutes,
    logins: LoginRoutes,
    objects: ObjectRoutes,
    lessons: Lessons,
    campaigns: Campaigns,
    discovery: Discovery,
    baselines: Baselines,
    /// The attacks whose detectors are off, a bit each.
    off: u32,
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
            limits: LimitTables::of(&settings),
            reader: Reader::new(hasher),
            clock: Clock::default(),
            clients: Clients::new(settings.limits.clients, hasher),
            evidence: Evidence::new(settings.limits.suspects),
            routes: KnownRoutes::new(settings.limits.routes),
            logins: LoginRoutes::default(),
            objects: ObjectRoutes::new(settings.limits.routes / 16),
            lessons: Lessons::new(settings.limits.lessons),
            campaigns: Campaigns::new(hasher),
            discovery: Discovery::default(),
            baselines: Baselines::new(settings.training, settings.limits.windows, hasher),
            off: off(&settings),
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

    /// The APIs that traffic shows and no definition covers, the busiest first.
    #[must_use]
    pub fn discovered(&self) -> Vec<DiscoveredApi> {
        self.discovery.apis()
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
        let place = self.place(transaction);
        let known_route = self.routes.is_known_to_others(signs.route, place);
        let common_route = self.routes.is_common(signs.route);
        let public_object = signs
            .object
            .is_some_and(|object| self.objects.are_public(object, signs.api, signs.at));
        let newest_object = signs
            .object
            .is_some_and(|object| self.objects.is_among_the_newest(object));
        for subject in blamed.subjects.iter().flatten() {
            let context = Context {
                known_route,
                common_route,
                public_object,
                newest_object,
                credential: subject.role != Role::Address,
                unknown_bearer: blamed.unknown_bearer,
            };
            self.charge(transaction, signs, *subject, context, output);
        }
        if signs.answer == Answer::Success
            && signs.injection.is_none()
            && !self.is_accused(blamed, signs)
        {
            self.learn_routes(transaction, signs, blamed, place);
        }
    }

    /// From where it came: an address, or the network that is one client.
    fn place(&self, transaction: &Transaction<'_>) -> u64 {
        let network = transaction.client.network(self.settings.ipv6_width);
        self.reader
            .hasher
            .identifier(&ListedIdentifier::Network(network))
    }

    /// Whether somebody answerable has been detected lately: nothing is learned from those.
    fn is_accused(&self, blamed: &Blamed, signs: &Signs) -> bool {
        let mut subjects = blamed.subjects.iter().flatten();
        subjects.any(|subject| {
            let client = self.clients.get(subject.slot);
            client.is_some_and(|client| client.reported_until > signs.at)
        })
    }

    /// What good answers say about the API.
    fn learn_routes(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        blamed: &Blamed,
        address: u64,
    ) {
        let counters = &mut self.counters;
        self.routes.learn(signs.route, address, signs.at, counters);
        self.discovery.learn(transaction, signs, counters);
        if signs.intent != Intent::Read {
            return;
        }
        if let Some(object) = signs.object {
            if self.walks(blamed, signs) {
                self.objects.walk(object, address, signs.at);
                return;
            }
            if self.objects.has_walked(object, address, signs.at) {
                return;
            }
        }
        let first = transaction.credentials.first();
        let reader = object_routes::Reader {
            address,
            // Nothing is 0.
            credential: first.map_or(0, |carried| {
                self.reader.hasher.credential(&carried.id) as u32 | 1
            }),
        };
        let counters = &mut self.counters;
        self.objects
            .learn(signs.object, signs.api, reader, signs.at, counters);
    }

    /// Whether somebody answerable goes over objects as attackers do.
    fn walks(&self, blamed: &Blamed, signs: &Signs) -> bool {
        let thresholds = self.lessons.thresholds(&self.limits, signs.api, 0);
        let subjects = blamed.subjects.iter().flatten();
        // What anybody could have made up, such as the key of an application, may be borne by many.
        let mut answerable = subjects.filter(|subject| subject.role != Role::Unproven);
        answerable.any(|subject| {
            let client = self.clients.get(subject.slot);
            client.is_some_and(|client| enumeration::is_walker(client, signs, &thresholds))
        })
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
        let telling = detectors::learn(client, signs, context);
        let tells = if client.is_listed(signs.at) {
            client.passed_since_listing <= GOING_ON
        } else {
            telling == Telling::Yes
        };
        if tells && signs.odd().is_none() {
            self.evidence
                .keep(subject.slot, transaction, signs, &mut self.counters);
        } else if signs.odd().is_some() {
            client.hostile.insert(u64::from(signs.network));
            self.evidence
                .keep(subject.slot, transaction, signs, &mut self.counters);
            self.clients.promote(subject.slot);
        }
        let Some(client) = self.clients.get(subject.slot) else {
            return;
        };
        let skipped =
            self.off | client.attacks | self.lessons.exempt(&client.identifier, signs.route);
        let thresholds = self.lessons.thresholds(&self.limits, signs.api, skipped);
        let mut suspicion = detectors::judge(client, signs, context, &thresholds);
        if subject.role == Role::Unproven {
            suspicion = suspicion.filter(|suspicion| suspicion.attack == Attack::StolenCredential);
            suspicion = suspicion.or_else(|| self.rotates(signs, subject, &thresholds));
        }
        if subject.role != Role::Unproven
            && let Some(client) = self.clients.get(subject.slot)
        {
            let visit = Visit {
                client,
                transaction,
                signs,
                context,
            };
            let counters = &mut self.counters;
            let unusual = self.baselines.visit(visit, &thresholds, counters);
            suspicion = suspicion.or(unusual);
        }
        if let Some(suspicion) = suspicion {
            self.unlearn(transaction, signs, &suspicion);
            self.detect(transaction, signs, subject.slot, &suspicion, output);
        }
        if subject.role == Role::Address {
            self.gather(transaction, signs, subject, context, output);
        }
    }

    /// What somebody has read who is found to walk says nothing about who may.
    fn unlearn(&mut self, transaction: &Transaction<'_>, signs: &Signs, suspicion: &Suspicion) {
        if let (Attack::Enumeration, Some(object)) = (suspicion.attack, signs.object) {
            let address = self.place(transaction);
            self.objects.walk(object, address, signs.at);
        }
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
        self.index_of(api.id).unwrap_or_else(|| {
            self.counters.apis_shared += 1;
            ApiIndex(self.settings.limits.apis)
        })
    }

    /// The number of an API, given when it has none; `None` when there is no room for another one.
    fn index_of(&mut self, api: &ApiId) -> Option<ApiIndex> {
        if let Some(index) = self.apis.get(api) {
            return Some(*index);
        }
        let most = self.settings.limits.apis;
        if self.apis.len() + 1 >= usize::from(most) {
            return None;
        }
        // A snapshot may have left numbers out.
        let used: BTreeSet<ApiIndex> = self.apis.values().copied().collect();
        let mut free = (1..most).map(ApiIndex);
        let index = free.find(|index| !used.contains(index))?;
        self.apis.insert(api.clone(), index);
        Some(index)
    }
}

fn bit(attack: Attack) -> u32 {
    1 << (attack as u32)
}

/// The attacks whose detectors are off.
fn off(settings: &Settings) -> u32 {
    let attacks = Attack::ALL.into_iter();
    let off = attacks.filter(|attack| settings.response(*attack) == Response::Off);
    off.fold(0, |mask, attack| mask | bit(attack))
}
