//! Leaves a failing ASE alone for a while, so that clients do not each wait for a timeout.
//!
//! After so many failures in a row nothing is asked for the cool-down; then one trial question per cool-down, until ASE answers. A trial whose client
//! leaves blocks nothing: the next one is due a cool-down later. Time is an argument.

use std::time::Duration;

use ase_core::transaction::FailureClass;

use crate::clock::Moment;

/// When the breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it; 0 turns the breaker off.
    pub failures: u32,
    /// How long ASE is left alone.
    pub cool_down: Duration,
}

/// Whether a question may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Ask.
    Ask,
    /// Do not ask: ASE failed several times in a row.
    CoolingDown,
}

/// What the last questions told about ASE.
#[derive(Debug, Default)]
pub struct Breaker {
    failures_in_a_row: u32,
    next_trial: Option<Moment>,
}

impl Breaker {
    /// Whether to ask at `now`. An open breaker admits one question per cool-down.
    pub fn admit(&mut self, limits: BreakerLimits, now: Moment) -> Admission {
        match self.next_trial {
            // No trial lies further ahead than a cool-down, unless the clock was set back: then it is due.
            Some(next_trial) if now < next_trial && next_trial <= now.after(limits.cool_down) => {
                Admission::CoolingDown
            }
            Some(_) => {
                self.next_trial = Some(now.after(limits.cool_down));
                Admission::Ask
            }
            None => Admission::Ask,
        }
    }

    /// ASE answered: it can be reached.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// A question failed. Only a failure to reach ASE counts: a refusal by ASE is an answer, and a wrong cluster name costs no wait.
    pub fn failed(&mut self, class: FailureClass, limits: BreakerLimits, now: Moment) {
        match class {
            FailureClass::Timeout
            | FailureClass::Unreachable
            | FailureClass::BadReply
            | FailureClass::ResetAfterHeaders
            | FailureClass::Ase5xx
            | FailureClass::NotDispatched => {}
            FailureClass::Undecidable | FailureClass::AseRejected => return self.answered(),
            FailureClass::Misconfigured | FailureClass::CoolingDown => return,
        }
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if limits.failures != 0 && self.failures_in_a_row >= limits.failures {
            self.next_trial = Some(now.after(limits.cool_down));
        }
    }

    /// Forgets everything: for a gateway whose clock cannot be read, where a cool-down would never end.
    pub fn without_clock(&mut self) {
        self.answered();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        cool_down: Duration::from_millis(1000),
    };

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.admit(LIMITS, at(0)), Admission::Ask);
            breaker.failed(FailureClass::Timeout, LIMITS, at(0));
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_then_tries_once_per_cool_down() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LIMITS, at(999)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(1000)), Admission::Ask);
        assert_eq!(breaker.admit(LIMITS, at(1001)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(2000)), Admission::Ask);
        breaker.failed(FailureClass::Unreachable, LIMITS, at(2100));
        assert_eq!(breaker.admit(LIMITS, at(3000)), Admission::CoolingDown);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let later = 1_000_000;
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(FailureClass::Timeout, LIMITS, at(later));
        }
        assert_eq!(breaker.admit(LIMITS, at(later)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(later - 1)), Admission::Ask);
        assert_eq!(breaker.admit(LIMITS, at(later - 1)), Admission::CoolingDown);
        assert_eq!(breaker.admit(LIMITS, at(5)), Admission::Ask);
        assert_eq!(breaker.admit(LIMITS, at(6)), Admission::CoolingDown);
    }

    #[test]
    fn one_answer_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(LIMITS, at(1000)), Admission::Ask);
        breaker.answered();
        for _ in 0..9 {
            assert_eq!(breaker.admit(LIMITS, at(1001)), Admission::Ask);
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
            breaker.failed(class, LIMITS, at(0));
        }
        assert_eq!(breaker.admit(LIMITS, at(0)), Admission::Ask);
    }

    #[test]
    fn a_wrong_cluster_name_does_not_open_it_and_zero_turns_it_off() {
        let mut breaker = Breaker::default();
        for _ in 0..99 {
            breaker.failed(FailureClass::Misconfigured, LIMITS, at(0));
            breaker.failed(FailureClass::CoolingDown, LIMITS, at(0));
        }
        assert_eq!(breaker.admit(LIMITS, at(0)), Admission::Ask);
        let off = BreakerLimits {
            failures: 0,
            ..LIMITS
        };
        for _ in 0..99 {
            breaker.failed(FailureClass::Timeout, off, at(0));
        }
        assert_eq!(breaker.admit(off, at(0)), Admission::Ask);
    }
}
