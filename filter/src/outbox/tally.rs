//! What the outbox did, in numbers, until the plugin hands it to the host's counters.

use ase_core::transaction::FailureClass;

/// Why a record was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// It alone is larger than the queue.
    TooLarge,
    /// Every try failed.
    Attempts,
    /// ASE refused it.
    Rejected,
    /// The root context ended before it was delivered.
    Shutdown,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::QueueFull,
        Self::TooLarge,
        Self::Attempts,
        Self::Rejected,
        Self::Shutdown,
    ];

    /// Its name in counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Attempts => "attempts",
            Self::Rejected => "rejected",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts since the last hand-over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that came.
    pub queued: u64,
    /// Records that ASE took.
    pub delivered: u64,
    dropped: Vec<(DropReason, u64)>,
    failures: Vec<(FailureClass, u64)>,
}

impl Tally {
    /// Records that were lost, by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.dropped.iter().copied()
    }

    /// Calls that failed, by class.
    pub fn failures(&self) -> impl Iterator<Item = (FailureClass, u64)> {
        self.failures.iter().copied()
    }

    pub(super) fn drop_records(&mut self, reason: DropReason, records: u64) {
        if records > 0 {
            add(&mut self.dropped, reason, records);
        }
    }

    pub(super) fn fail(&mut self, class: FailureClass) {
        add(&mut self.failures, class, 1);
    }
}

fn add<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K, more: u64) {
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, count)) => *count += more,
        None => counts.push((key, more)),
    }
}
