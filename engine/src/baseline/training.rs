//! What one API, or one of its routes, has taught: a sketch per quantity, how far its training is, and the thresholds that follow.
//!
//! Nothing is offered before the training is over. A threshold then follows what is learned, by at most [`DAILY_FACTOR`] a day
//! either way and never beyond the bounds of its quantity: who raises the baseline slowly gets that far and no farther.

use crate::client::Bitmap;
use crate::clock::Moment;
use crate::settings::Training;

use super::quantity::{Beyond, Quantity};
use super::sketch::Sketch;

/// How much a threshold may change in a day.
pub(super) const DAILY_FACTOR: f32 = 1.25;
const REFRESH_SECONDS: f32 = 60.0 * 60.0;
const DAY_SECONDS: f32 = 24.0 * 60.0 * 60.0;
/// What was learned counts half after so many days.
const HALF_LIFE_DAYS: f32 = 7.0;
/// Silence beyond this is no time of traffic.
const SILENCE_SECONDS: f32 = 10.0 * 60.0;
/// The share of windows that are usual by definition, and how far above them a threshold lies.
const USUAL_SHARE: f32 = 0.995;
const USUAL_FACTOR: f32 = 3.0;
/// Bits add up: as a probability, half as many again is far more than that.
const SURPRISE_FACTOR: f32 = 1.5;
const DEVIATIONS: f32 = 10.0;
/// One window in so many that a training needs must have something of a quantity.
const LEAST_SHARE: f32 = 4.0;
/// Clients above a threshold within an hour, beyond which the API has changed and not they: so many, and such a share of all.
const CROWD: f32 = 4.5;
const CROWD_SHARE: f32 = 0.05;
/// How long it has changed then: as a threshold comes up to what is usual now, few are above it before it has passed them.
const DOUBTED_HOURS: u8 = 24;

/// Whose traffic a baseline is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Api,
    Route,
}

/// A baseline.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    pub(super) of: Of,
    /// Of a route the first [`Quantity::OF_ROUTE`] only.
    pub(super) sketches: Box<[Sketch]>,
    pub(super) thresholds: [Option<f32>; Quantity::COUNT],
    /// Seconds with traffic.
    pub(super) traffic_seconds: f64,
    /// Windows learned from.
    pub(super) windows: u32,
    /// Sessions that the sequence model has learned from; none of a route.
    pub(super) sessions: u32,
    /// The clients learned from.
    pub(super) clients: Bitmap<4>,
    pub(super) last: Moment,
    pub(super) refreshed: Moment,
    /// Who has been seen since, and who of them above a threshold.
    pub(super) active: Bitmap<4>,
    pub(super) above: Bitmap<2>,
    /// Hours until thresholds count again, after one in which a crowd was above one.
    pub(super) doubted_for: u8,
}

impl Of {
    /// What is measured of it.
    pub(super) fn measured(self) -> &'static [Quantity] {
        match self {
            Self::Api => &Quantity::ALL,
            Self::Route => Quantity::ALL.get(..Quantity::OF_ROUTE).unwrap_or_default(),
        }
    }

    /// No threshold learned of it is below.
    pub(super) fn floor(self, quantity: Quantity) -> f32 {
        let place = quantity.place();
        match self {
            Self::Api => place.floor,
            Self::Route => place.route_floor,
        }
    }
}

impl Baseline {
    pub(super) fn new(of: Of, at: Moment) -> Self {
        let measured = of.measured();
        Self {
            of,
            sketches: measured.iter().map(|_| Sketch::new()).collect(),
            thresholds: [None; Quantity::COUNT],
            traffic_seconds: 0.0,
            windows: 0,
            sessions: 0,
            clients: Bitmap::default(),
            last: at,
            refreshed: at,
            active: Bitmap::default(),
            above: Bitmap::default(),
            doubted_for: 0,
        }
    }

