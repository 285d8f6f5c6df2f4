//! One HTTP exchange as a pure state machine: what the host reports goes in, what to do comes out.
//!
//! A request leaves it in one of two ways: with a [`Permit`], which only this module can make and which says why the request may pass, or with a
//! [`LocalReply`]. Each leaves at most once. Whenever no callout is pending, one of them has been given. Events may come late, twice, in any order or
//! not at all; time is an argument. It knows neither the host nor a clock.

use std::time::Duration;

use ase_core::transaction::{
    Course, End, FailureClass, GatewayDecision, Mode, RecordId, VerdictLabel,
};

use crate::breaker::{Admission, Breaker};
use crate::clock::Moment;
use crate::config::{Config, FailureAction, Policy, Treatment, UnregisteredAction};
use crate::site::{Site, is_of_the_site};

mod answer;
mod permit;
mod reply;

pub use answer::{Answer, AnswerMark, BODY_START_BYTES, Outcome};
pub use permit::{Permit, PermitReason};
pub use reply::{LocalReply, ReplyReason};

/// Names one callout; the host made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalloutToken(pub u32);

/// Why the host did not send a callout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchRefusal {
    /// It does not know the cluster: the call itself is always well formed.
    UnknownCluster,
    /// Anything else: no endpoint, circuit open, overload, a capability that is not granted.
    NotSent,
}

impl DispatchRefusal {
    /// The failure that it is.
    #[must_use]
    pub fn class(self) -> FailureClass {
        match self {
            Self::UnknownCluster => FailureClass::Misconfigured,
            Self::NotSent => FailureClass::NotDispatched,
        }
    }
}

/// What is known of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// All that a question needs.
    Read,
    /// As `Read`; and the gateway's image rules out that ASE has anything against the request.
    Cleared,
    /// A part is missing without which ASE could only refuse the question.
    Incomplete,
    /// The host refused to show it, so ASE cannot be asked.
    Unreadable,
}

/// What to do after an event.
#[derive(Debug)]
#[must_use = "an effect that is not carried out leaves a request in limbo"]
pub enum Effect {
    /// Ask about the request at [`Exchange::site`], hold it and report through [`Exchange::dispatched`]. Comes once, and once more where
    /// there is a second ASE and the first could not be reached.
    Ask,
    /// Nothing changes: a held request stays held.
    Nothing,
    /// Let the request go upstream.
    Pass(Permit),
    /// Answer the client; the request goes no further.
    Reply(LocalReply),
}

/// Where the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `Ask` is out, and whether the host could send it is not known yet.
    Asking,
    /// Held until the answer to this callout.
    Held(CalloutToken),
    /// On its way upstream.
    Upstream,
    /// Answered by the filter.
    Answered,
}

/// One HTTP exchange.
#[derive(Debug)]
pub struct Exchange {
    id: RecordId,
    mode: Mode,
    policy: Policy,
    started: Moment,
    place: Place,
    site: Site,
    /// How long the answer to the current question is waited for.
    wait: Duration,
    /// Why the other ASE was asked too.
    failed_over: Option<FailureClass>,
    /// `None` for a request of which there is no record.
    decision: Option<GatewayDecision>,
    verdict: Option<VerdictLabel>,
    asked_for: Option<Duration>,
    /// Who made the response to a request that passed.
    response: Option<ResponseOrigin>,
    /// It has been told of before its end.
    told_open: bool,
    finished: bool,
}

/// Who made the response to a request that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOrigin {
    /// Upstream, as far as the host tells.
    Upstream,
    /// The gateway itself: no route, no connection to upstream, a timeout.
    Gateway,
}

