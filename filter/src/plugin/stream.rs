//! One HTTP stream: its hooks feed one [`Exchange`], whose effects are carried out at once.
//!
//! `Pause` is returned from every request hook until a permit has been given, so no listener setting lets a request slip past an open question.

use std::rc::Rc;

use ase_core::transaction::FailureClass;

use super::Action;
use super::body::{self, Shown};
use super::callout;
use super::incoming::Incoming;
use super::refusal::{self, refuse};
use super::shared::Shared;
use crate::clock::Moment;
use crate::config::Config;
use crate::counters::Counter;
use crate::dialect::{Dialect, GrpcStatus};
use crate::exchange::{CalloutToken, Effect, Exchange, LocalReply, Permit};
use crate::head;
use crate::host::{self, Map};
use crate::kept::Kept;
use crate::pairs;
use crate::token_request::TokenRequest;
use crate::unwritten::Finished;

/// One HTTP stream.
pub(crate) struct Stream {
    context: u32,
    shared: Option<Rc<Shared>>,
    running: Option<Running>,
}

/// A stream whose request has been seen, with the configuration that it started under.
struct Running {
    config: Rc<Config>,
    exchange: Exchange,
    kept: Kept,
    dialect: Dialect,
    token_request: Option<TokenRequest>,
}

/// Whether the request is being held already when an effect comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    InItsHook,
    Held,
}

impl Stream {
    pub(super) fn new(context: u32, shared: Option<Rc<Shared>>) -> Self {
        Self {
            context,
            shared,
            running: None,
        }
    }

    fn start(&mut self, shared: &Rc<Shared>, config: Rc<Config>) -> Action {
        let now = shared.now();
        let incoming = Incoming::read(shared, &config, now);
        let (exchange, effect) = shared.with_breaker(|breaker| {
            let (head, policy) = (incoming.head, incoming.policy);
            Exchange::request(shared.mint(), head, policy, &config, breaker, now)
        });
        let running = self.running.insert(Running {
            config,
            exchange,
            kept: incoming.kept,
            dialect: incoming.dialect,
            token_request: incoming.token_request,
        });
        running.carry_out(self.context, shared, effect, Request::InItsHook, now)
    }

    /// Reports the exchange before its end where it has been open for long; `root` is what the looking root context has. Whether it did.
    pub(super) fn look_if_open(&mut self, root: &Rc<Shared>) -> bool {
        let (Some(shared), Some(running)) = (&self.shared, &mut self.running) else {
            return false;
        };
        let Running {
            config,
            exchange,
            kept,
            ..
        } = running;
        let after = config.delivery().open_after;
        let after = after.filter(|_| Rc::ptr_eq(shared, root));
        let now = shared.last_moment.get();
        let course = after.and_then(|after| exchange.tell_if_open(after, now));
        if let Some(course) = &course {
            shared.report_open(course, kept, exchange.site(), config);
        }
        course.is_some()
    }

    /// The callout whose answer is waited for.
    pub(super) fn callout(&self) -> Option<CalloutToken> {
        self.running.as_ref()?.exchange.callout()
    }

    fn look_at_body(&mut self, size: usize, shown: Shown, action: Action) {
        let request = self
            .running
            .as_mut()
            .and_then(|running| running.token_request.as_mut());
        if let (Some(shared), Some(request)) = (&self.shared, request) {
            body::look_at(request, shared, size, shown, action);
        }
    }

    fn request_hook(&self) -> Action {
        match &self.running {
            Some(running) if !running.exchange.holds_request() => Action::Continue,
            // Without a request phase there is nothing to hold and nothing that may pass.
            Some(_) | None => Action::Pause,
        }
    }
}

/// The hooks.
impl Stream {
    /// The answer to a callout of this stream has come.
    pub(super) fn on_answer(&mut self, token: CalloutToken, headers: usize, body_size: usize) {
        let (Some(shared), Some(running)) = (&self.shared, &mut self.running) else {
            return;
        };
        let Running {
            config, exchange, ..
        } = running;
        let answer = callout::answer(headers, body_size, config);
        let now = shared.now();
        let effect =
            shared.with_breaker(|breaker| exchange.answer(token, &answer, config, breaker, now));
        if let (Effect::Pass(_) | Effect::Reply(_), Some(wait)) = (&effect, exchange.asked_for()) {
            shared.asked_for(wait);
        }
        running.carry_out(self.context, shared, effect, Request::Held, now);
    }

    /// The client's request headers are complete, or have come again.
    pub(crate) fn on_request_headers(&mut self) -> Action {
        if self.running.is_some() {
            return self.request_hook();
        }
        let shared = self.shared.clone();
        match shared
            .as_ref()
            .and_then(|shared| Some((shared, shared.config()?)))
        {
            Some((shared, config)) => self.start(shared, config),
            None => {
                // A host that runs streams without a configuration: nothing passes.
                refusal::unconfigured();
                Action::Pause
            }
        }
    }

    /// The host shows `size` bytes of the request's body.
    pub(crate) fn on_request_body(&mut self, size: usize, shown: Shown) -> Action {
        let action = self.request_hook();
        self.look_at_body(size, shown, action);
        action
    }

