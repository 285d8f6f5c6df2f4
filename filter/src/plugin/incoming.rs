//! What a request is when it comes in: what the host shows of it is kept, and how it is to be treated is found.

use ase_core::headers::Headers;
use ase_core::metadata::TlsFacts;
use ase_core::text::Quoted;

use super::shared::{About, Shared};
use crate::clock::Moment;
use crate::config::{ClientAddressSource, Config, Policy, Treatment};
use crate::dialect::Dialect;
use crate::exchange::Head;
use crate::head::{self, Client, SeenRequest};
use crate::host::{self, Level, Map};
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
    /// Takes everything about a request that is ever used while the host shows it, and takes off what must not reach upstream.
    pub(super) fn read(shared: &Shared, config: &Config, now: Moment) -> Self {
        let at_host = config.host();
        let mut request = KeptRequest {
            headers: host::header_pairs(Map::Request)
                .unwrap_or_default()
                .into_vec(),
            target: property(at_host.target_property()),
            ..KeptRequest::default()
        };
        let headers = pairs::parse(&request.headers).unwrap_or_default();
        let headers = at_host.request_headers(headers, request.target.clone());
        let mut incoming = Self {
            head: Head::Unreadable,
            kept: Kept::unseen(),
            policy: policy_of(shared, config, &headers),
            dialect: Dialect::Http,
            token_request: None,
        };
        if headers.is_empty() {
            return incoming;
        }
        // Nothing else is ever refused.
        if incoming.policy.treatment.asks() {
            incoming.dialect = Dialect::of(&headers);
        }
        strip_reserved(&headers, config);
        request.source_address = source_address(config);
        let client = head::client(config.client_address(), &request.seen(&headers));
        incoming.policy.treatment = incoming.policy.treatment_of(client.address);
        if let Treatment::Off(_) = incoming.policy.treatment {
            return incoming;
        }
        warn_of_port_zero(shared, config, client);
        incoming.token_request = TokenRequest::of(&headers, config);
        request.protocol = property(Some(b"request\0protocol"));
        let claims = &config.user_info().verified;
        request.username = property(claims.username.as_deref());
        request.client_id = property(claims.client_id.as_deref());
        request.tls = tls_facts(config);
        let question = incoming.question(&request.seen(&headers), client, shared, config, now);
        drop(headers);
        incoming.kept = question.map_or_else(|| Kept::of(request), Kept::asked);
        incoming
    }

    /// The question about the request, where ASE may have to be asked.
    fn question(
        &mut self,
        seen: &SeenRequest<'_>,
        client: Client,
        shared: &Shared,
        config: &Config,
        now: Moment,
    ) -> Option<Vec<u8>> {
        let treatment = self.policy.treatment;
        if !treatment.asks() {
            self.head = Head::Read;
            return None;
        }
        let mut question = Vec::new();
        self.head = head::write_question(&mut question, seen, client, config, &mut |request| {
            treatment == Treatment::Local && shared.clears(request, config, now)
        });
        Some(question).filter(|_| self.head == Head::Read)
    }
}

fn property(path: Option<&[u8]>) -> Option<Vec<u8>> {
    let value = host::property(path?).ok()?.into_vec();
    Some(value).filter(|value| !value.is_empty())
}

fn source_address(config: &Config) -> Option<Vec<u8>> {
    if let ClientAddressSource::Xff(_) = config.client_address() {
        return None;
    }
    let address = property(Some(b"source\0address"))?;
    let port = property(config.host().source_port_property());
    Some(config.host().peer(address, port.as_deref()))
}

fn tls_facts(config: &Config) -> Option<Box<TlsFacts<'static>>> {
    let tls = head::tls::facts(&config.report().tls, |path| host::property(path).ok());
    let is_told = tls.known().next().is_some();
    is_told.then(|| Box::new(tls))
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
                format!("a route's metadata has {} with a value that is not known: it is left out (docs/filter-configuration.md, Routes)", Quoted(&key))
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
