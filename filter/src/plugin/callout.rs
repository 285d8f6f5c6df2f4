//! Callouts: sending one, and reading the answer of the current one.

use std::borrow::Cow;
use std::time::Duration;

use ase_core::headers::Headers;
use ase_core::policy_image::FingerprintBits;

use super::contexts;
use crate::capability::Capability;
use crate::config::{Ase, Config, Peer};
use crate::exchange::{Answer, BODY_START_BYTES, CalloutToken, DispatchRefusal, Exchange};
use crate::host::{self, Buffer, Map, Refused, Returned};
use crate::host_profile::{HostCall, HostProfile};
use crate::outbox::{Call, Endpoint};
use crate::pairs;
use crate::site::Site;

/// The answer that the host is delivering right now.
pub(super) fn answer(headers: usize, body_size: usize, config: &Config) -> Answer {
    let mark = &config.ase().answer_mark;
    let body_start = || body(BODY_START_BYTES.min(body_size));
    if headers == 0 {
        let word = config.host().failure_header();
        let word = word.and_then(|name| host::header(Map::Answer, name).ok());
        return Answer::none(config.host().failure(word.as_deref()));
    }
    let Ok(buffer) = host::header_pairs(Map::Answer) else {
        return Answer::unreadable();
    };
    match pairs::parse(&buffer) {
        // The host announced headers and shows none: nothing can be concluded from that.
        Ok(headers) if headers.is_empty() => Answer::unreadable(),
        Ok(headers) => Answer::of(&with_status(headers, Map::Answer), mark, body_start),
        Err(_) => Answer::unreadable(),
    }
}

/// Response headers whose list may lack the status.
pub(super) fn with_status(mut headers: Headers<'_>, map: Map) -> Headers<'_> {
    let listed = headers.first(b":status").is_some() || headers.is_empty();
    if !listed && let Ok(status) = host::header(map, ":status") {
        headers.push(b":status", status.to_vec());
    }
    headers
}

/// The first `max_bytes` of the body of the answer that the host is delivering right now; empty when the host does not show it.
pub(super) fn body(max_bytes: usize) -> Returned {
    if max_bytes == 0 {
        return Returned::default();
    }
    host::buffer(Buffer::AnswerBody, max_bytes).unwrap_or_default()
}

/// Asks about the request of the stream `context`, which gets the answer.
pub(super) fn ask(
    config: &Config,
    exchange: &Exchange,
    question: &[u8],
    context: u32,
) -> Result<CalloutToken, DispatchRefusal> {
    let ase = config.ase();
    let peer = ase.peer(exchange.site());
    let correlation = Some((ase.correlation_header.as_str(), exchange.id().as_str()));
    let path = config.question_path();
    let mut headers = headers(ase, peer, &path, "application/json", correlation);
    let retry = ase.retry_headers.iter();
    headers.extend(retry.map(|(name, value)| (*name, value.as_str())));
    let wait = exchange.wait();
    dispatch(config.host(), context, peer, &headers, question, wait)
}

/// Asks for the policy image, or for what is new of the one that is there; the answer comes to the root context `context`, which must be the active one.
pub(super) fn fetch_image(
    config: &Config,
    context: u32,
    site: Site,
    have: Option<(u64, u32)>,
) -> Result<CalloutToken, DispatchRefusal> {
    let (ase, local) = (config.ase(), config.local());
    let bits = match local.width {
        FingerprintBits::Eight => "8",
        FingerprintBits::Sixteen => "16",
    };
    let wanted = with_image(&ase.image_path, "have", have);
    let separator = if wanted.contains('?') { '&' } else { '?' };
    let path = format!("{wanted}{separator}bits={bits}");
    let mut headers = vec![
        (":method", "GET"),
        (":path", path.as_str()),
        (":authority", ase.peer(site).authority.as_str()),
    ];
    headers.extend(token(ase));
    let (peer, wait) = (ase.peer(site), config.delivery().timeout);
    dispatch(config.host(), context, peer, &headers, &[], wait)
}

/// A path with the build and the revision of the image that is there.
fn with_image<'p>(path: &'p str, key: &str, have: Option<(u64, u32)>) -> Cow<'p, str> {
    let Some((build, revision)) = have else {
        return Cow::Borrowed(path);
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    Cow::Owned(format!("{path}{separator}{key}={build:016x}.{revision}"))
}

fn token(ase: &Ase) -> Option<(&str, &str)> {
    let token = ase.token.as_ref()?;
    Some(("ase-token", token.expose()))
}

/// Sends records for the root context `context`, which must be the active one and gets the answer.
pub(super) fn deliver(
    config: &Config,
    context: u32,
    site: Site,
    call: &Call<'_>,
    image: Option<(u64, u32)>,
) -> Result<CalloutToken, DispatchRefusal> {
    let ase = config.ase();
    let peer = ase.peer(site);
    let (path, content_type) = match call.endpoint {
        Endpoint::Batch => (
            with_image(&ase.batch_path, "image", image),
            "application/x-ndjson",
        ),
        Endpoint::Request => (Cow::Borrowed(&*ase.request_path), "application/json"),
        Endpoint::Response => (Cow::Borrowed(&*ase.response_path), "application/json"),
    };
    let correlation = call
        .correlation
        .map(|id| (ase.correlation_header.as_str(), id.as_str()));
    let headers = headers(ase, peer, &path, content_type, correlation);
    let wait = config.delivery().timeout;
    dispatch(config.host(), context, peer, &headers, call.body, wait)
}

fn headers<'c>(
    ase: &'c Ase,
    peer: &'c Peer,
    path: &'c str,
    content_type: &'c str,
    correlation: Option<(&'c str, &'c str)>,
) -> Vec<(&'c str, &'c str)> {
    let mut headers = vec![
        (":method", "POST"),
        (":path", path),
        (":authority", peer.authority.as_str()),
        ("content-type", content_type),
    ];
    headers.extend(token(ase));
    headers.extend(correlation);
    headers
}

/// The call is always well formed, its parts being checked with the configuration; so a bad argument is the cluster's name.
fn dispatch(
    at_host: HostProfile,
    context: u32,
    peer: &Peer,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> Result<CalloutToken, DispatchRefusal> {
    match host::http_call(&peer.cluster, &pairs::write(headers), body, timeout) {
        Ok(token) => {
            let token = CalloutToken(token);
            contexts::called_out(token, context);
            Ok(token)
        }
        Err(refused) if refused.is_bad_argument() => Err(DispatchRefusal::UnknownCluster),
        Err(_) => {
            if at_host.offers(HostCall::CallNobody) && is_denied() {
                host::refused(Capability::HttpCall);
            }
            Err(DispatchRefusal::NotSent)
        }
    }
}

/// Whether the host refuses every call: one that names no cluster is wrong for a host that would look at it.
fn is_denied() -> bool {
    let headers = [(":method", "POST"), (":path", "/"), (":authority", "ase")];
    let wait = Duration::from_secs(1);
    let sent = host::http_call("", &pairs::write(&headers), &[], wait);
    sent.is_err_and(Refused::is_denial)
}
