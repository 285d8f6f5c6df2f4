//! Exchanges that went into the access log's queue, by what the gateway did and how they ended.

use std::hash::Hash;

use ase_core::transaction::{End, FailureClass, GatewayDecision};

use super::tally::Tally;

/// The counts.
#[derive(Debug)]
pub struct Exchanges {
    ended: Tally<(&'static str, &'static str), 1>,
    failed: Tally<(&'static str, &'static str), 1>,
}

/// One line's place in the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What the gateway did.
    pub decision: GatewayDecision,
    /// How the exchange ended.
    pub end: End,
}

impl Default for Exchanges {
    /// Failures begin with zeros, so that an alert has something to compare with.
    fn default() -> Self {
        let failed = Tally::default();
        for class in FailureClass::ALL {
            for decision in [
                GatewayDecision::FailOpen(class),
                GatewayDecision::FailedClosed(class),
                GatewayDecision::ShadowFailedClosed(class),
            ] {
                failed.add(&(decision.as_str(), class.as_str()), 0, 0);
            }
        }
        Self {
            ended: Tally::default(),
            failed,
        }
    }
}

impl Exchanges {
    /// Counts an exchange when it has ended.
    pub fn count(&self, kind: Kind) {
        if kind.end == End::Open {
            return;
        }
        let decision = kind.decision.as_str();
        self.ended.add(&(decision, kind.end.as_str()), 0, 1);
        if let Some(class) = kind.decision.cause() {
            self.failed.add(&(decision, class.as_str()), 0, 1);
        }
    }

    /// Every pair of decision and outcome that has occurred.
    #[must_use]
    pub fn ended(&self) -> Vec<((&'static str, &'static str), u64)> {
        counts(&self.ended)
    }

    /// Exchanges without a verdict, by what the gateway did then and why.
    #[must_use]
    pub fn failed(&self) -> Vec<((&'static str, &'static str), u64)> {
        counts(&self.failed)
    }
}

fn counts<K: Ord + Hash + Clone>(tally: &Tally<K, 1>) -> Vec<(K, u64)> {
    let read = tally.read().into_iter();
    read.map(|(key, [count])| (key, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_under_its_cause_and_its_outcome() {
        let exchanges = Exchanges::default();
        let (decision, end) = (
            GatewayDecision::FailOpen(FailureClass::Timeout),
            End::Upstream,
        );
        exchanges.count(Kind { decision, end });
        assert_eq!(exchanges.ended(), [(("fail_open", "upstream"), 1)]);
        let failed = exchanges.failed();
        assert_eq!(failed.len(), 3 * FailureClass::ALL.len());
        let nonzero: Vec<_> = failed.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(nonzero, [&(("fail_open", "timeout"), 1)]);
    }
}
