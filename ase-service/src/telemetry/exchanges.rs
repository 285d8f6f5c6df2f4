//! Exchanges that went into the access log, by what the gateway did and how they ended.

use std::sync::atomic::{AtomicU64, Ordering};

use ase_core::transaction::{End, FailureClass, GatewayDecision};

const DECISIONS: usize = 8;
const ENDS: usize = 5;
const CLASSES: usize = FailureClass::ALL.len();

/// The counts.
#[derive(Debug, Default)]
pub struct Exchanges {
    ended: [[AtomicU64; ENDS]; DECISIONS],
    open: [AtomicU64; CLASSES],
    closed: [AtomicU64; CLASSES],
}

/// One line's place in the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What the gateway did.
    pub decision: GatewayDecision,
    /// How the exchange ended.
    pub end: End,
}

/// One count of exchanges without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// `fail_open` or `failed_closed`.
    pub decision: &'static str,
    /// Why there was no verdict.
    pub cause: FailureClass,
    /// How many.
    pub count: u64,
}

impl Exchanges {
    /// Counts an exchange.
    pub fn count(&self, kind: Kind) {
        let of_decision = self.ended.get(decision_slot(kind.decision));
        add(of_decision.and_then(|ends| ends.get(end_slot(kind.end))));
        match kind.decision {
            GatewayDecision::FailOpen(class) => add(class_slot(&self.open, class)),
            GatewayDecision::FailedClosed(class) => add(class_slot(&self.closed, class)),
            GatewayDecision::Verdict
            | GatewayDecision::Async
            | GatewayDecision::Unregistered
            | GatewayDecision::Denied
            | GatewayDecision::UnregisteredBlocked
            | GatewayDecision::Undecided => {}
        }
    }

    /// Every pair that has occurred: decision, outcome, count.
    #[must_use]
    pub fn ended(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut found = Vec::new();
        for decision in example_decisions() {
            for end in [
                End::Upstream,
                End::Denied,
                End::Failed,
                End::Aborted,
                End::Gateway,
            ] {
                let ends = self.ended.get(decision_slot(decision));
                let count = ends.and_then(|ends| ends.get(end_slot(end)));
                let count = count.map_or(0, |count| count.load(Ordering::Relaxed));
                if count > 0 {
                    found.push((decision.as_str(), end.as_str(), count));
                }
            }
        }
        found
    }

    /// Exchanges without a verdict, by cause; zeros included, so that an alert has something to compare with.
    #[must_use]
    pub fn failed(&self) -> Vec<Failed> {
        let open = FailureClass::ALL.iter().zip(&self.open);
        let closed = FailureClass::ALL.iter().zip(&self.closed);
        let read = |decision| {
            move |(cause, count): (&FailureClass, &AtomicU64)| Failed {
                decision,
                cause: *cause,
                count: count.load(Ordering::Relaxed),
            }
        };
        let open = open.map(read("fail_open"));
        open.chain(closed.map(read("failed_closed"))).collect()
    }
}

fn add(count: Option<&AtomicU64>) {
    if let Some(count) = count {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn class_slot(counts: &[AtomicU64; CLASSES], class: FailureClass) -> Option<&AtomicU64> {
    let slot = FailureClass::ALL.iter().position(|known| *known == class);
    slot.and_then(|slot| counts.get(slot))
}

fn example_decisions() -> [GatewayDecision; DECISIONS] {
    let class = FailureClass::Timeout;
    [
        GatewayDecision::Verdict,
        GatewayDecision::Async,
        GatewayDecision::Unregistered,
        GatewayDecision::FailOpen(class),
        GatewayDecision::Denied,
        GatewayDecision::UnregisteredBlocked,
        GatewayDecision::FailedClosed(class),
        GatewayDecision::Undecided,
    ]
}

fn decision_slot(decision: GatewayDecision) -> usize {
    match decision {
        GatewayDecision::Verdict => 0,
        GatewayDecision::Async => 1,
        GatewayDecision::Unregistered => 2,
        GatewayDecision::FailOpen(_) => 3,
        GatewayDecision::Denied => 4,
        GatewayDecision::UnregisteredBlocked => 5,
        GatewayDecision::FailedClosed(_) => 6,
        GatewayDecision::Undecided => 7,
    }
}

fn end_slot(end: End) -> usize {
    match end {
        End::Upstream => 0,
        End::Denied => 1,
        End::Failed => 2,
        End::Aborted => 3,
        End::Gateway => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_and_end_has_its_own_count() {
        let exchanges = Exchanges::default();
        let mut expected = Vec::new();
        let ends = [
            End::Upstream,
            End::Denied,
            End::Failed,
            End::Aborted,
            End::Gateway,
        ];
        let pairs = example_decisions()
            .into_iter()
            .flat_map(|decision| ends.map(|end| (decision, end)));
        for (amount, (decision, end)) in (1..).zip(pairs) {
            for _ in 0..amount {
                exchanges.count(Kind { decision, end });
            }
            expected.push((decision.as_str(), end.as_str(), amount));
        }
        assert_eq!(exchanges.ended(), expected);
        let failed: u64 = exchanges.failed().iter().map(|failed| failed.count).sum();
        let of_failures = expected
            .iter()
            .filter(|(decision, _, _)| decision.starts_with("fail"));
        let of_failures: u64 = of_failures.map(|(_, _, amount)| amount).sum();
        assert_eq!(failed, of_failures);
    }
}