    /// The request has ended with trailers.
    pub(crate) fn on_request_trailers(&mut self) -> Action {
        let action = self.request_hook();
        self.look_at_body(0, Shown::All, action);
        action
    }

    /// Response headers are complete, be they upstream's, the host's own or the filter's.
    pub(crate) fn on_response_headers(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Running {
            config,
            exchange,
            kept,
            ..
        } = running;
        // The filter's own replies are not worth a host call.
        if exchange.wants_response(None) {
            let buffer = host::header_pairs(Map::Response).unwrap_or_default();
            let headers = pairs::parse(&buffer).unwrap_or_default();
            let headers = callout::with_status(headers, Map::Response);
            let status = head::status(&headers);
            if exchange.wants_response(status) {
                let property = |path: &'static [u8]| host::property(path).ok();
                exchange.response(config.host().origin(status, &headers, property));
                drop(headers);
                if let Some(status) = status {
                    kept.response(status, buffer.into_vec());
                }
            }
        }
    }

    /// The exchange is over.
    pub(crate) fn on_log(&mut self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let Some(running) = &mut self.running else {
            shared.count(Counter::Uninspected);
            return;
        };
        let exchange = &mut running.exchange;
        if exchange.wants_response(None) && was_redirected(&running.config) {
            exchange.redirected();
            shared.count(Counter::Redirected);
        }
        let Some(course) = exchange.finish(shared.now()) else {
            return;
        };
        if course.decision == ase_core::transaction::GatewayDecision::Undecided {
            shared.count(Counter::Undecided);
        }
        shared.debug(|| {
            let (id, decision, end) = (&course.id, course.decision, course.end);
            let (decision, end) = (decision.as_str(), end.as_str());
            format!("stream {}: {id} {decision} {end}", self.context)
        });
        shared.report(Finished {
            course,
            site: exchange.site(),
            config: Rc::clone(&running.config),
            kept: std::mem::replace(&mut running.kept, Kept::unseen()),
            token_request: running.token_request.take(),
        });
    }
}

/// Envoy logs the exchange whose answer it followed by itself, and plays the request that comes of it through the filters as another one.
fn was_redirected(config: &Config) -> bool {
    let told = config.host().redirect_property();
    let details = told.and_then(|path| host::property(path).ok());
    details.is_some_and(|details| *details == *b"internal_redirect")
}

impl Running {
    /// Does what the exchange wants; a question that the host does not send may be followed by one more.
    fn carry_out(
        &mut self,
        context: u32,
        shared: &Shared,
        mut effect: Effect,
        request: Request,
        now: Moment,
    ) -> Action {
        let Self {
            config,
            exchange,
            kept,
            ..
        } = self;
        while matches!(effect, Effect::Ask) {
            shared.failed_over(exchange, config);
            let sent = callout::ask(config, exchange, kept.question(), context);
            effect = shared.with_breaker(|breaker| exchange.dispatched(sent, config, breaker, now));
        }
        match effect {
            Effect::Ask | Effect::Nothing => Action::Pause,
            Effect::Pass(permit) => self.release(shared, &permit, request),
            Effect::Reply(reply) => {
                self.send_reply(shared, &reply);
                Action::Pause
            }
        }
    }

    fn release(&self, shared: &Shared, permit: &Permit, request: Request) -> Action {
        let Self {
            config,
            exchange,
            dialect,
            ..
        } = self;
        shared.count(Counter::of_permit(permit.reason()));
        tell(config, || permit.reason().label());
        if let Some(class) = permit.reason().cause() {
            shared.no_verdict(class, exchange.site(), config);
            mark(config, class);
        }
        if request == Request::Held && host::continue_request().is_err() {
            let failure = config.failure_reply(FailureClass::NotDispatched);
            let unavailable = GrpcStatus::Unavailable;
            refuse(
                config.host(),
                &dialect.put(failure, unavailable),
                "ase_not_resumed",
                unavailable,
            );
            return Action::Pause;
        }
        Action::Continue
    }

    fn send_reply(&self, shared: &Shared, reply: &LocalReply) {
        let Self {
            config,
            exchange,
            dialect,
            ..
        } = self;
        shared.count(Counter::of_reply(reply.reason()));
        tell(config, || reply.reason().label());
        if let Some(class) = reply.reason().cause() {
            shared.no_verdict(class, exchange.site(), config);
        }
        let grpc_status = reply.grpc_status();
        let content = dialect.put(reply.content(config), grpc_status);
        refuse(config.host(), &content, &reply.details(config), grpc_status);
    }
}

/// Tells the host's access log what was decided, where that is configured.
fn tell(config: &Config, decision: impl FnOnce() -> String) {
    if config.decision_property() {
        host::set_property(config.host().decision_property(), &decision());
    }
}

/// Tells upstream that the request passes without a verdict, where that is configured.
fn mark(config: &Config, class: FailureClass) {
    if let Some(name) = config.fail_open_header() {
        host::set_header(Map::Request, name, class.as_str());
    }
}
