//! From the header lists that the host hands over to the JSON halves of a report.
//!
//! Everything that is ever said about a request is taken here, in the request phase: later the host may have changed or hidden it. Headers `x-ase-*` are
//! between the filter and ASE: a client's are not reported.

use std::borrow::Cow;

use ase_core::address::{ClientAddress, PeerAddress, forwarded_for};
use ase_core::headers::{Header, Headers};
use ase_core::identity::Credentials;
use ase_core::metadata::TlsFacts;
use ase_core::policy_image::LocalRequest;
use ase_core::wire::{RequestHead, write_request, write_response};

use crate::config::{ClientAddressSource, Config, CredentialForm};
use crate::exchange::Head;
use crate::token_request::TokenRequest;

pub mod tls;
mod told;
mod user;

pub use user::Verified;

/// Room for a request half of the usual size.
const HALF_BYTES: usize = 4096;

/// What the host says about a request, as bytes.
#[derive(Clone, Debug)]
pub struct SeenRequest<'a> {
    /// All headers, pseudo headers included.
    pub headers: &'a Headers<'a>,
    /// The property `source.address`; `None` when the host does not tell.
    pub source_address: Option<&'a [u8]>,
    /// The property `request.protocol`; `None` when the host does not tell.
    pub protocol: Option<&'a [u8]>,
    /// What the host has verified about the user.
    pub verified: Verified<'a>,
    /// What the host knows of the client's TLS connection, where that is to be told.
    pub tls: Option<&'a TlsFacts<'a>>,
}

/// The client, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; `None` is reported as absent, never made up.
    pub address: Option<ClientAddress>,
    /// Its port.
    pub port: Option<u16>,
}

/// Finds the client of a request.
#[must_use]
pub fn client(source: ClientAddressSource, seen: &SeenRequest<'_>) -> Client {
    match source {
        ClientAddressSource::Envoy => {
            let text = seen
                .source_address
                .and_then(|bytes| std::str::from_utf8(bytes).ok());
            let peer = text.and_then(|text| PeerAddress::parse(text).ok());
            Client {
                address: peer.map(|peer| peer.address),
                port: peer.and_then(|peer| peer.port).map(|port| port.get()),
            }
        }
        ClientAddressSource::Xff(trusted_hops) => {
            let values = seen
                .headers
                .values_of(b"x-forwarded-for")
                .map(|value| &**value);
            Client {
                address: forwarded_for(values, trusted_hops).ok(),
                port: None,
            }
        }
    }
}

