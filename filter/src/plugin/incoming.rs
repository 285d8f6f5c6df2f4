//! What a request is when it comes in: what the host shows of it is kept, and how it is to be treated is found.

use ase_core::headers::Headers;

use super::shared::{About, Shared};
use crate::clock::Moment;
use crate::config::{ClientAddressSource, Config, Policy, Treatment};
use crate::dialect::Dialect;
use crate::exchange::Head;
use crate::head::{self, Client, RequiredParts, SeenRequest};
use crate::host::{self, Level, Map, Returned};
use crate::kept::{Kept, KeptRequest};
use crate::pairs;
use crate::token_request::TokenRequest;

/// A request as it comes in, and how it is to be treated.
pub(super) struct Incoming {
    pub(super) head: Head,
    pub(super) kept: Kept,
    pub(super) policy: Policy,
    pub(super) dialect: Dialect,
    pub(super) token_request: Option<TokenRequest>,
}

impl Incoming {
    /// Everything about a request that is ever used, taken while the host shows it, and how it is to be treated.
    pub(super) fn read(shared: &Shared, config: &Config, now: Moment) -> Self {
        let asked = |path: Option<&[u8]>| host::property(path?).ok().map(Returned::into_vec);
        let at_host = config.host();
        let mut request = KeptRequest {
            headers: host::header_pairs(Map::Request)
                .unwrap_or_default()
                .into_vec(),
            target: asked(at_host.target_property()),
            ..KeptRequest::default()
        };
        if let ClientAddressSource::Envoy = config.client_address() {
            let address = asked(Some(b"source\0address"));
            let port = address
                .as_ref()
                .and_then(|_| asked(at_host.source_port_property()));
            request.source_address = address.map(|address| at_host.peer(address, port.as_deref()));
        }
        let mut incoming = request.with(config, |seen| look_at(seen, shared, config));
        if incoming.head != Head::Unreadable
            && !matches!(incoming.policy.treatment, Treatment::Off(_))
        {
            request.protocol =
                asked(Some(b"request\0protocol")).filter(|protocol| !protocol.is_empty());
            let claims = &config.user_info().verified;
            request.username = asked(claims.username.as_deref());
            request.client_id = asked(claims.client_id.as_deref());
            let tls = head::tls::facts(&config.report().tls, |path| host::property(path).ok());
            let is_told = tls.known().next().is_some();
            request.tls = is_told.then(|| Box::new(tls));
            if incoming.policy.treatment == Treatment::Local && incoming.head == Head::Read {
                let cleared = request.with(config, |seen| {
                    let client = head::client(config.client_address(), seen);
                    head::judged(seen, client, config, |request| {
                        shared.clears(request, config, now)
                    })
                });
                if cleared {
                    incoming.head = Head::Cleared;
                }
            }
            incoming.kept = Kept::of(request);
        }
        incoming
    }
}

/// What is to be known of a request before it goes on. Takes off what must not reach upstream.
fn look_at(seen: &SeenRequest<'_>, shared: &Shared, config: &Config) -> Incoming {
    let headers = seen.headers;
    let mut incoming = Incoming {
        head: Head::Unreadable,
        kept: Kept::unseen(),
        policy: policy_of(shared, config, headers),
        dialect: Dialect::Http,
        token_request: None,
    };
    if headers.is_empty() {
        return incoming;
    }
    // Nothing else is ever refused.
    if incoming.policy.treatment.asks() {
        incoming.dialect = Dialect::of(headers);
    }
    strip_reserved(headers, config);
    let client = head::client(config.client_address(), seen);
    incoming.policy.treatment = incoming.policy.treatment_of(client.address);
    incoming.head = match head::required_parts(seen, client) {
        RequiredParts::Present => Head::Read,
        RequiredParts::Missing => Head::Incomplete,
    };
    if let Treatment::Off(_) = incoming.policy.treatment {
        return incoming;
    }
    warn_of_port_zero(shared, config, client);
    incoming.token_request = TokenRequest::of(headers, config);
    incoming
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