    /// Traffic of a client at a moment.
    pub(super) fn pass(&mut self, client: u64, at: Moment, training: &Training) {
        self.active.insert(client);
        self.traffic_seconds += f64::from(at.seconds_since(self.last).min(SILENCE_SECONDS));
        self.last = self.last.max(at);
        let since = at.seconds_since(self.refreshed);
        if since >= REFRESH_SECONDS {
            self.refreshed = at;
            self.refresh((since / DAY_SECONDS).min(1.0), training);
        }
    }

    /// Learns a value of a window.
    pub(super) fn learn(&mut self, quantity: Quantity, value: f32) {
        if let Some(sketch) = self.sketches.get_mut(quantity as usize) {
            sketch.add(value);
        }
    }

    pub(super) fn threshold(&self, quantity: Quantity) -> Option<f32> {
        self.thresholds.get(quantity as usize).copied().flatten()
    }

    /// Whether a client above a threshold is one of few. Where many are, it is the API that has changed: nobody stands out
    /// until a day has passed without a crowd, in which thresholds follow. Suspects make none.
    pub(super) fn stands_out(&mut self, client: u64, suspect: bool) -> bool {
        if !suspect {
            self.above.insert(client);
        }
        self.doubted_for == 0 && !self.is_crowded()
    }

    fn is_crowded(&self) -> bool {
        self.above.count() > (self.active.count() * CROWD_SHARE).max(CROWD)
    }

    /// How much of the training is done, from 0 to 1.
    pub(super) fn progress(&self, training: &Training) -> f32 {
        let of = |done: f32, wanted: f32| {
            if wanted <= 0.0 { 1.0 } else { done / wanted }
        };
        of(self.traffic_seconds as f32, training.period.as_secs_f32())
            .min(of(self.windows as f32, training.windows as f32))
            .min(of(self.clients.count().round(), training.clients as f32))
            .clamp(0.0, 1.0)
    }

    fn refresh(&mut self, days: f32, training: &Training) {
        self.doubted_for = match self.is_crowded() {
            true => DOUBTED_HOURS,
            false => self.doubted_for.saturating_sub(1),
        };
        self.active.clear();
        self.above.clear();
        if self.progress(training) >= 1.0 {
            let change = DAILY_FACTOR.powf(days);
            for &quantity in self.of.measured() {
                let before = self.threshold(quantity);
                let offer = self.offer(quantity, training);
                if let Some(threshold) = self.thresholds.get_mut(quantity as usize) {
                    *threshold = follow(before, offer, change, quantity);
                }
            }
        }
        let factor = (-days / HALF_LIFE_DAYS).exp2();
        for sketch in &mut self.sketches {
            sketch.fade(factor);
        }
    }

    /// The threshold that the windows learned so far speak for.
    fn offer(&self, quantity: Quantity, training: &Training) -> Option<f32> {
        let sketch = self.sketches.get(quantity as usize)?;
        let place = quantity.place();
        let factor = match quantity {
            Quantity::Surprise => SURPRISE_FACTOR,
            Quantity::Calls
            | Quantity::Objects
            | Quantity::Megabytes
            | Quantity::Writes
            | Quantity::Deletes
            | Quantity::FailedRoutes => USUAL_FACTOR,
        };
        // What hardly anybody does has no usual amount.
        if sketch.total() < training.windows as f32 / LEAST_SHARE {
            return None;
        }
        let median = sketch.quantile(0.5);
        let robust = median + DEVIATIONS * sketch.deviation(median);
        let usual = (sketch.quantile(USUAL_SHARE) * factor).max(robust);
        match place.above_ceiling {
            Beyond::Nothing if usual > place.ceiling => None,
            Beyond::Nothing | Beyond::Ceiling => {
                Some(usual.clamp(self.of.floor(quantity), place.ceiling))
            }
        }
    }
}

