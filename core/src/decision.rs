//! The decision: one request report against one snapshot of registry, lists and switches.
//!
//! Pure: no await, no lock, no IO; time and counts are arguments, and what should follow is returned as [`Effects`]. The
//! order of rules: an unknown API; the allow list, which always wins; the attack list; decoys; patterns; the mandatory
//! token; the rate. Only an API with blocking on blocks.
//!
//! Nothing is hashed or copied that no list asks for: credentials are named for logs by [`Identified`], apart from this.

use std::sync::Arc;

use crate::credential::KeyRing;
use crate::identifier_list::{IdentifierList, ListedIdentifier, Source};
use crate::metadata::RequestReport;
use crate::registry::{ApiDefinition, Registry, SpikeLimit};
use crate::time::UnixMillis;
use crate::transaction::VerdictLabel;

mod carried;
mod detection;
mod judge;

pub use carried::{Identified, IdentifiedCredential};
pub use detection::Detection;
use judge::{Judge, Naming};

/// What a decision looks at. Cheap to clone; a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The registered APIs.
    pub registry: Arc<Registry>,
    /// Whom to block.
    pub attack: IdentifierList,
    /// Whom never to block.
    pub allow: IdentifierList,
    /// What is enforced at all.
    pub switches: Switches,
}

/// The master switches, above every API's own `enable_blocking`. By default as the original's: enforcement on,
/// real-time detections only reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switches {
    /// `enable_firewall`: whether lists and pattern rules block anybody. Off: they only report.
    pub firewall: Switch,
    /// `enable_ase_detected_attack`: whether real-time detections block and list clients. Off: they only report.
    pub ase_detected_attack: Switch,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// The recent requests of one client, as its owner has counted them.
pub trait RequestCounts {
    /// How many requests of the report's client to `api` have been counted in the present window of `limit`.
    fn requests(&self, report: &RequestReport<'_>, api: &ApiDefinition, limit: SpikeLimit) -> u32;
}

/// Counts of nobody: no limit is ever reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCounts;

/// What ASE answers to a request, why, and what should follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The API that the request belongs to.
    pub api: Option<Arc<ApiDefinition>>,
    /// The list entry that decided, on either list.
    pub listing: Option<Listing>,
    /// The rule that the request broke, when no list decided.
    pub detection: Option<Detection>,
    /// What the caller should do.
    pub effects: Effects,
}

/// What a decision asks its caller to do for the request's client and API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Put the client's address on the attack list, for every API and for this reason.
    pub list: Option<Detection>,
    /// Count the request against this limit.
    pub count: Option<SpikeLimit>,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Pass: no identifier is on the attack list, and no rule refuses the request.
    NotListed,
    /// Pass: an identifier is on the allow list.
    AllowListed,
    /// Pass: an identifier is on the attack list or a rule is broken, and blocking is off.
    WouldBlock,
    /// Block.
    Blocked,
    /// No API definition matches the path.
    UnknownApi,
    /// The path is known, but not on this host.
    UnknownHostname,
}

/// The list entry behind a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The identifier as listed.
    pub identifier: ListedIdentifier,
    /// Who listed it.
    pub source: Source,
    /// Why.
    pub reason: Arc<str>,
}

/// Decides on one request.
///
/// A host or path that servers read differently can belong to several APIs; the usual reading decides unless another
/// one is stricter about the client, so that nobody is let through by a spelling.
///
/// Which credentials count is said by the API's definition, by the gateway's own findings in the report and by
/// `user_info`.
#[must_use]
pub fn decide(
    report: &RequestReport<'_>,
    snapshot: &Snapshot,
    keys: &KeyRing,
    counts: &impl RequestCounts,
    now: UnixMillis,
) -> Decision {
    let judge = Judge::new(report, snapshot, (keys, counts), now, Naming::Sought);
    judge.decide().0
}

/// As [`decide`], for a request that is logged: names its credentials too, each found and hashed once for both.
#[must_use]
pub fn decide_and_identify<'a>(
    report: &'a RequestReport<'_>,
    snapshot: &'a Snapshot,
    keys: &KeyRing,
    counts: &impl RequestCounts,
    now: UnixMillis,
) -> (Decision, Identified<'a>) {
    Judge::new(report, snapshot, (keys, counts), now, Naming::All).decide()
}

impl Decision {
    fn bare(verdict: Verdict, api: Option<Arc<ApiDefinition>>) -> Self {
        Self {
            verdict,
            api,
            listing: None,
            detection: None,
            effects: Effects::default(),
        }
    }

    /// Orders decisions by what they do to the client.
    fn strictness(&self) -> (u8, bool, bool) {
        let verdict = match self.verdict {
            Verdict::NotListed
            | Verdict::AllowListed
            | Verdict::UnknownApi
            | Verdict::UnknownHostname => 0,
            Verdict::WouldBlock => 1,
            Verdict::Blocked => 2,
        };
        (
            verdict,
            self.effects.list.is_some(),
            self.detection.is_some(),
        )
    }
}

impl Verdict {
    /// The same in one word for `x-ase-verdict`.
    #[must_use]
    pub fn label(self) -> VerdictLabel {
        match self {
            Self::NotListed | Self::AllowListed => VerdictLabel::Allowed,
            Self::WouldBlock => VerdictLabel::WouldBlock,
            Self::Blocked => VerdictLabel::Blocked,
            Self::UnknownApi | Self::UnknownHostname => VerdictLabel::Unregistered,
        }
    }
}

impl Switch {
    /// Whether it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            firewall: Switch::On,
            ase_detected_attack: Switch::Off,
        }
    }
}

impl RequestCounts for NoCounts {
    fn requests(&self, _: &RequestReport<'_>, _: &ApiDefinition, _: SpikeLimit) -> u32 {
        0
    }
}

#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;
