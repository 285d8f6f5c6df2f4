//! Which of two ASEs is spoken to: the primary, or the secondary while the primary rests after a failure.
//!
//! Once per rest one call tries the primary again; its answer ends the rest. A failure of the secondary ends it as well: with both in trouble neither
//! is known to be better. Time is an argument.

use std::time::Duration;

use ase_core::transaction::FailureClass;

use crate::clock::Moment;

/// One of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Site {
    /// `ase.cluster`.
    #[default]
    Primary,
    /// `ase.secondary.cluster`.
    Secondary,
}

/// What the last calls told about the two.
#[derive(Debug, Default)]
pub struct Sites {
    primary_rests_until: Option<Moment>,
}

impl Site {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

impl Sites {
    /// Where the next call goes; `rest` is how long the primary rests after a failure, `None` where there is no secondary. When a rest is over, one call tries the primary and the others stay away for another rest.
    pub fn choose(&mut self, rest: Option<Duration>, now: Moment) -> Site {
        let (Some(rest), Some(until)) = (rest, self.primary_rests_until) else {
            return Site::Primary;
        };
        // No rest ends further ahead than its length, unless the clock was set back: then it is over.
        if now < until && until <= now.after(rest) {
            return Site::Secondary;
        }
        self.primary_rests_until = Some(now.after(rest));
        Site::Primary
    }

    /// A call there failed.
    pub fn failed(&mut self, site: Site, class: FailureClass, rest: Option<Duration>, now: Moment) {
        if !is_of_the_site(class) {
            return self.answered(site);
        }
        self.primary_rests_until = match site {
            Site::Primary => rest.map(|rest| now.after(rest)),
            Site::Secondary => None,
        };
    }

    /// A call there was answered.
    pub fn answered(&mut self, site: Site) {
        match site {
            Site::Primary => self.primary_rests_until = None,
            Site::Secondary => {}
        }
    }
}

/// Whether the other site may do better: not where the request itself or the gateway's token is the trouble.
#[must_use]
pub fn is_of_the_site(class: FailureClass) -> bool {
    match class {
        FailureClass::Timeout
        | FailureClass::Unreachable
        | FailureClass::BadReply
        | FailureClass::ResetAfterHeaders
        | FailureClass::Ase5xx
        | FailureClass::NotDispatched
        | FailureClass::Misconfigured => true,
        FailureClass::Undecidable | FailureClass::AseRejected | FailureClass::CoolingDown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Option<Duration> = Some(Duration::from_millis(1000));

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn after_a_failure_the_primary_rests_and_then_one_call_tries_it() {
        let mut sites = Sites::default();
        assert_eq!(sites.choose(REST, at(0)), Site::Primary);
        sites.failed(Site::Primary, FailureClass::Timeout, REST, at(0));
        assert_eq!(sites.choose(REST, at(999)), Site::Secondary);
        assert_eq!(sites.choose(REST, at(1000)), Site::Primary);
        assert_eq!(sites.choose(REST, at(1001)), Site::Secondary);
        sites.answered(Site::Secondary);
        assert_eq!(sites.choose(REST, at(1002)), Site::Secondary);
        sites.answered(Site::Primary);
        assert_eq!(sites.choose(REST, at(1003)), Site::Primary);
    }

    #[test]
    fn a_secondary_that_fails_gives_way_to_the_primary() {
        let mut sites = Sites::default();
        sites.failed(Site::Primary, FailureClass::Unreachable, REST, at(0));
        sites.failed(Site::Secondary, FailureClass::Unreachable, REST, at(1));
        assert_eq!(sites.choose(REST, at(2)), Site::Primary);
    }

    #[test]
    fn what_is_no_fault_of_the_primary_moves_nothing_and_neither_does_anything_without_a_secondary()
    {
        for class in [FailureClass::Undecidable, FailureClass::AseRejected] {
            let mut sites = Sites::default();
            sites.failed(Site::Primary, class, REST, at(0));
            assert_eq!(sites.choose(REST, at(1)), Site::Primary);
        }
        let mut sites = Sites::default();
        sites.failed(Site::Primary, FailureClass::Timeout, None, at(0));
        assert_eq!(sites.choose(None, at(1)), Site::Primary);
        assert_eq!(sites.choose(REST, at(1)), Site::Primary);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_rest() {
        let mut sites = Sites::default();
        sites.failed(Site::Primary, FailureClass::Timeout, REST, at(1_000_000));
        assert_eq!(sites.choose(REST, at(5)), Site::Primary);
    }
}
