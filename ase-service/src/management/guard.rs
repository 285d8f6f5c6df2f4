//! Who may call the management port at all: not a browser's page, and only who shows the secret.
//!
//! A page in an operator's browser can reach loopback. It is told by the `Origin` header, or, after it has pointed its own
//! name at this address (DNS rebinding), by a `Host` that is a foreign name. Command line and scripts send neither.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::reply::Refusal;
use super::restricted::{self, Sight};
use super::{
    ABS_ACCESS_KEY_HEADER, ABS_SECRET_KEY_HEADER, ACCESS_KEY, ACCESS_KEY_HEADER, Management,
    SECRET_KEY_HEADER,
};

/// Where the paths of the original's analysis engine begin.
pub(super) const ABS_PATH: &str = "/v4/abs";
/// What they are called with, beside the others.
const ABS_HEADERS: (&str, &str) = (ABS_ACCESS_KEY_HEADER, ABS_SECRET_KEY_HEADER);

/// Refuses what a browser's page may have sent.
pub(super) async fn refuse_browsers(
    State(management): State<Arc<Management>>,
    request: Request,
    next: Next,
) -> Response {
    match browser_sign(request.headers(), request.uri().authority(), &management) {
        None => next.run(request).await,
        Some(sign) => {
            let refusal = Refusal {
                status: StatusCode::FORBIDDEN,
                faults: vec![sign],
            };
            in_family(request.uri().path(), refusal)
        }
    }
}

/// Lets only callers with access key and secret through. Those with the restricted pair may read reports, without identifiers.
pub(super) async fn authenticate(
    State(management): State<Arc<Management>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (path, headers) = (request.uri().path(), request.headers());
    let is_abs = path == ABS_PATH
        || path
            .strip_prefix(ABS_PATH)
            .is_some_and(|rest| rest.starts_with('/'));
    let is_full = is_abs && shows(&management, headers, ABS_HEADERS);
    let refusal = if is_full || is_authentic(&management, headers) {
        request.extensions_mut().insert(Sight::Full);
        return next.run(request).await;
    } else if is_abs && shows_restricted(&management, headers) {
        if request.method() == Method::GET {
            request.extensions_mut().insert(Sight::Restricted);
            return next.run(request).await;
        }
        Refusal {
            status: StatusCode::FORBIDDEN,
            faults: vec!["the restricted keys may only read".to_owned()],
        }
    } else {
        let fault = format!("{ACCESS_KEY_HEADER} or {SECRET_KEY_HEADER} is absent or wrong");
        Refusal {
            status: StatusCode::UNAUTHORIZED,
            faults: vec![fault],
        }
    };
    in_family(request.uri().path(), refusal)
}

/// Says of a body over its bound what other refusals say, in the shape of the path.
pub(super) async fn tell_too_large(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    if response.status() != StatusCode::PAYLOAD_TOO_LARGE {
        return response;
    }
    let refusal = Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        faults: vec!["the body is larger than this call takes".to_owned()],
    };
    in_family(&path, refusal)
}

/// Whether access key and secret are shown.
pub(super) fn is_authentic(management: &Management, headers: &HeaderMap) -> bool {
    shows(management, headers, (ACCESS_KEY_HEADER, SECRET_KEY_HEADER))
}

fn shows(
    management: &Management,
    headers: &HeaderMap,
    (access_key, secret_key): (&str, &str),
) -> bool {
    let secret = management.secret.load().matches(shown(headers, secret_key));
    secret && shown(headers, access_key) == ACCESS_KEY.as_bytes()
}

fn shows_restricted(management: &Management, headers: &HeaderMap) -> bool {
    let given = shown(headers, restricted::SECRET_KEY_HEADER);
    let secret = management.restricted_secret.load().matches(given);
    secret && shown(headers, restricted::ACCESS_KEY_HEADER) == restricted::ACCESS_KEY.as_bytes()
}

fn shown<'h>(headers: &'h HeaderMap, name: &str) -> &'h [u8] {
    headers.get(name).map_or(&[], HeaderValue::as_bytes)
}

/// A refusal as the calls of this path say it.
pub(super) fn in_family(path: &str, refusal: Refusal) -> Response {
    if path.starts_with("/v4/") || path.starts_with("/v5/") {
        refusal.documented()
    } else {
        refusal.plain()
    }
}

fn browser_sign(
    headers: &HeaderMap,
    target: Option<&Authority>,
    management: &Management,
) -> Option<String> {
    if headers.contains_key(header::ORIGIN) {
        return Some("calls of web pages are refused: origin must be absent".to_owned());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = match (target, hosts.next()) {
        (Some(authority), _) => Some(authority.clone()),
        (None, Some(host)) => host.to_str().ok().and_then(|host| host.parse().ok()),
        (None, None) => None,
    };
    let known = named.is_some_and(|authority: Authority| is_own(authority.host(), management));
    if known && hosts.next().is_none() {
        return None;
    }
    Some("host must be this port's address, localhost or one of admin_hosts".to_owned())
}

/// Whether a host can only mean this daemon: a page cannot point an address or `localhost` elsewhere.
fn is_own(host: &str, management: &Management) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let named = host.strip_suffix('.').unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
        || named.eq_ignore_ascii_case("localhost")
        || management
            .settings
            .hosts
            .iter()
            .any(|own| own.eq_ignore_ascii_case(named))
}
