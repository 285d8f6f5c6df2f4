//! What operators watch: readiness, counts per API, latencies, and the page of metrics.
//!
//! On the path of a question there is one relaxed addition per fact, never a lock. Labels are bounded: API ids, names of our own
//! enums, nothing that a client chooses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ase_core::api_id::ApiId;
use ase_core::transaction::VerdictLabel;

use crate::health::Health;

pub mod exchanges;
pub mod exposition;
pub mod histogram;
pub mod list_sizes;
pub mod metrics;
pub mod port;
pub mod process;
pub mod sideband_stats;

use histogram::Histogram;
use list_sizes::ListSizes;

/// Most APIs that are counted apart, those that have been taken away included; the others are only in the totals.
const MAX_APIS: usize = 10_000;

/// The verdicts that name an API.
const API_VERDICTS: [VerdictLabel; 3] = [
    VerdictLabel::Allowed,
    VerdictLabel::WouldBlock,
    VerdictLabel::Blocked,
];

/// Everything that is measured outside the counters.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Whether ASE should be asked.
    pub health: Health,
    /// How long a question took, from its whole body to its answer.
    pub question_time: Histogram,
    /// How long a batch took, from its whole body to its answer; the wait for the disk included.
    pub batch_time: Histogram,
    /// How many entries the lists hold.
    pub list_sizes: ListSizes,
    verdicts: ArcSwap<BTreeMap<ApiId, Arc<ApiVerdicts>>>,
}

#[derive(Debug, Default)]
struct ApiVerdicts([AtomicU64; API_VERDICTS.len()]);

impl Telemetry {
    /// Counts a verdict for its API.
    pub fn verdict(&self, api: &ApiId, label: VerdictLabel) {
        if let Some(verdicts) = self.verdicts.load().get(api) {
            verdicts.count(label);
            return;
        }
        self.verdicts.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            if known.len() < MAX_APIS {
                known.entry(api.clone()).or_default();
            }
            known
        });
        if let Some(verdicts) = self.verdicts.load().get(api) {
            verdicts.count(label);
        }
    }

    /// Every API that got a verdict, with its counts.
    #[must_use]
    pub fn verdicts(&self) -> Vec<(ApiId, VerdictLabel, u64)> {
        let known = self.verdicts.load();
        let counts = known.iter().flat_map(|(api, verdicts)| {
            let labelled = API_VERDICTS.iter().zip(&verdicts.0);
            labelled.map(|(label, count)| (api.clone(), *label, count.load(Ordering::Relaxed)))
        });
        counts.collect()
    }
}

impl ApiVerdicts {
    fn count(&self, label: VerdictLabel) {
        let slot = API_VERDICTS.iter().position(|known| *known == label);
        if let Some(count) = slot.and_then(|slot| self.0.get(slot)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_by_api_from_any_thread() {
        let telemetry = Telemetry::default();
        let [shop, cards] = ["shop", "cards"].map(|id| ApiId::parse(id).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        telemetry.verdict(&shop, VerdictLabel::Blocked);
                        telemetry.verdict(&cards, VerdictLabel::Allowed);
                    }
                });
            }
        });
        let counted: Vec<_> = telemetry.verdicts();
        let nonzero: Vec<_> = counted.iter().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(
            nonzero,
            [
                &(cards, VerdictLabel::Allowed, 4000),
                &(shop, VerdictLabel::Blocked, 4000)
            ]
        );
    }
}
