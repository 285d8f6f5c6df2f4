//! Keeps what the engine finds: lists clients, stores detections, and writes the attack log. It may wait for the disk; the engine
//! does not wait for it.
//!
//! Listing comes first: a client is on the list before a line about it is written. What the disk refuses is tried again, within
//! a bound, and counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use ase_core::api_id::ApiId;
use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::time::UnixMillis;
use ase_engine::{Detection, Listing, Output, Proposal};

use super::attack_log::AttackLog;
use super::tallies::{Event, Tallies};
use crate::lifetimes::{IdentifierType, Origin, SharedLifetimes};
use crate::lists::Lists;
use crate::state::detections::{Outcome, Sighting};
use crate::state::{ListName, SharedState};

mod account;

pub(crate) use account::{rounded, sample};

/// Findings that wait; beyond, the engine waits.
const QUEUE: usize = 256;
/// Most findings that one visit to the disk takes along.
const AT_ONCE: usize = 256;
/// Between two attempts to keep what the disk has refused.
const RETRY: Duration = Duration::from_secs(1);
/// Most that is tried again.
const MAX_REFUSED: usize = 4096;

/// Where findings are kept.
pub struct Keeper {
    /// The owner of the deny list.
    pub lists: Arc<Lists>,
    /// Whom the allow list spares, and which APIs there are.
    pub published: Arc<ArcSwap<Snapshot>>,
    /// How long entries of attacks last where an operator has said so.
    pub lifetimes: SharedLifetimes,
    /// What outlives the engine.
    pub state: SharedState,
}

/// What one call of the engine found.
pub(super) struct Finding {
    pub(super) output: Output,
    pub(super) at: UnixMillis,
}

/// The recorder's thread.
pub(super) struct Recorder {
    keeper: Keeper,
    log: AttackLog,
    tallies: Arc<Tallies>,
    listing: Arc<AtomicBool>,
    refused: Vec<Kept>,
}

/// A detection as it is kept.
struct Kept {
    entries: Vec<(ListedIdentifier, Entry)>,
    sighting: Sighting,
}

pub(super) fn channel() -> (SyncSender<Finding>, Receiver<Finding>) {
    sync_channel(QUEUE)
}

impl Recorder {
    pub(super) fn new(
        keeper: Keeper,
        attack_log: &Path,
        (tallies, listing): (Arc<Tallies>, Arc<AtomicBool>),
    ) -> Self {
        Self {
            keeper,
            log: AttackLog::at(attack_log),
            tallies,
            listing,
            refused: Vec::new(),
        }
    }

    /// Until the engine has ended.
    pub(super) fn run(mut self, found: &Receiver<Finding>) {
        loop {
            let mut findings = Vec::new();
            match found.recv_timeout(RETRY) {
                Ok(finding) => {
                    findings.push(finding);
                    findings.extend(found.try_iter().take(AT_ONCE));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep(&findings);
        }
        self.keep(&[]);
        let lost = self.refused.iter().map(|kept| kept.entries.len()).sum();
        self.tallies.add(Event::ListingLost, lost);
    }

    fn keep(&mut self, findings: &[Finding]) {
        let mut lines = Vec::new();
        let mut kept = std::mem::take(&mut self.refused);
        for Finding { output, at } in findings {
            for detection in &output.detections {
                let of_detection = |proposal: &&Proposal| proposal.detection == detection.id;
                let proposals = output.proposals.iter().filter(of_detection);
                let found = self.kept(detection, proposals, *at);
                self.log.line(
                    (detection, &found.sighting),
                    &self.keeper.published.load(),
                    &mut lines,
                );
                kept.push(found);
            }
        }
        if !kept.is_empty() {
            self.store(kept);
        }
        if !lines.is_empty() && !self.log.write(&lines) {
            self.tallies.add(Event::AttackLogFailed, 1);
        }
    }

    fn store(&mut self, kept: Vec<Kept>) {
        let entries: Vec<(ListedIdentifier, Entry)> =
            kept.iter().flat_map(|kept| kept.entries.clone()).collect();
        let sightings: Vec<Sighting> = kept.iter().map(|kept| kept.sighting.clone()).collect();
        let listed = entries.len();
        let lists = &self.keeper.lists;
        match lists.add_detected(ListName::Deny, entries, &sightings) {
            Ok(()) => {
                self.tallies.add(Event::Listed, listed);
                for (identifier, entry) in kept.iter().flat_map(|kept| &kept.entries) {
                    tracing::info!(%identifier, source = "engine", reason = %entry.reason, "listed");
                }
            }
            Err(error) => {
                tracing::error!(%error, listed, "what the engine found is not stored and is tried again");
                self.tallies.add(Event::ListingFailed, listed);
                self.refused = kept;
                let excess = self.refused.len().saturating_sub(MAX_REFUSED);
                let lost = self.refused.drain(..excess);
                let lost = lost.map(|kept| kept.entries.len()).sum();
                self.tallies.add(Event::ListingLost, lost);
            }
        }
    }

    /// What is to be listed and stored of a detection.
    fn kept<'p>(
        &self,
        detection: &Detection,
        proposals: impl Iterator<Item = &'p Proposal>,
        now: UnixMillis,
    ) -> Kept {
        let mut sighting = account::sighting(detection);
        let mut entries = Vec::new();
        let lifetimes = self.keeper.lifetimes.get();
        let listing = self.listing.load(Ordering::Relaxed);
        if !listing && matches!(detection.listing, Listing::Simulated(_)) {
            self.tallies.add(Event::ListingOff, 1);
        }
        for proposal in proposals {
            if !listing {
                self.tallies.add(Event::ListingOff, 1);
                continue;
            }
            if self.is_allowed(&proposal.identifier, detection.api.as_ref(), now) {
                self.tallies.add(Event::ListingSpared, 1);
                continue;
            }
            let kind = IdentifierType::of(&proposal.identifier);
            let ttl = match lifetimes.get(Origin::Attack, kind) {
                Some(lifetime) => lifetime.duration(),
                None => Some(proposal.ttl),
            };
            sighting.outcome = Outcome::Listed;
            sighting.scope = proposal.scope.clone();
            sighting.ttl = ttl;
            let entry = Entry {
                scope: proposal.scope.clone(),
                expires: ttl.map(|ttl| now.after(ttl)),
                source: Source::Engine,
                reason: Arc::from(proposal.reason.as_str()),
                added: now,
            };
            entries.push((proposal.identifier, entry));
        }
        Kept { entries, sighting }
    }

    /// Whether the allow list has the identifier, alone or in a network, for the API of the detection or for all.
    fn is_allowed(
        &self,
        identifier: &ListedIdentifier,
        api: Option<&ApiId>,
        now: UnixMillis,
    ) -> bool {
        let snapshot = self.keeper.published.load();
        let group = api
            .and_then(|api| snapshot.registry.get(api))
            .and_then(|api| api.group());
        // An entry for all APIs covers any; one for an API or group cannot spare a client that called none.
        let none = ApiId::parse("none").ok();
        let Some(api) = api.or(none.as_ref()) else {
            return false;
        };
        match identifier {
            ListedIdentifier::Network(network) => snapshot
                .allow
                .look_up_address(network.first(), api, group, now)
                .is_some(),
            ListedIdentifier::Credential { kind, id } => snapshot
                .allow
                .look_up_credential(*kind, id, api, group, now)
                .is_some(),
        }
    }
}
