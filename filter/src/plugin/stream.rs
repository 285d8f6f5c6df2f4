//! One HTTP stream: its hooks feed one [`Exchange`], whose effects are carried out at once.
//!
//! `Pause` is returned from every request hook until a permit has been given, so no listener setting lets a request slip past an open question.

use std::rc::Rc;

use ase_core::headers::Headers;
use ase_core::metadata::TlsFacts;
use ase_core::transaction::FailureClass;

use super::Action;
use super::body::{self, Shown};
use super::callout;
use super::refusal::{self, refuse};
use super::shared::{About, Shared};
use crate::clock::Moment;
use crate::config::{ClientAddressSource, Config, Policy, Treatment};
use crate::counters::Counter;
use crate::dialect::{Dialect, GrpcStatus};
use crate::exchange::{CalloutToken, Effect, Exchange, Head, LocalReply, Permit};
use crate::head::{self, Client, RequiredParts, SeenRequest, Verified};
use crate::host::{self, Level, Map};
use crate::pairs;
use crate::token_request::TokenRequest;

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
        let (head, policy, dialect, token_request) = read_request(shared, &config, now);
        let (exchange, effect) = shared.with_breaker(|breaker| {
            Exchange::request(shared.mint(), head, policy, &config, breaker, now)
        });
        let running = self.running.insert(Running {
            config,
            exchange,
            dialect,
            token_request,
        });
        running.carry_out(self.context, shared, effect, Request::InItsHook, now)
    }

    /// Reports the exchange before its end where it has been open for long; `root` is what the looking root context has.
    pub(super) fn look_if_open(&mut self, root: &Rc<Shared>) {
        let (Some(shared), Some(running)) = (&self.shared, &mut self.running) else {
            return;
        };
        let Running {
            config, exchange, ..
        } = running;
        if let (true, Some(after)) = (Rc::ptr_eq(shared, root), config.delivery().open_after) {
            let site = exchange.site();
            exchange.tell_if_open(after, shared.last_moment.get(), |record| {
                shared.report(record, site, config);
            });
        }
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
            config, exchange, ..
        } = running;
        // The filter's own replies are not worth a host call.
        if exchange.wants_response(None) {
            let buffer = host::header_pairs(Map::Response).unwrap_or_default();
            let headers = pairs::parse(&buffer).unwrap_or_default();
            let headers = callout::with_status(headers, Map::Response);
            let status = head::status(&headers);
            if exchange.wants_response(status) {
                let half = status.map(|status| response_half(status, &headers, config));
                let property = |path: &'static [u8]| host::property(path).ok();
                exchange.response(config.host().origin(status, &headers, property), half);
            }
        }
    }

    /// The exchange is over.
    pub(crate) fn on_log(&mut self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let Some(Running {
            config,
            exchange,
            token_request,
            ..
        }) = &mut self.running
        else {
            shared.count(Counter::Uninspected);
            return;
        };
        if exchange.wants_response(None) && was_redirected(config) {
            exchange.redirected();
            shared.count(Counter::Redirected);
        }
        if let Some(request) = token_request.take() {
            exchange.add_to_record(|half| head::add_names(half, &request, config));
        }
        let (context, site) = (self.context, exchange.site());
        if let Some(record) = exchange.finish(shared.now()) {
            if record.decision == ase_core::transaction::GatewayDecision::Undecided {
                shared.count(Counter::Undecided);
            }
            shared.debug(|| {
                format!(
                    "stream {context}: {} {} {}",
                    record.id,
                    record.decision.as_str(),
                    record.end.as_str()
                )
            });
            shared.report(&record, site, config);
        }
    }
}

