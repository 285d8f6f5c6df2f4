//! The behaviour engine: finished exchanges in, detections and attack-list proposals with their reasons out.
//!
//! Pure: no IO, no clock, no threads; time and the seed of its hashes are arguments. The host feeds [`Engine::observe`] in
//! batches off the request path and decides what to do with what comes out. Whatever comes in, memory stays within
//! [`Settings`]' limits, and what is dropped or degraded is counted in [`Counters`].
#![forbid(unsafe_code)]

mod baseline;
mod blame;
mod campaign;
mod catalogue;
mod client;
mod clients;
mod clock;
mod counters;
mod detection;
mod detectors;
mod discovery;
mod engine;
mod evidence;
mod hash;
mod known_routes;
mod lessons;
mod limit_tables;
mod login_routes;
mod object_routes;
mod path_shape;
mod settings;
mod signs;
mod transaction;
mod vocabulary;

pub use baseline::{BaselineReport, LearnedThreshold, RouteReport};
pub use catalogue::{Attack, Variable, VariableSpec};
pub use counters::Counters;
pub use detection::{
    Basis, Detection, DetectionId, Hypothetical, Listing, Measured, Output, Proposal, Sample,
    Threshold,
};
pub use discovery::{DiscoveredApi, Template, Usual};
pub use engine::{ClientReport, Engine, Fact, Provenness, Restored, Snapshot, ThresholdReport};
pub use lessons::{Lesson, Undone};
pub use limit_tables::SetBy;
pub use settings::{Limit, Limits, Response, Settings, Training, Ttl};
pub use transaction::{ApiFacts, Carried, Carrier, Covers, Fate, Transaction};

/// Who is watched and may be listed: a network (one address; for IPv6 the client's block) or a credential by its keyed id.
pub use ase_core::identifier_list::ListedIdentifier as Identifier;
