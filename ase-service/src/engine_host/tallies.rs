//! What the engine's host counts and shows of the engine, for metrics and for operators. Reading never waits for the engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ase_core::time::UnixMillis;
use ase_engine::{Attack, Counters};

use crate::telemetry::exposition::{Kind, Page};

/// What becomes of an exchange or of a finding, beside what the engine counts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// An exchange that was not looked at because too many waited.
    Dropped,
    /// An exchange that the gateway did not let through.
    NotPassed,
    /// An exchange of a client that is on the allow list.
    AllowListed,
    /// A client that was put on the deny list.
    Listed,
    /// A client that the allow list has kept off the deny list.
    ListingSpared,
    /// A client that was not listed because listing by the engine is off.
    ListingOff,
    /// A listing that the disk refused; it is tried again.
    ListingFailed,
    /// A listing that was given up after the disk had refused it too often.
    ListingLost,
    /// A line of the attack log that could not be written.
    AttackLogFailed,
    /// A snapshot of what the engine has learned that was stored.
    SnapshotStored,
    /// One that the disk refused; the next one is tried.
    SnapshotFailed,
    /// A stored snapshot that was broken or of another version: the engine has begun anew.
    SnapshotUnreadable,
    /// A line of the stored snapshot that was no fact or had no room.
    SnapshotLeftOut,
}

/// What was counted, and the engine as it was a moment ago.
#[derive(Debug, Default)]
pub struct Tallies {
    events: [AtomicU64; Event::ALL.len()],
    by_attack: [AtomicU64; Attack::ALL.len()],
    state: Mutex<EngineState>,
    memory: Mutex<MemoryState>,
}

/// The engine as it was a moment ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineState {
    /// What it has counted.
    pub counters: Counters,
    /// Identifiers that it watches.
    pub watched: u32,
    /// How long the last exchanges had waited for it.
    pub behind: Duration,
}

/// What is kept of what the engine has learned.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryState {
    /// Facts that were there at the start.
    pub restored: u64,
    /// When the stored snapshot was made; `None` while there is none.
    pub stored: Option<UnixMillis>,
    /// How large it is.
    pub bytes: usize,
    /// How long the engine stood still for it.
    pub paused: Duration,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 13] = [
        Self::Dropped,
        Self::NotPassed,
        Self::AllowListed,
        Self::Listed,
        Self::ListingSpared,
        Self::ListingOff,
        Self::ListingFailed,
        Self::ListingLost,
        Self::AttackLogFailed,
        Self::SnapshotStored,
        Self::SnapshotFailed,
        Self::SnapshotUnreadable,
        Self::SnapshotLeftOut,
    ];

    /// Its name in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::NotPassed => "not_passed",
            Self::AllowListed => "allow_listed",
            Self::Listed => "listed",
            Self::ListingSpared => "listing_spared",
            Self::ListingOff => "listing_off",
            Self::ListingFailed => "listing_failed",
            Self::ListingLost => "listing_lost",
            Self::AttackLogFailed => "attack_log_failed",
            Self::SnapshotStored => "snapshot_stored",
            Self::SnapshotFailed => "snapshot_failed",
            Self::SnapshotUnreadable => "snapshot_unreadable",
            Self::SnapshotLeftOut => "snapshot_left_out",
        }
    }
}

impl Tallies {
    /// Counts.
    pub fn add(&self, event: Event, count: usize) {
        if let Some(counter) = self.events.get(event as usize) {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// How often something has happened.
    #[must_use]
    pub fn count(&self, event: Event) -> u64 {
        let counter = self.events.get(event as usize);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Counts a detection.
    pub fn detected(&self, attack: Attack) {
        if let Some(counter) = self.by_attack.get(attack as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each attack was detected.
    pub fn detections(&self) -> impl Iterator<Item = (Attack, u64)> {
        let counts = self.by_attack.iter();
        Attack::ALL
            .into_iter()
            .zip(counts.map(|counter| counter.load(Ordering::Relaxed)))
    }

    /// The engine as it was a moment ago.
    #[must_use]
    pub fn engine(&self) -> EngineState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self, state: EngineState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// What is kept of what it has learned.
    #[must_use]
    pub fn memory(&self) -> MemoryState {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, change: impl FnOnce(&mut MemoryState)) {
        change(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything that was counted, by name: the host's and the engine's.
    #[must_use]
    pub fn events(&self) -> Vec<(&'static str, u64)> {
        let Counters {
            transactions,
            duplicates,
            times_clamped,
            clock_set_back,
            clients_evicted,
            suspects_evicted,
            evidence_evicted,
            routes_refused,
            apis_shared,
            credentials_left_out,
            detections,
            simulated,
            proposals,
            lessons_refused,
            windows_displaced,
            route_baselines_displaced,
            sequences_halved,
            baselines_doubted,
            ..
        } = self.engine().counters;
        let mut events = vec![
            ("observed", transactions),
            ("duplicate", duplicates),
            ("time_clamped", times_clamped),
            ("clock_set_back", clock_set_back),
            ("client_evicted", clients_evicted),
            ("suspect_evicted", suspects_evicted),
            ("evidence_evicted", evidence_evicted),
            ("route_refused", routes_refused),
            ("api_shared", apis_shared),
            ("credential_left_out", credentials_left_out),
            ("detection", detections),
            ("simulated", simulated),
            ("proposal", proposals),
            ("lesson_refused", lessons_refused),
            ("window_displaced", windows_displaced),
            ("route_baseline_displaced", route_baselines_displaced),
            ("sequences_halved", sequences_halved),
            ("baseline_doubted", baselines_doubted),
        ];
        events.extend(Event::ALL.map(|event| (event.as_str(), self.count(event))));
        events
    }

    /// Adds the engine's metrics to the page.
    pub(crate) fn write(&self, page: &mut Page, (waiting, waiting_bytes): (usize, usize)) {
        let help = "What the behaviour engine and its host have counted (docs/engine.md).";
        let mut family = page.family("ase_engine_events_total", Kind::Counter, help);
        for (event, count) in self.events() {
            family.sample(&[("event", event)], count);
        }
        let help = "Detections of the behaviour engine, simulated ones included.";
        let mut family = page.family("ase_engine_detections_total", Kind::Counter, help);
        for (attack, count) in self.detections() {
            family.sample(&[("attack", attack.as_str())], count);
        }
        let state = self.engine();
        let help = "Client identifiers that the engine watches.";
        page.single("ase_engine_watched", Kind::Gauge, help, state.watched);
        let help = "How long the last exchanges had waited for the engine.";
        let behind = state.behind.as_secs_f64();
        page.single("ase_engine_behind_seconds", Kind::Gauge, help, behind);
        let help = "Exchanges that wait for the engine.";
        page.single("ase_engine_queue_exchanges", Kind::Gauge, help, waiting);
        let help = "Bytes of the exchanges that wait for the engine.";
        page.single("ase_engine_queue_bytes", Kind::Gauge, help, waiting_bytes);
    }
}
