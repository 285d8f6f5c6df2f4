//! Leaves a failing ASE alone for a while, so that clients do not each wait for a timeout.
//!
//! After so many failures in a row nothing is asked for the cool-down; then one trial question per cool-down, until ASE answers. A trial whose client
//! leaves blocks nothing: the next one is due a cool-down later. Where there are two ASEs the breaker is about both together; which of them is asked is
//! said by [`Sites`]. Time is an argument.

use std::time::Duration;

use ase_core::transaction::FailureClass;

use crate::clock::Moment;
use crate::site::{Site, Sites};

/// When the breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it; 0 turns the breaker off.
    pub failures: u32,
    /// How long ASE is left alone.
    pub cool_down: Duration,
    /// How long the primary rests after a failure; `None` where there is no secondary.
    pub rest: Option<Duration>,
}

/// Whether a question may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Ask there.
    Ask(Site),
    /// Do not ask: ASE failed several times in a row.
    CoolingDown,
}

/// What the last questions told about ASE.
#[derive(Debug, Default)]
pub struct Breaker {
    failures_in_a_row: u32,
    next_trial: Option<Moment>,
    sites: Sites,
}

impl Breaker {
    /// Whether to ask at `now`. An open breaker admits one question per cool-down.
    pub fn admit(&mut self, limits: BreakerLimits, now: Moment) -> Admission {
        match self.next_trial {
            // No trial lies further ahead than a cool-down, unless the clock was set back: then it is due.
            Some(next_trial) if now < next_trial && next_trial <= now.after(limits.cool_down) => {
                return Admission::CoolingDown;
            }
            Some(_) => self.next_trial = Some(now.after(limits.cool_down)),
            None => {}
        }
        Admission::Ask(self.sites.choose(limits.rest, now))
    }

    /// ASE answered: it can be reached.
    pub fn answered(&mut self, site: Site) {
        self.close();
        self.sites.answered(site);
    }

    /// A question failed. Only a failure to reach ASE counts: a refusal by ASE is an answer, and a wrong cluster name costs no wait.
    pub fn failed(&mut self, site: Site, class: FailureClass, limits: BreakerLimits, now: Moment) {
        self.sites.failed(site, class, limits.rest, now);
        match class {
            FailureClass::Timeout
            | FailureClass::Unreachable
            | FailureClass::BadReply
            | FailureClass::ResetAfterHeaders
            | FailureClass::Ase5xx
            | FailureClass::NotDispatched => {}
            FailureClass::Undecidable | FailureClass::AseRejected => return self.close(),
            FailureClass::Misconfigured | FailureClass::CoolingDown => return,
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if limits.failures != 0 && self.failures_in_a_row >= limits.failures {
            self.next_trial = Some(now.after(limits.cool_down));
        }
    }

    /// Forgets everything: for a gateway whose clock cannot be read, where a cool-down would never end.
    pub fn without_clock(&mut self) {
        *self = Self::default();
    }

    /// Which of two ASEs is spoken to; calls that carry records go there too and tell how they fared, without moving the breaker itself.
    pub fn sites(&mut self) -> &mut Sites {
        &mut self.sites
    }

    fn close(&mut self) {
        self.failures_in_a_row = 0;
        self.next_trial = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        cool_down: Duration::from_millis(1000),
        rest: None,
    };

    const ASK: Admission = Admission::Ask(Site::Primary);

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.admit(LIMITS, at(0)), ASK);
            breaker.failed(Site::Primary, FailureClass::Timeout, LIMITS, at(0));
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_then_tries_once_per_cool_down() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LIMITS, at(999)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(1000)), ASK);
        assert_eq!(breaker.admit(LIMITS, at(1001)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(2000)), ASK);
        breaker.failed(Site::Primary, FailureClass::Unreachable, LIMITS, at(2100));
        assert_eq!(breaker.admit(LIMITS, at(3000)), Admission::CoolingDown);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let later = 1_000_000;
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(Site::Primary, FailureClass::Timeout, LIMITS, at(later));
        }
        assert_eq!(breaker.admit(LIMITS, at(later)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(later - 1)), ASK);
        assert_eq!(breaker.admit(LIMITS, at(later - 1)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(5)), ASK);
        assert_eq!(breaker.admit(LIMITS, at(6)), Admission::CoolingDown);
    }

    #[test]
    fn one_answer_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LIMITS, at(1000)), ASK);
        breaker.answered(Site::Primary);
        for _ in 0..9 {
            assert_eq!(breaker.admit(LIMITS, at(1001)), ASK);
        }
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for class in [
            FailureClass::Timeout,
            FailureClass::Ase5xx,
            FailureClass::AseRejected,
            FailureClass::BadReply,
            FailureClass::Undecidable,
            FailureClass::NotDispatched,
        ] {
            breaker.failed(Site::Primary, class, LIMITS, at(0));
        }
        assert_eq!(breaker.admit(LIMITS, at(0)), ASK);
    }

    #[test]
    fn a_wrong_cluster_name_does_not_open_it_and_zero_turns_it_off() {
        let mut breaker = Breaker::default();
        for _ in 0..99 {
            breaker.failed(Site::Primary, FailureClass::Misconfigured, LIMITS, at(0));
            breaker.failed(Site::Primary, FailureClass::CoolingDown, LIMITS, at(0));
        }
        assert_eq!(breaker.admit(LIMITS, at(0)), ASK);
        let off = BreakerLimits {
            failures: 0,
            ..LIMITS
        };
        for _ in 0..99 {
            breaker.failed(Site::Primary, FailureClass::Timeout, off, at(0));
        }
        assert_eq!(breaker.admit(off, at(0)), ASK);
    }
}