impl Exchange {
    /// The client's request headers are complete, and the request is to be treated as `policy` says.
    pub fn request(
        id: RecordId,
        head: Head,
        policy: Policy,
        config: &Config,
        breaker: &mut Breaker,
        now: Moment,
    ) -> (Self, Effect) {
        let obstacle = match head {
            Head::Read | Head::Cleared => None,
            Head::Incomplete => Some(FailureClass::Undecidable),
            Head::Unreadable => Some(FailureClass::NotDispatched),
        };
        let mode = match policy.treatment {
            Treatment::Sync => Mode::Sync,
            Treatment::Shadow => Mode::Shadow,
            Treatment::Local => Mode::Local,
            Treatment::Async | Treatment::Off(_) => Mode::Async,
        };
        let mut exchange = Self::new(id, mode, policy, now);
        let effect = match (policy.treatment, head, obstacle) {
            (Treatment::Off(reason), ..) => exchange.pass(PermitReason::NotAsked(reason)),
            (Treatment::Async, ..) => exchange.pass(PermitReason::Async),
            (Treatment::Local, Head::Cleared, None) => exchange.pass(PermitReason::Local),
            (Treatment::Sync | Treatment::Shadow | Treatment::Local, _, Some(class)) => {
                exchange.fail(class)
            }
            (Treatment::Sync | Treatment::Shadow | Treatment::Local, _, None) => {
                match breaker.admit(config.breaker(), now) {
                    Admission::Ask(site) => {
                        exchange.site = site;
                        Effect::Ask
                    }
                    Admission::CoolingDown => exchange.fail(FailureClass::CoolingDown),
                }
            }
        };
        (exchange, effect)
    }

    fn new(id: RecordId, mode: Mode, policy: Policy, started: Moment) -> Self {
        Self {
            id,
            mode,
            policy,
            started,
            place: Place::Asking,
            site: Site::Primary,
            wait: policy.timeout,
            failed_over: None,
            decision: Some(GatewayDecision::Undecided),
            verdict: None,
            asked_for: None,
            response: None,
            told_open: false,
            finished: false,
        }
    }

    /// Where the question goes.
    #[must_use]
    pub fn site(&self) -> Site {
        self.site
    }

    /// How long its answer is waited for, 1 ms or more.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Why the other ASE was asked too; `None` while one was enough.
    #[must_use]
    pub fn failed_over(&self) -> Option<FailureClass> {
        self.failed_over
    }

    /// How long the request has waited for ASE; `None` while there was no answer.
    #[must_use]
    pub fn asked_for(&self) -> Option<Duration> {
        self.asked_for
    }

    /// The id of the record, and of the calls about it.
    #[must_use]
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// The host sent the question, or did not.
    pub fn dispatched(
        &mut self,
        result: Result<CalloutToken, DispatchRefusal>,
        config: &Config,
        breaker: &mut Breaker,
        now: Moment,
    ) -> Effect {
        if self.place != Place::Asking || self.finished {
            return Effect::Nothing;
        }
        let class = match result {
            Ok(token) => {
                self.place = Place::Held(token);
                return Effect::Nothing;
            }
            Err(refusal) => refusal.class(),
        };
        self.no_verdict(class, config, breaker, now)
    }

    /// A callout was answered. Acts only on the answer to this exchange's own question.
    pub fn answer(
        &mut self,
        token: CalloutToken,
        answer: &Answer,
        config: &Config,
        breaker: &mut Breaker,
        now: Moment,
    ) -> Effect {
        if self.place != Place::Held(token) || self.finished {
            return Effect::Nothing;
        }
        self.asked_for = Some(now.since(self.started));
        self.verdict = answer.verdict();
        match answer.outcome() {
            Outcome::Pass => {
                breaker.answered(self.site);
                self.pass(PermitReason::Verdict)
            }
            Outcome::Block => {
                breaker.answered(self.site);
                self.reply(ReplyReason::Denied)
            }
            Outcome::Unregistered => {
                breaker.answered(self.site);
                match self.policy.unregistered {
                    UnregisteredAction::Pass => self.pass(PermitReason::Unregistered),
                    UnregisteredAction::Block => self.reply(ReplyReason::Unregistered),
                }
            }
            Outcome::Failure(class) => self.no_verdict(class, config, breaker, now),
        }
    }

    /// The callout whose answer is waited for.
    #[must_use]
    pub fn callout(&self) -> Option<CalloutToken> {
        match self.place {
            Place::Held(token) => Some(token),
            Place::Asking | Place::Upstream | Place::Answered => None,
        }
    }

    /// Whether the request must not go on: everything but a given permit holds it.
    #[must_use]
    pub fn holds_request(&self) -> bool {
        match self.place {
            Place::Asking | Place::Held(_) | Place::Answered => true,
            Place::Upstream => false,
        }
    }

    /// Whether a response is to a request that passed and is reported, and the first one: the filter's own reply comes by the same hook. Interim responses (1xx but 101) never count.
    #[must_use]
    pub fn wants_response(&self, status: Option<u16>) -> bool {
        let interim = status.is_some_and(|status| status < 200 && status != 101);
        self.place == Place::Upstream
            && self.decision.is_some()
            && self.response.is_none()
            && !interim
            && !self.finished
    }

