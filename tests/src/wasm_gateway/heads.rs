//! Between hyper's message heads and the header maps that the guest sees.
//!
//! Pseudo headers stand first, names are lower case, value bytes pass unjudged. What Envoy adds to a request before its filters is added here.
//! Must never invent a client address.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};

use super::pairs::Pairs;
use super::{HeadLimits, RemoteAddress};

/// Request headers that Envoy holds once: further lines are joined to the first with a comma.
const JOINED: [&str; 9] = [
    "content-type",
    "keep-alive",
    "te",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// A request that Envoy answers before its filters.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) code: StatusCode,
    pub(super) details: &'static str,
    /// What of the head is known to the access log.
    pub(super) head: Pairs,
}

/// What the guest sees of a request, and where it comes from.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) pairs: Pairs,
    /// `source.address`.
    pub(super) source: SocketAddr,
}

/// Turns a request's head into what the guest sees, or says why Envoy would not let it come so far.
pub(super) fn request_head<B>(
    request: &Request<B>,
    peer: SocketAddr,
    remote: RemoteAddress,
    limits: HeadLimits,
) -> Result<RequestHead, Rejection> {
    let headers = request.headers();
    let reject = |code, details, head| {
        Err(Rejection {
            code,
            details,
            head,
        })
    };
    if request.version() == Version::HTTP_10 {
        return reject(
            StatusCode::UPGRADE_REQUIRED,
            "low_version",
            Pairs::default(),
        );
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > limits.headers || bytes > limits.bytes {
        return reject(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "request_headers_too_large",
            Pairs::default(),
        );
    }
    let mut pairs = pseudo_headers(request);
    add_headers(&mut pairs, headers);
    if pairs.get(b":authority").is_none() {
        return reject(StatusCode::BAD_REQUEST, "missing_host_header", pairs);
    }
    if pairs
        .get(b":path")
        .is_some_and(|path| !path.starts_with(b"/"))
    {
        return reject(StatusCode::NOT_FOUND, "absolute_path_rejected", pairs);
    }
    let source = client_address(&mut pairs, peer, remote);
    if pairs.get(b"x-forwarded-proto").is_none() {
        pairs.add(b"x-forwarded-proto", b"http");
    }
    if pairs.get(b"x-request-id").is_none() {
        pairs.add(b"x-request-id", request_id().as_bytes());
    }
    Ok(RequestHead { pairs, source })
}

/// Whether a request asks to leave HTTP.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let wants = headers.get_all("connection").iter().any(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .windows(7)
            .any(|part| part == b"upgrade")
    });
    wants && headers.contains_key("upgrade")
}

fn pseudo_headers<B>(request: &Request<B>) -> Pairs {
    let uri = request.uri();
    let host = request.headers().get("host").map(HeaderValue::as_bytes);
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes())
        .or(host);
    let mut pairs = Pairs::default();
    if let Some(authority) = authority {
        pairs.add(b":authority", authority);
    }
    if request.method() != Method::CONNECT {
        pairs.add(
            b":path",
            uri.path_and_query()
                .map_or("/", |path| path.as_str())
                .as_bytes(),
        );
    }
    pairs.add(b":method", request.method().as_str().as_bytes());
    if request.method() != Method::CONNECT {
        pairs.add(b":scheme", b"http");
    }
    pairs
}

fn add_headers(pairs: &mut Pairs, headers: &HeaderMap) {
    let upgrade = is_upgrade(headers);
    for (name, value) in headers {
        match name.as_str() {
            "host" | "keep-alive" | "proxy-connection" | "transfer-encoding" => {}
            "connection" | "upgrade" if !upgrade => {}
            joined if JOINED.contains(&joined) => pairs.join(joined.as_bytes(), value.as_bytes()),
            plain => pairs.add(plain.as_bytes(), value.as_bytes()),
        }
    }
}

/// Envoy's rules for the client's address: see `RemoteAddress`.
fn client_address(pairs: &mut Pairs, peer: SocketAddr, remote: RemoteAddress) -> SocketAddr {
    let forwarded = pairs.text("x-forwarded-for").unwrap_or_default();
    let from_right = |hops: usize| {
        let address: IpAddr = forwarded.rsplit(',').nth(hops)?.trim().parse().ok()?;
        Some(SocketAddr::new(address, 0))
    };
    match remote {
        RemoteAddress::Forwarded => from_right(0).unwrap_or(peer),
        RemoteAddress::Peer { trusted_hops } => {
            let source = trusted_hops
                .checked_sub(1)
                .and_then(from_right)
                .unwrap_or(peer);
            pairs.join(b"x-forwarded-for", peer.ip().to_string().as_bytes());
            source
        }
    }
}

fn request_id() -> String {
    let source = RandomState::new();
    let (high, low) = (source.hash_one(1), source.hash_one(2));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// A request as it goes to an upstream or a callout's cluster; none if the map is not one of a request.
pub(super) fn to_request<B>(pairs: &Pairs, body: B) -> Option<Request<B>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(pairs.get(b":method")?).ok()?;
    *request.uri_mut() = Uri::try_from(pairs.get(b":path")?).ok()?;
    let host = HeaderValue::from_bytes(pairs.get(b":authority")?).ok()?;
    request.headers_mut().append("host", host);
    append(request.headers_mut(), pairs, &["host", "transfer-encoding"])?;
    Some(request)
}

/// A response as it goes to the client; none if the map is not one of a response.
pub(super) fn to_response<B>(pairs: &Pairs, body: B) -> Option<Response<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_bytes(pairs.get(b":status")?).ok()?;
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let dropped: &[&str] = if switching {
        &["transfer-encoding"]
    } else {
        &["transfer-encoding", "connection", "keep-alive", "server"]
    };
    append(response.headers_mut(), pairs, dropped)?;
    response
        .headers_mut()
        .insert("server", HeaderValue::from_static("envoy"));
    Some(response)
}

/// What the guest sees of a reply.
pub(super) fn response_pairs<B>(response: &Response<B>) -> Pairs {
    let mut pairs = Pairs::default();
    pairs.add(b":status", response.status().as_str().as_bytes());
    for (name, value) in response.headers() {
        pairs.add(name.as_str().as_bytes(), value.as_bytes());
    }
    pairs
}

fn append(headers: &mut HeaderMap, pairs: &Pairs, dropped: &[&str]) -> Option<()> {
    for (name, value) in pairs.iter().filter(|(name, _)| !name.starts_with(b":")) {
        if !dropped.iter().any(|dropped| dropped.as_bytes() == name) {
            headers.append(
                HeaderName::from_bytes(name).ok()?,
                HeaderValue::from_bytes(value).ok()?,
            );
        }
    }
    Some(())
}