/// Everything about a request that is ever used, taken while the host shows it, and how it is to be treated.
fn read_request(
    shared: &Shared,
    config: &Config,
    now: Moment,
) -> (Head, Policy, Dialect, Option<TokenRequest>) {
    let buffer = host::header_pairs(Map::Request).unwrap_or_default();
    let at_host = config.host();
    let asked = |path: Option<&'static [u8]>| host::property(path?).ok();
    let target = asked(at_host.target_property()).map(|target| target.to_vec());
    let headers = pairs::parse(&buffer).unwrap_or_default();
    let headers = at_host.request_headers(headers, target);
    let mut policy = policy_of(shared, config, &headers);
    if headers.is_empty() {
        return (Head::Unreadable, policy, Dialect::Http, None);
    }
    // Nothing else is ever refused.
    let dialect = if policy.treatment.asks() {
        Dialect::of(&headers)
    } else {
        Dialect::Http
    };
    strip_reserved(&headers, config);
    let source_address = match config.client_address() {
        ClientAddressSource::Envoy => asked(Some(b"source\0address")),
        ClientAddressSource::Xff(_) => None,
    };
    let port = (source_address.as_ref()).and_then(|_address| asked(at_host.source_port_property()));
    let peer = (source_address.as_deref()).map(|address| at_host.peer(address, port.as_deref()));
    let mut seen = SeenRequest {
        headers: &headers,
        source_address: peer.as_deref(),
        protocol: None,
        verified: Verified::default(),
        tls: TlsFacts::default(),
    };
    let client = head::client(config.client_address(), &seen);
    policy.treatment = policy.treatment_of(client.address);
    if let Treatment::Off(_) = policy.treatment {
        return (Head::Incomplete(Vec::new()), policy, dialect, None);
    }
    let protocol = host::property(b"request\0protocol").ok();
    seen.protocol = protocol.as_deref().filter(|protocol| !protocol.is_empty());
    let claim = |property: &Option<Vec<u8>>| host::property(property.as_ref()?).ok();
    let claims = &config.user_info().verified;
    let (username, client_id) = (claim(&claims.username), claim(&claims.client_id));
    seen.verified = Verified {
        username: username.as_deref(),
        client_id: client_id.as_deref(),
    };
    seen.tls = head::tls::facts(&config.report().tls, |path| host::property(path).ok());
    warn_of_port_zero(shared, config, client);
    let mut half = Vec::with_capacity(buffer.len().saturating_mul(2));
    let mut cleared = false;
    let parts = head::write_request_half(&mut half, &seen, client, config, |request| {
        cleared = policy.treatment == Treatment::Local && shared.clears(request, config, now);
    });
    let head = match (parts, cleared) {
        (RequiredParts::Present, true) => Head::Cleared(half),
        (RequiredParts::Present, false) => Head::Read(half),
        (RequiredParts::Missing, _) => Head::Incomplete(half),
    };
    (head, policy, dialect, TokenRequest::of(&headers, config))
}

/// The settings for this request: those of its route's metadata over those of the first rule that covers it.
fn policy_of(shared: &Shared, config: &Config, headers: &Headers<'_>) -> Policy {
    let value = |name: &'static [u8]| headers.first(name).map_or(&[][..], |value| &**value);
    let mut policy = config.policy(value(b":authority"), value(b":path"));
    let Some(path) = config.route_metadata() else {
        return policy;
    };
    // A route without such metadata has no such property.
    let buffer = host::property(path).unwrap_or_default();
    let settings = pairs::parse(&buffer).unwrap_or_default();
    for setting in settings.iter() {
        match policy.with(&setting.name, &setting.value) {
            Some(with_it) => policy = with_it,
            None => shared.notice(About::RouteMetadata, Level::Warn, || {
                let key = String::from_utf8_lossy(&setting.name);
                format!("a route's metadata has {key:?} with a value that is not known: it is left out (docs/filter-configuration.md, Routes)")
            }),
        }
    }
    policy
}

fn warn_of_port_zero(shared: &Shared, config: &Config, client: Client) {
    // Only where the address would bring its port along.
    if config.client_address() == ClientAddressSource::Envoy
        && config.host().source_port_property().is_none()
        && client.address.is_some()
        && client.port.is_none()
    {
        shared.notice(About::PortZero, Level::Warn, || {
            "source.address has no port: the listener takes it from x-forwarded-for, which clients can write themselves unless use_remote_address or trusted hops are set".to_owned()
        });
    }
}

fn strip_reserved(headers: &Headers<'_>, config: &Config) {
    for name in head::reserved_names(headers, config) {
        host::remove_header(Map::Request, &name);
    }
}

/// Envoy logs the exchange whose answer it followed by itself, and plays the request that comes of it through the filters as another one.
fn was_redirected(config: &Config) -> bool {
    let told = config.host().redirect_property();
    let details = told.and_then(|path| host::property(path).ok());
    details.is_some_and(|details| *details == *b"internal_redirect")
}

fn response_half(status: u16, headers: &Headers<'_>, config: &Config) -> Vec<u8> {
    let mut half = Vec::with_capacity(512);
    head::write_response_half(&mut half, status, headers, config);
    half
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
            config, exchange, ..
        } = self;
        while matches!(effect, Effect::Ask) {
            shared.failed_over(exchange, config);
            let sent = callout::ask(config, exchange, context);
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
