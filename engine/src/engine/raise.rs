//! From a suspicion to a detection and its proposal.

use ase_core::identifier_list::Scope;

use super::{Engine, Made, bit};
use crate::baseline::Of;
use crate::clients::Slot;
use crate::detection::{Detection, DetectionId, Hypothetical, Listing, Output, Proposal};
use crate::detectors::{self, Suspicion};
use crate::lessons::Undone;
use crate::settings::Response;
use crate::signs::Signs;
use crate::transaction::Transaction;

/// Detections that can be undone.
const UNDOABLE: usize = 4096;

/// A suspicion, and who shares it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accusation<'a> {
    pub(super) suspicion: &'a Suspicion,
    pub(super) members: &'a [Slot],
}

impl Engine {
    /// Reports one client, and proposes to list it unless the detector only simulates.
    pub(super) fn detect(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        slot: Slot,
        suspicion: &Suspicion,
        output: &mut Output,
    ) {
        let attack = suspicion.attack;
        let response = match suspicion.learned {
            None => self.settings.response(attack),
            Some(_) => self.settings.learned_response(attack),
        };
        let response = response.min(self.settings.at_most);
        let Some(client) = self.clients.get_mut(slot) else {
            return;
        };
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
        if signs.odd().is_none() {
            self.evidence
                .keep(slot, transaction, signs, &mut self.counters);
        }
        let accusation = Accusation {
            suspicion,
            members: &[],
        };
        if let Some(detection) = self.describe(transaction, signs, slot, accusation, listing) {
            self.hand_out(detection, output);
        }
    }

    /// Reports what many do together, without a listing of its own.
    pub(super) fn report(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        slot: Slot,
        accusation: Accusation<'_>,
        output: &mut Output,
    ) {
        let listing = Listing::OfMembers;
        if let Some(detection) = self.describe(transaction, signs, slot, accusation, listing) {
            self.hand_out(detection, output);
        }
    }

    fn describe(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        slot: Slot,
        accusation: Accusation<'_>,
        listing: Listing,
    ) -> Option<Detection> {
        let Accusation { suspicion, members } = accusation;
        let client = self.clients.get(slot)?;
        let identifier = client.identifier;
        let attack = suspicion.attack;
        let id = DetectionId(self.next_detection);
        self.next_detection += 1;
        let thresholds = self.lessons.thresholds(&self.limits, signs.api, 0);
        let members = members
            .iter()
            .filter_map(|member| self.clients.get(*member));
        let detection = Detection {
            id,
            attack,
            catalogue_id: attack.id(&identifier),
            api: transaction.api.map(|api| api.id.clone()),
            route: self.unusual_route(signs, suspicion),
            identifier,
            at: self.clock.unix(signs.at),
            variables: detectors::measured(suspicion, &thresholds),
            first: self.clock.unix(client.first),
            last: self.clock.unix(client.last),
            requests: client.requests,
            samples: self.evidence.samples(slot, &self.clock),
            listing,
            members: members.map(|member| member.identifier).collect(),
        };
        self.remember(Made {
            id,
            undone: Undone { identifier, attack },
            api: signs.api,
            route: signs.route,
            values: suspicion.values,
        });
        Some(detection)
    }

    /// The route whose learned threshold was crossed, where it was a route's.
    fn unusual_route(&self, signs: &Signs, suspicion: &Suspicion) -> Option<Box<str>> {
        let of_route = suspicion.learned.filter(|learned| learned.of == Of::Route);
        let template = of_route.and_then(|_| self.baselines.template_of(signs.route));
        template.map(Into::into)
    }

    fn hand_out(&mut self, detection: Detection, output: &mut Output) {
        self.counters.detections += 1;
        match detection.listing {
            Listing::Simulated(_) => self.counters.simulated += 1,
            Listing::OfMembers => {}
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

    pub(super) fn remember(&mut self, made: Made) {
        if self.made.len() >= UNDOABLE {
            self.made.pop_front();
        }
        self.made.push_back(made);
    }
}