    /// The response headers are complete. Call it where [`Self::wants_response`] says so.
    pub fn response(&mut self, origin: ResponseOrigin) {
        self.response = Some(origin);
    }

    /// The host has sent a request that passed on another way by itself (an internal redirect): that one's exchange has the record, and this one none.
    pub fn redirected(&mut self) {
        self.finished = true;
    }

    /// The exchange is over. Gives what its record says of it, once, unless it is not reported.
    pub fn finish(&mut self, now: Moment) -> Option<Course> {
        let decision = self.decision?;
        if std::mem::replace(&mut self.finished, true) {
            return None;
        }
        Some(self.course(self.id.clone(), decision, self.end(decision), now))
    }

    /// What the record of an exchange that is still open says of it: once, when its request passed and `after` has gone by since its start.
    pub fn tell_if_open(&mut self, after: Duration, now: Moment) -> Option<Course> {
        let is_due = self.place == Place::Upstream
            && !self.finished
            && !self.told_open
            && now.since(self.started) >= after;
        let decision = self.decision.filter(|_| is_due)?;
        self.told_open = true;
        Some(self.course(self.id.while_open(), decision, End::Open, now))
    }

    fn course(&self, id: RecordId, decision: GatewayDecision, end: End, now: Moment) -> Course {
        Course {
            id,
            started: self.started.unix_millis(),
            duration: now.since(self.started),
            mode: self.mode,
            decision,
            verdict: self.verdict,
            asked_for: self.asked_for,
            end,
        }
    }

    fn end(&self, decision: GatewayDecision) -> End {
        match decision {
            GatewayDecision::Denied | GatewayDecision::UnregisteredBlocked => End::Denied,
            GatewayDecision::FailedClosed(_) => End::Failed,
            GatewayDecision::Undecided => End::Aborted,
            GatewayDecision::Verdict
            | GatewayDecision::Async
            | GatewayDecision::Local
            | GatewayDecision::Unregistered
            | GatewayDecision::FailOpen(_)
            | GatewayDecision::ShadowDenied
            | GatewayDecision::ShadowUnregisteredBlocked
            | GatewayDecision::ShadowFailedClosed(_) => match self.response {
                None => End::Aborted,
                Some(ResponseOrigin::Upstream) => End::Upstream,
                Some(ResponseOrigin::Gateway) => End::Gateway,
            },
        }
    }

    /// The other ASE is asked, once, within what is left of the wait; else the policy decides.
    fn no_verdict(
        &mut self,
        class: FailureClass,
        config: &Config,
        breaker: &mut Breaker,
        now: Moment,
    ) -> Effect {
        breaker.failed(self.site, class, config.breaker(), now);
        let left = self
            .policy
            .timeout
            .saturating_sub(now.since(self.started))
            .as_millis();
        // The host takes whole milliseconds, and 0 for ever.
        let wait = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        if config.breaker().rest.is_none()
            || self.failed_over.is_some()
            || !is_of_the_site(class)
            || wait.is_zero()
        {
            return self.fail(class);
        }
        self.failed_over = Some(class);
        self.verdict = None;
        self.site = self.site.other();
        self.wait = wait;
        self.place = Place::Asking;
        Effect::Ask
    }

    fn fail(&mut self, class: FailureClass) -> Effect {
        match self.policy.on_failure.of(class) {
            FailureAction::Open => self.pass(PermitReason::FailOpen(class)),
            FailureAction::Closed => self.reply(ReplyReason::Failed(class)),
        }
    }

    fn pass(&mut self, reason: PermitReason) -> Effect {
        self.place = Place::Upstream;
        self.decision = reason.decision();
        Effect::Pass(Permit::grant(reason))
    }

    /// In the shadow nothing is stopped: this is the one place that says so.
    fn reply(&mut self, reason: ReplyReason) -> Effect {
        if self.policy.treatment == Treatment::Shadow {
            return self.pass(PermitReason::Shadow(reason));
        }
        self.place = Place::Answered;
        self.decision = Some(reason.decision());
        Effect::Reply(LocalReply::because(reason))
    }
}

/// A decision in one word, with the failure class behind it where there is one.
fn label(decision: GatewayDecision) -> String {
    match decision.cause() {
        Some(class) => [decision.as_str(), "_", class.as_str()].concat(),
        None => decision.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests;