/// Where a threshold goes in one step.
fn follow(before: Option<f32>, offer: Option<f32>, change: f32, quantity: Quantity) -> Option<f32> {
    let place = quantity.place();
    let Some(before) = before else {
        return offer;
    };
    // Without an offer the threshold goes up as fast as it may, so that nobody loses it at one stroke.
    let wanted = offer.unwrap_or(place.ceiling);
    Some(wanted.clamp(before / change, before * change)).map(|next| next.min(place.ceiling))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 36_000;

    /// Hours of an ordinary API: every hour 60 windows of 10 to 29 objects, and some more of somebody else's.
    fn hours(baseline: &mut Baseline, hours: std::ops::Range<u32>, others: impl Fn(u32) -> f32) {
        for hour in hours {
            for number in 0..60_u32 {
                let at = Moment(hour * HOUR + number * HOUR / 60);
                baseline.pass(u64::from(number) << 40 | 7, at, &Training::default());
                baseline
                    .clients
                    .insert(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                baseline.windows += 1;
                baseline.learn(Quantity::Objects, 10.0 + (number % 20) as f32);
                if number % 3 == 0 {
                    baseline.learn(Quantity::Objects, others(hour));
                }
            }
        }
    }

    #[test]
    fn a_threshold_is_offered_after_the_training_and_far_above_what_is_usual() {
        let mut baseline = Baseline::new(Of::Api, Moment(0));
        hours(&mut baseline, 0..20, |_| 60.0);
        assert_eq!(baseline.threshold(Quantity::Objects), None);
        assert!(baseline.progress(&Training::default()) < 1.0);
        hours(&mut baseline, 20..30, |_| 60.0);
        assert_eq!(baseline.progress(&Training::default()), 1.0);
        let threshold = baseline.threshold(Quantity::Objects).unwrap();
        assert!((150.0..300.0).contains(&threshold), "{threshold}");
    }

    #[test]
    fn who_poisons_slowly_gets_a_quarter_a_day_and_never_past_the_ceiling() {
        let mut baseline = Baseline::new(Of::Api, Moment(0));
        hours(&mut baseline, 0..30, |_| 20.0);
        let first = baseline.threshold(Quantity::Objects).unwrap();
        for day in 0..60 {
            let from = 30 + day * 24;
            // A quarter of all windows is the attacker's, who takes as much as is let through.
            let dares = |_| first * 1.2_f32.powf(day as f32);
            hours(&mut baseline, from..from + 24, dares);
            let threshold = baseline.threshold(Quantity::Objects).unwrap();
            assert!(threshold <= first * DAILY_FACTOR.powf(day as f32 + 1.1));
            assert!(threshold <= Quantity::Objects.place().ceiling);
        }
        // The other way: nobody gets it down to where it hits ordinary clients.
        hours(&mut baseline, 1470..3000, |_| 0.0);
        let low = baseline.threshold(Quantity::Objects).unwrap();
        assert!(low >= Quantity::Objects.place().floor, "{low}");
    }

    #[test]
    fn a_quantity_without_bounds_in_ordinary_traffic_has_no_threshold_of_surprise() {
        let mut baseline = Baseline::new(Of::Api, Moment(0));
        for number in 0..200 {
            baseline.learn(Quantity::Surprise, 9.0 + (number % 3) as f32);
        }
        let offer = baseline.offer(Quantity::Surprise, &Training::default());
        assert_eq!(offer, None);
    }

    #[test]
    fn many_who_rise_together_are_the_api_and_a_few_are_not() {
        let hash = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        let mut baseline = Baseline::new(Of::Api, Moment(0));
        for number in 0..100 {
            baseline.pass(hash(number), Moment(1), &Training::default());
        }
        assert!((0..4).all(|number| baseline.stands_out(hash(number), false)));
        assert!(!(4..30).all(|number| baseline.stands_out(hash(number), false)));
        assert!(!baseline.stands_out(hash(30), false));
    }
}
