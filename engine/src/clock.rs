//! The engine's time: tenths of a second since shortly before its first call, which never run backwards.
//!
//! The host's clock may be set back; the engine's then stands still for steps of seconds and is shifted for longer ones, so
//! that nothing stops to decay for hours. A gateway's clock is trusted only within [`LATE_MS`] before now.

use ase_core::time::UnixMillis;

use crate::counters::Counters;

/// How much older than now a transaction may be before it counts as having come now less this.
pub(crate) const LATE_MS: u64 = 60 * 60 * 1000;
/// Steps of the host's clock backwards up to this long are waited for.
const PATIENCE_MS: u64 = 60 * 1000;
const UNIT_MS: u64 = 100;
/// Room for transactions from before the first call.
const FIRST: u64 = 2 * LATE_MS;

/// An instant, in tenths of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) u32);

#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// The host's time that is the engine's [`FIRST`].
    origin: Option<u64>,
    /// The latest time of the host, by its own clock as shifted.
    latest: u64,
    /// What is added to the host's clock because it was set back.
    shift: u64,
}

impl Moment {
    pub(crate) fn seconds_since(self, earlier: Self) -> f32 {
        self.0.saturating_sub(earlier.0) as f32 / 10.0
    }

    pub(crate) fn after_millis(self, millis: u128) -> Self {
        let units = u32::try_from(millis / u128::from(UNIT_MS)).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(units))
    }
}

impl Clock {
    /// Takes the host's time and gives the engine's.
    pub(crate) fn advance(&mut self, now: UnixMillis, counters: &mut Counters) -> Moment {
        if self.origin.is_none() {
            self.origin = Some(now.0);
            self.latest = now.0;
        }
        let shifted = now.0.saturating_add(self.shift);
        if shifted.saturating_add(PATIENCE_MS) < self.latest {
            counters.clock_set_back += 1;
            self.shift = self.shift.saturating_add(self.latest - shifted);
        } else {
            self.latest = self.latest.max(shifted);
        }
        self.moment(self.latest)
    }

    /// When a transaction happened, within what is believed of a gateway's clock.
    pub(crate) fn of(&self, at: UnixMillis, counters: &mut Counters) -> Moment {
        let claimed = at.0.saturating_add(self.shift);
        let believed = claimed.clamp(self.latest.saturating_sub(LATE_MS), self.latest);
        if claimed.abs_diff(believed) > PATIENCE_MS {
            counters.times_clamped += 1;
        }
        self.moment(believed)
    }

    /// The latest time.
    pub(crate) fn now(&self) -> Moment {
        self.moment(self.latest)
    }

    /// A time of the host's clock, whenever it is.
    pub(crate) fn moment_of(&self, time: UnixMillis) -> Moment {
        self.moment(time.0.saturating_add(self.shift))
    }

    /// A moment by the host's clock.
    pub(crate) fn unix(&self, moment: Moment) -> UnixMillis {
        let since = (u64::from(moment.0) * UNIT_MS).saturating_add(self.origin.unwrap_or(0));
        UnixMillis(since.saturating_sub(FIRST).saturating_sub(self.shift))
    }

    fn moment(&self, shifted: u64) -> Moment {
        let since = shifted
            .saturating_add(FIRST)
            .saturating_sub(self.origin.unwrap_or(0));
        Moment(u32::try_from(since / UNIT_MS).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_700_000_000_000;

    #[test]
    fn a_clock_that_is_set_back_by_a_day_goes_on_from_where_it_was() {
        let (mut clock, mut counters) = (Clock::default(), Counters::default());
        let before = clock.advance(UnixMillis(NOON), &mut counters);
        let back = clock.advance(UnixMillis(NOON - 86_400_000), &mut counters);
        let later = clock.advance(UnixMillis(NOON - 86_400_000 + 5_000), &mut counters);
        assert_eq!(back, before);
        assert_eq!(later.seconds_since(before), 5.0);
        assert_eq!(counters.clock_set_back, 1);
        assert_eq!(clock.unix(later), UnixMillis(NOON - 86_400_000 + 5_000));
    }

    #[test]
    fn a_gateway_whose_clock_is_wrong_is_believed_for_an_hour_back_and_not_forwards() {
        let (mut clock, mut counters) = (Clock::default(), Counters::default());
        let now = clock.advance(UnixMillis(NOON), &mut counters);
        assert_eq!(clock.of(UnixMillis(NOON + 86_400_000), &mut counters), now);
        let oldest = clock.of(UnixMillis(0), &mut counters);
        assert_eq!(now.seconds_since(oldest), 3600.0);
        assert_eq!(counters.times_clamped, 2);
        let late = clock.of(UnixMillis(NOON - 3_000), &mut counters);
        assert_eq!(now.seconds_since(late), 3.0);
    }
}
