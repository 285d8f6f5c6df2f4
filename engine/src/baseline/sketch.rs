//! A distribution in fixed space: counts in buckets whose bounds grow by [`GROWTH`], so quantiles are right to within six percent
//! of the value and one.
//!
//! Own code: a DDSketch crate gives the same error, and neither fading nor a fixed size nor its buckets for saving.

/// How much wider each bucket is than the one before.
const GROWTH: f32 = 1.12;
/// Enough for values up to 1.7 million; larger ones share the last bucket.
pub(super) const BUCKETS: usize = 128;
/// What makes a median absolute deviation comparable with a standard deviation of normal values.
const NORMAL: f32 = 1.4826;

/// A bucket that has faded to less holds nothing worth keeping.
pub(super) const NOTHING: f32 = 1e-6;

/// A distribution of values from 0 on.
#[derive(Clone, Debug)]
pub(super) struct Sketch(pub(super) [f32; BUCKETS]);

impl Sketch {
    pub(super) fn new() -> Self {
        Self([0.0; BUCKETS])
    }

    /// Adds a value; what is no number or negative counts as 0.
    pub(super) fn add(&mut self, value: f32) {
        if let Some(count) = self.0.get_mut(bucket(value)) {
            *count += 1.0;
        }
    }

    pub(super) fn fade(&mut self, factor: f32) {
        for count in &mut self.0 {
            *count *= factor;
        }
    }

    /// How many values are in it, faded.
    pub(super) fn total(&self) -> f32 {
        self.0.iter().sum()
    }

    /// The value that a share of all values does not exceed; 0 of nothing.
    pub(super) fn quantile(&self, share: f32) -> f32 {
        let wanted = self.total() * share;
        let mut sum = 0.0;
        for (place, count) in self.0.iter().enumerate() {
            sum += count;
            if *count > 0.0 && sum >= wanted {
                return value(place);
            }
        }
        let last = self.0.iter().rposition(|count| *count > 0.0);
        last.map_or(0.0, value)
    }

    /// The median absolute deviation from `median`, scaled to a standard deviation.
    pub(super) fn deviation(&self, median: f32) -> f32 {
        let mut apart: Vec<(f32, f32)> = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0.0)
            .map(|(place, count)| ((value(place) - median).abs(), *count))
            .collect();
        apart.sort_by(|one, other| one.0.total_cmp(&other.0));
        let wanted = self.total() / 2.0;
        let mut sum = 0.0;
        for (distance, count) in apart {
            sum += count;
            if sum >= wanted {
                return distance * NORMAL;
            }
        }
        0.0
    }
}

fn bucket(value: f32) -> usize {
    // A float that is no number or negative becomes 0.
    let place = (1.0 + value.max(0.0)).ln() / GROWTH.ln();
    (place as usize).min(BUCKETS - 1)
}

/// The middle of a bucket; 0 for the first, which holds what is nearly nothing.
fn value(place: usize) -> f32 {
    if place == 0 {
        return 0.0;
    }
    GROWTH.powf(place as f32 + 0.5) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_within_a_few_percent_over_six_decades() {
        let mut sketch = Sketch::new();
        for number in 1..=100_000_u32 {
            sketch.add(number as f32);
        }
        for (share, truth) in [(0.001, 100.0), (0.5, 50_000.0), (0.995, 99_500.0)] {
            let error = (sketch.quantile(share) / truth - 1.0_f32).abs();
            assert!(error < 0.08, "{share}: {}", sketch.quantile(share));
        }
    }

    #[test]
    fn a_few_extreme_values_do_not_move_the_median_or_the_deviation() {
        let mut sketch = Sketch::new();
        for number in 0..1_000_u32 {
            sketch.add(90.0 + (number % 20) as f32);
        }
        let before = (sketch.quantile(0.5), sketch.deviation(100.0));
        for _ in 0..50 {
            sketch.add(1_000_000.0);
        }
        assert!((sketch.quantile(0.5) / before.0 - 1.0).abs() < 0.13);
        assert!(sketch.deviation(100.0) < 20.0, "{before:?}");
    }

    #[test]
    fn any_value_has_a_bucket() {
        let mut sketch = Sketch::new();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MAX] {
            sketch.add(value);
        }
        assert_eq!(sketch.total(), 5.0);
        assert!(sketch.quantile(1.0).is_finite());
        assert!(sketch.deviation(0.0).is_finite());
    }
}