/// Appends the question about a request, which is the request half of its report, unless it lacks the client's address, a method or a URL, which every question
/// needs, or `clears` says that what an image is asked about clears it. Then nothing is appended, and the head says why.
pub fn write_question(
    out: &mut Vec<u8>,
    seen: &SeenRequest<'_>,
    client: Client,
    config: &Config,
    clears: &mut dyn FnMut(&LocalRequest<'_>) -> bool,
) -> Head {
    let line = Line::of(seen);
    if client.address.is_none() || line.method.is_empty() || line.url.is_empty() {
        return Head::Incomplete;
    }
    if write_unless(out, (seen, &line), client, config, clears) {
        Head::Cleared
    } else {
        Head::Read
    }
}

/// Appends the request half of a report, with what there is.
pub fn write_request_half(
    out: &mut Vec<u8>,
    seen: &SeenRequest<'_>,
    client: Client,
    config: &Config,
) {
    write_unless(out, (seen, &Line::of(seen)), client, config, &mut |_| false);
}

/// Whether `clears` said so.
fn write_unless(
    out: &mut Vec<u8>,
    (seen, line): (&SeenRequest<'_>, &Line<'_>),
    client: Client,
    config: &Config,
    clears: &mut dyn FnMut(&LocalRequest<'_>) -> bool,
) -> bool {
    let report = config.report();
    let tokens = user::Tokens::of(seen, line.url, config);
    let names = user::names(seen, &tokens, config);
    let mut credentials = Credentials::find(seen.headers, line.url, config.credentials());
    user::add_usernames(&mut credentials, seen, &tokens, config.user_info());
    if clears(&LocalRequest {
        client: client.address,
        headers: seen.headers,
        url: line.url,
        host: line.host,
        credentials: &credentials,
        username: names.username.as_deref(),
    }) {
        return true;
    }
    out.reserve(HALF_BYTES);
    let head = RequestHead {
        source_ip: client.address,
        source_port: client.port,
        method: line.method,
        url: &told::url(line.url, config),
        host: line.host,
        http_version: seen
            .protocol
            .map(|protocol| protocol.strip_prefix(b"HTTP/").unwrap_or(protocol)),
        tls: seen.tls,
        // With ids, the name's id is among the identifiers.
        username: names
            .username
            .as_deref()
            .filter(|_| !matches!(report.credentials, CredentialForm::Ids(_))),
        client_id: names.client_id.as_deref(),
    };
    write_request(
        out,
        &head,
        told::headers(seen.headers, &report.request_headers, config)
            .filter(|(name, _)| !name.eq_ignore_ascii_case(b"host")),
        told::identifiers(&credentials, report),
    );
    false
}

/// Method, target and host of a request.
struct Line<'s> {
    /// Empty where there is none.
    method: &'s [u8],
    /// Path and query; empty where there is none.
    url: &'s [u8],
    host: Option<&'s [u8]>,
}

impl<'s> Line<'s> {
    fn of(seen: &SeenRequest<'s>) -> Self {
        let first = |name: &[u8]| value_of(seen.headers, name);
        // An empty authority is a host that matches APIs of every host; only an absent one is no host.
        let authority = first(b":authority");
        Self {
            method: first(b":method").unwrap_or_default(),
            // CONNECT has no path: its target is the authority.
            url: first(b":path").or(authority).unwrap_or_default(),
            host: authority.or_else(|| first(b"host")),
        }
    }
}

/// Adds the names of a token request to the request half of a record.
pub fn add_names(half: &mut Vec<u8>, request: &TokenRequest, config: &Config) {
    let (username, client_id) = user::names_of(request);
    let mut credentials = Credentials::default();
    user::add_username_of_body(&mut credentials, username);
    let in_words =
        username.filter(|_| !matches!(config.report().credentials, CredentialForm::Ids(_)));
    ase_core::wire::add_names(
        half,
        in_words,
        client_id,
        told::identifiers(&credentials, config.report()),
    );
}

/// Appends the response half of a report.
pub fn write_response_half(out: &mut Vec<u8>, status: u16, headers: &Headers<'_>, config: &Config) {
    let told = told::headers(headers, &config.report().response_headers, config);
    write_response(out, status, told);
}

/// The status of a response or of an answer, 100 to 999.
#[must_use]
pub fn status(headers: &Headers<'_>) -> Option<u16> {
    let digits = headers.first(b":status")?;
    let three_digits = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (three_digits && status >= 100).then_some(status)
}

/// The distinct names of `x-ase-*` headers and of the filter's own mark, which are taken off before the request goes upstream.
#[must_use]
pub fn reserved_names<'h>(headers: &'h Headers<'_>, config: &Config) -> Vec<Cow<'h, [u8]>> {
    let mark = config.fail_open_header();
    let is_mark = |name: &[u8]| mark.is_some_and(|mark| name.eq_ignore_ascii_case(mark.as_bytes()));
    let reserved = |name: &[u8]| is_reserved(name) || is_mark(name);
    let mut names: Vec<Cow<'h, [u8]>> = Vec::new();
    for Header { name, .. } in headers.iter().filter(|header| reserved(&header.name)) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(Cow::Borrowed(name));
        }
    }
    names
}

fn value_of<'h>(headers: &'h Headers<'_>, name: &[u8]) -> Option<&'h [u8]> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| &*header.value)
}

fn reported<'h>(headers: &'h Headers<'_>) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    headers
        .iter()
        .filter(|header| !header.name.starts_with(b":") && !is_reserved(&header.name))
        .map(|header| (&*header.name, &*header.value))
}

fn is_reserved(name: &[u8]) -> bool {
    name.split_at_checked(6)
        .is_some_and(|(prefix, _)| prefix.eq_ignore_ascii_case(b"x-ase-"))
}

#[cfg(test)]
mod tests;
