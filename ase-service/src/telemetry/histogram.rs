//! Durations in buckets of fixed bounds; adding one is two relaxed additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds, with their text in seconds. The last bucket has none.
const BOUNDS: [(u64, &str); 18] = [
    (5, "0.000005"),
    (10, "0.00001"),
    (25, "0.000025"),
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1000, "0.001"),
    (2500, "0.0025"),
    (5000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
];

/// Counts of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// A histogram at one moment, with counts that include those of all smaller bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Upper bound in seconds, as text, and how many durations were at most that.
    pub at_most: Vec<(&'static str, u64)>,
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Histogram {
    /// Adds a duration.
    pub fn record(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let slot = BOUNDS.partition_point(|(micros, _)| micros.saturating_mul(1000) < nanos);
        if let Some(bucket) = self.buckets.get(slot) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What has been recorded so far.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut count = 0_u64;
        let mut at_most = Vec::with_capacity(BOUNDS.len());
        let mut bounds = BOUNDS.iter();
        for bucket in &self.buckets {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            if let Some((_, seconds)) = bounds.next() {
                at_most.push((*seconds, count));
            }
        }
        Reading {
            at_most,
            count,
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_that_is_not_below_it() {
        let histogram = Histogram::default();
        for micros in [5, 6, 3_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let reading = histogram.read();
        assert_eq!(reading.at_most[0], ("0.000005", 1));
        assert_eq!(reading.at_most[1], ("0.00001", 2));
        assert_eq!(reading.at_most.last(), Some(&("2.5", 2)));
        assert_eq!(reading.count, 3);
        assert_eq!(reading.sum, Duration::from_micros(3_000_011));
    }

    #[test]
    fn the_text_of_each_bound_is_its_number_in_seconds() {
        for (micros, text) in BOUNDS {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!((seconds * 1e6).round() as u64, micros, "{text}");
        }
    }
}
