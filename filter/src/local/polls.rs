//! When the VM that fetches asks ASE for news of the image: every so many ticks, one call at a time, seldom while it fails.
//!
//! Counted in ticks, so that a clock that jumps moves nothing. An answer may never come: the host forgets it with a cluster that is taken away.

use crate::clock::Moment;
use crate::exchange::CalloutToken;
use crate::site::Site;

/// A failing ASE is asked again after so many ticks at most, or after a usual wait that is longer.
const MAX_BACK_OFF_TICKS: u32 = 20;
/// An image that is said to have gone out of date is asked about after so many ticks at most, unless calls fail.
const SOON_TICKS: u32 = 2;

/// The calls to ASE for the image.
#[derive(Debug, Default)]
pub(super) struct Polls {
    /// Ticks until the next one.
    wait: u32,
    failures: u32,
    under_way: Option<Poll>,
    /// The next one fetches the whole image, whatever there is.
    whole: bool,
    /// The next one goes out although receipts come.
    hastened: bool,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    pub(super) token: CalloutToken,
    pub(super) site: Site,
    /// What it confirms was so then, or later.
    pub(super) sent: Moment,
    /// How many images had been shared then.
    pub(super) serial: u32,
    /// Ticks after which it is taken for lost.
    patience: u32,
}

impl Polls {
    /// A tick went by. Whether a call is due, if this is the VM that makes it.
    pub(super) fn tick(&mut self) -> bool {
        self.wait = self.wait.saturating_sub(1);
        if let Some(poll) = &mut self.under_way {
            poll.patience = poll.patience.saturating_sub(1);
            if poll.patience == 0 {
                self.under_way = None;
            }
        }
        self.wait == 0 && self.under_way.is_none()
    }

    /// What there is cannot be gone on with.
    pub(super) fn need_whole(&mut self) {
        self.whole = true;
    }

    pub(super) fn needs_whole(&self) -> bool {
        self.whole
    }

    /// ASE is said to have another image.
    pub(super) fn hasten(&mut self) {
        self.hastened = true;
        if self.failures == 0 {
            self.wait = self.wait.min(SOON_TICKS);
        }
    }

    /// Whether a call is needed whatever else is heard from ASE.
    pub(super) fn are_pressing(&self) -> bool {
        self.whole || self.hastened
    }

    /// Another VM's image has taken the place of the one that all this was about.
    pub(super) fn replaced(&mut self) {
        self.under_way = None;
        self.whole = false;
        self.hastened = false;
    }

    /// A call went out, when so many images had been shared.
    pub(super) fn sent(
        &mut self,
        token: CalloutToken,
        site: Site,
        now: Moment,
        patience: u32,
        serial: u32,
    ) {
        self.hastened = false;
        self.under_way = Some(Poll {
            token,
            site,
            sent: now,
            serial,
            patience: patience.max(1),
        });
    }

    /// Takes the call that this is the answer to.
    pub(super) fn answered(&mut self, token: CalloutToken) -> Option<Poll> {
        self.under_way.take_if(|poll| poll.token == token)
    }

    /// Whether this is the token of the call under way.
    pub(super) fn is_under_way(&self, token: CalloutToken) -> bool {
        self.under_way.is_some_and(|poll| poll.token == token)
    }

    /// It went well.
    pub(super) fn succeeded(&mut self, every_ticks: u32) {
        self.failures = 0;
        self.whole = false;
        self.wait = every_ticks;
    }

    /// It did not.
    pub(super) fn failed(&mut self, every_ticks: u32) {
        let longest = MAX_BACK_OFF_TICKS.max(every_ticks);
        self.failures = (self.failures + 1).min(16);
        self.wait = every_ticks.saturating_mul(1 << self.failures).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_until_due(polls: &mut Polls) -> u32 {
        (1..1000).find(|_| polls.tick()).unwrap_or(1000)
    }

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn one_call_at_a_time_every_so_many_ticks() {
        let mut polls = Polls::default();
        assert!(polls.tick());
        polls.sent(CalloutToken(1), Site::Primary, at(5), 100, 0);
        assert!(!polls.tick());
        assert!(polls.answered(CalloutToken(2)).is_none());
        assert_eq!(
            polls.answered(CalloutToken(1)).map(|poll| poll.sent),
            Some(at(5))
        );
        assert!(polls.answered(CalloutToken(1)).is_none());
        polls.succeeded(2);
        assert_eq!(ticks_until_due(&mut polls), 2);
    }

    #[test]
    fn failures_make_it_patient_up_to_a_bound() {
        let mut polls = Polls::default();
        let waits: Vec<u32> = (0..40)
            .map(|_| {
                polls.failed(2);
                ticks_until_due(&mut polls)
            })
            .collect();
        assert_eq!(waits.get(..5), Some(&[4, 8, 16, 20, 20][..]));
        assert_eq!(waits.last(), Some(&20));
        polls.failed(500);
        assert_eq!(ticks_until_due(&mut polls), 500);
        polls.succeeded(2);
        polls.failed(2);
        assert_eq!(ticks_until_due(&mut polls), 4);
    }

    #[test]
    fn a_call_is_hastened_unless_calls_fail() {
        let mut polls = Polls::default();
        polls.succeeded(100);
        polls.hasten();
        assert!(polls.are_pressing());
        assert_eq!(ticks_until_due(&mut polls), 2);
        polls.sent(CalloutToken(1), Site::Primary, at(0), 3, 0);
        assert!(!polls.are_pressing());
        polls.answered(CalloutToken(1));
        polls.failed(2);
        polls.hasten();
        assert_eq!(ticks_until_due(&mut polls), 4);
    }

    #[test]
    fn an_answer_that_never_comes_is_given_up() {
        let mut polls = Polls::default();
        polls.sent(CalloutToken(1), Site::Primary, at(0), 3, 0);
        assert_eq!(ticks_until_due(&mut polls), 3);
        assert!(polls.answered(CalloutToken(1)).is_none());
    }
}
