//! What a connection is at, told without a clock: calls and reads are only counted, and a rare look compares the counts.
//!
//! A call costs a few relaxed additions. How long something lasts is known to the nearest look, a quarter of the shortest timeout.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::config::transport::TransportLimits;

/// The counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    begun: AtomicU32,
    ended: AtomicU32,
    reads: AtomicU32,
    /// Reads up to the end of the last call.
    reads_of_calls: AtomicU32,
    /// Whether an answer was given before the whole call had come.
    hurried: AtomicBool,
    /// Whether the call under way waits for its body; of HTTP/1 only, where calls come one after another.
    in_body: AtomicBool,
    /// Whether the body has taken too long.
    body_given_up: AtomicBool,
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A call is under way.
    InCall,
    /// A call is under way whose body has not come yet.
    InBody,
    /// Something came that is no whole header section yet.
    InHead,
    /// Nothing came since the last call.
    Idle,
}

/// A call under way; ends when dropped, an abandoned one too.
pub(super) struct UnderWay<'a>(&'a Activity);

/// The wait for a body; ends when dropped.
pub(super) struct BodyAwaited<'a>(&'a Activity);

impl Activity {
    pub(super) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    pub(super) fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    pub(super) fn hurried(&self) -> bool {
        self.hurried.load(Ordering::Relaxed)
    }

    /// The call under way waits for its body from here on.
    pub(super) fn await_body(&self) -> BodyAwaited<'_> {
        self.body_given_up.store(false, Ordering::Relaxed);
        self.in_body.store(true, Ordering::Relaxed);
        BodyAwaited(self)
    }

    /// Whether the body has taken too long; the call is polled when this changes.
    pub(super) fn body_given_up(&self) -> bool {
        self.body_given_up.load(Ordering::Relaxed)
    }

    /// The call under way shall not wait for its body any longer.
    pub(super) fn give_body_up(&self) {
        self.body_given_up.store(true, Ordering::Relaxed);
    }

    fn phase(&self) -> (Phase, u32) {
        let begun = self.begun.load(Ordering::Relaxed);
        let phase = if self.ended.load(Ordering::Relaxed) != begun {
            if self.in_body.load(Ordering::Relaxed) {
                Phase::InBody
            } else {
                Phase::InCall
            }
        } else if self.reads.load(Ordering::Relaxed) != self.reads_of_calls.load(Ordering::Relaxed)
            // What came may be the rest of a body whose call was answered without it.
            && !self.hurried()
        {
            Phase::InHead
        } else {
            Phase::Idle
        };
        (phase, begun)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let reads = self.0.reads.load(Ordering::Relaxed);
        self.0.reads_of_calls.store(reads, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for BodyAwaited<'_> {
    fn drop(&mut self) {
        self.0.in_body.store(false, Ordering::Relaxed);
    }
}

/// The longest that a connection may stay in a phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a header section.
    pub(super) head: Duration,
    /// For a body.
    pub(super) body: Duration,
    /// Without a call.
    pub(super) idle: Duration,
}

impl Timeouts {
    /// Of a connection whose calls come one after another.
    pub(super) fn http1(limits: &TransportLimits) -> Self {
        Self {
            head: limits.header_timeout,
            body: limits.body_timeout,
            idle: limits.idle_timeout,
        }
    }

    /// Of a connection on which calls come side by side: its frames are no sign of a call that has begun, and bodies have
    /// clocks of their own.
    pub(super) fn http2(limits: &TransportLimits) -> Self {
        Self {
            head: limits.idle_timeout,
            body: Duration::MAX,
            idle: limits.idle_timeout,
        }
    }
}

/// How long a connection has been in its phase.
#[derive(Debug)]
pub(super) struct Patience {
    timeouts: Timeouts,
    last: (Phase, u32),
    since: Instant,
}

/// What a look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Look again.
    Wait,
    /// The rest of a header section does not come.
    SlowHead,
    /// The rest of a body does not come.
    SlowBody,
    /// Nothing was asked for too long.
    TooIdle,
}

impl Patience {
    pub(super) fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self {
            timeouts,
            last: (Phase::Idle, 0),
            since: now,
        }
    }

    /// When the next look is due after this one.
    pub(super) fn pause(&self) -> Duration {
        let Timeouts { head, body, idle } = self.timeouts;
        head.min(body).min(idle) / 4
    }

    pub(super) fn look(&mut self, activity: &Activity, now: Instant) -> Look {
        let found = activity.phase();
        if found != self.last {
            self.last = found;
            self.since = now;
        }
        let lasted = now.duration_since(self.since);
        match found.0 {
            Phase::InHead if lasted >= self.timeouts.head => Look::SlowHead,
            Phase::InBody if lasted >= self.timeouts.body => Look::SlowBody,
            Phase::Idle if lasted >= self.timeouts.idle => Look::TooIdle,
            Phase::InCall | Phase::InBody | Phase::InHead | Phase::Idle => Look::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        head: Duration::from_secs(10),
        body: Duration::from_secs(20),
        idle: Duration::from_secs(60),
    };

    #[test]
    fn a_head_that_drips_is_too_slow_and_a_call_never_is() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (activity, mut patience) = (Activity::default(), Patience::new(TIMEOUTS, start));
        assert_eq!(patience.look(&activity, at(1)), Look::Wait);
        for second in 2..12 {
            activity.read();
            assert_eq!(patience.look(&activity, at(second)), Look::Wait, "{second}");
        }
        assert_eq!(patience.look(&activity, at(12)), Look::SlowHead);
        let call = activity.begin();
        assert_eq!(patience.look(&activity, at(13)), Look::Wait);
        assert_eq!(patience.look(&activity, at(10_000)), Look::Wait);
        drop(call);
        assert_eq!(patience.look(&activity, at(10_001)), Look::Wait);
        assert_eq!(patience.look(&activity, at(10_060)), Look::Wait);
        assert_eq!(patience.look(&activity, at(10_061)), Look::TooIdle);
    }

    #[test]
    fn the_rest_of_a_body_after_its_answer_is_no_slow_head() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (activity, mut patience) = (Activity::default(), Patience::new(TIMEOUTS, start));
        activity.read();
        let call = activity.begin();
        activity.hurry();
        drop(call);
        activity.read();
        assert_eq!(patience.look(&activity, at(1)), Look::Wait);
        assert_eq!(patience.look(&activity, at(60)), Look::Wait);
        assert_eq!(patience.look(&activity, at(61)), Look::TooIdle);
    }

    #[test]
    fn calls_between_two_looks_restart_the_wait() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (activity, mut patience) = (Activity::default(), Patience::new(TIMEOUTS, start));
        for second in (50..500).step_by(50) {
            activity.read();
            drop(activity.begin());
            assert_eq!(patience.look(&activity, at(second)), Look::Wait, "{second}");
        }
    }

    #[test]
    fn a_body_that_does_not_come_is_too_slow_and_its_call_then_is_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (activity, mut patience) = (Activity::default(), Patience::new(TIMEOUTS, start));
        activity.read();
        let call = activity.begin();
        let awaited = activity.await_body();
        assert_eq!(patience.look(&activity, at(1)), Look::Wait);
        activity.read();
        assert_eq!(patience.look(&activity, at(20)), Look::Wait);
        assert_eq!(patience.look(&activity, at(21)), Look::SlowBody);
        drop(awaited);
        assert_eq!(patience.look(&activity, at(22)), Look::Wait);
        assert_eq!(patience.look(&activity, at(1000)), Look::Wait);
        drop(call);
    }
}
