//! What comes out of the engine: detections that say why, and the list changes that they propose.

use std::time::Duration;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::identifier_list::{ListedIdentifier, Scope};
use ase_core::time::UnixMillis;

use crate::catalogue::{Attack, Variable};

/// What one call of the engine found. Reused by the host: [`Self::clear`] keeps its memory.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// What was detected.
    pub detections: Vec<Detection>,
    /// What should be listed because of it.
    pub proposals: Vec<Proposal>,
}

/// Names one detection of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetectionId(pub u64);

/// An attack by one client, and why the engine thinks so.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Its name.
    pub id: DetectionId,
    /// What is going on.
    pub attack: Attack,
    /// The attack's number in the catalogue.
    pub catalogue_id: u16,
    /// The API of the request that crossed the threshold.
    pub api: Option<ApiId>,
    /// The route whose learned threshold was crossed, with `{id}` for what names an object; `None` unless it was a route's.
    pub route: Option<Box<str>>,
    /// Who did it.
    pub identifier: ListedIdentifier,
    /// When the threshold was crossed, by the clock of transactions.
    pub at: UnixMillis,
    /// What was measured, A first.
    pub variables: Vec<Measured>,
    /// The first transaction of this client that is remembered.
    pub first: UnixMillis,
    /// The last one.
    pub last: UnixMillis,
    /// How many of its transactions have been seen.
    pub requests: u32,
    /// Some of what it did: suspicious requests before ordinary ones, oldest first.
    pub samples: Vec<Sample>,
    /// What was done about it, or would have been.
    pub listing: Listing,
    /// The other identifiers that take part; empty unless many clients act as one.
    pub members: Vec<ListedIdentifier>,
}

/// A variable of a detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Which.
    pub variable: Variable,
    /// What it measures, with its unit.
    pub meaning: &'static str,
    /// What was measured.
    pub value: f32,
    /// The normal threshold.
    pub tn: f32,
    /// The extreme threshold, where there is one.
    pub tx: Option<f32>,
    /// Where the thresholds come from.
    pub basis: Basis,
    /// Which threshold it has reached.
    pub reached: Threshold,
}

/// Where a threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The catalogue.
    System,
    /// The own traffic of the API, or of the detection's route: the normal threshold is learned, the extreme one is what it never exceeds.
    Learned,
    /// An operator's settings.
    Operator,
    /// A detection that an operator has taken back.
    Taught,
}

/// How far a variable went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Threshold {
    /// Below the thresholds.
    Below,
    /// At or above the normal one.
    Normal,
    /// At or above the extreme one.
    Extreme,
}

/// A request of a suspect, without what may be secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: UnixMillis,
    /// The address that it came from.
    pub from: ClientAddress,
    /// The user agent, shortened, where sent.
    pub user_agent: Option<Box<str>>,
    /// The method, shortened.
    pub method: Box<str>,
    /// The path, shortened, and the names of the query's parameters.
    pub target: Box<str>,
    /// The status, where there was a response.
    pub status: Option<u16>,
    /// What was odd about it; nothing when it is kept as an ordinary one.
    pub odd: Option<&'static str>,
}

/// What a detection led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Listing was proposed.
    Proposed {
        /// For so long.
        ttl: Duration,
    },
    /// The detector only simulates.
    Simulated(Hypothetical),
    /// Many clients act as one: those that may be listed have detections of their own.
    OfMembers,
}

/// What would have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypothetical {
    /// For how long the identifier would have been listed.
    pub ttl: Duration,
}

/// A change of the attack list that the engine proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The detection behind it.
    pub detection: DetectionId,
    /// Whom to list.
    pub identifier: ListedIdentifier,
    /// For what.
    pub attack: Attack,
    /// Where.
    pub scope: Scope,
    /// For how long.
    pub ttl: Duration,
    /// Why, in one line for people.
    pub reason: String,
}

impl Output {
    /// Empties it.
    pub fn clear(&mut self) {
        self.detections.clear();
        self.proposals.clear();
    }
}

impl Measured {
    /// How far above its normal threshold the value is, in percent of the threshold; 0 below it.
    #[must_use]
    pub fn deviation_percent(&self) -> f32 {
        if self.tn <= 0.0 {
            return 0.0;
        }
        ((self.value / self.tn - 1.0) * 100.0).max(0.0)
    }
}

impl Basis {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Learned => "learned",
            Self::Operator => "operator",
            Self::Taught => "taught",
        }
    }
}

impl Threshold {
    /// Its name in reports: `-`, `Tn`, `Tx`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Below => "-",
            Self::Normal => "Tn",
            Self::Extreme => "Tx",
        }
    }
}

impl Detection {
    /// Why, in one line for people: `API probing: A 9.0 (Tn 8), B 90 (Tn 50)`.
    #[must_use]
    pub fn reason(&self) -> String {
        let reached = self
            .variables
            .iter()
            .filter(|measured| measured.reached != Threshold::Below)
            .map(|measured| {
                format!(
                    "{} {:.1} ({}{} {})",
                    measured.variable.as_str(),
                    measured.value,
                    match measured.basis {
                        Basis::Learned => "learned ",
                        Basis::System | Basis::Operator | Basis::Taught => "",
                    },
                    measured.reached.as_str(),
                    match measured.reached {
                        Threshold::Extreme => measured.tx.unwrap_or(measured.tn),
                        Threshold::Normal | Threshold::Below => measured.tn,
                    }
                )
            });
        let reached: Vec<String> = reached.collect();
        let on = self.route.as_ref();
        let on = on.map_or_else(String::new, |route| format!(" on {route}"));
        format!("{}{on}: {}", self.attack.title(), reached.join(", "))
    }
}
