//! Names from the claims of a JSON Web Token (RFC 7519), as an API definition asks for them.
//!
//! The token is decoded and never verified, so what it says is only claimed. It must never be trusted to let anybody in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::headers::Headers;
use crate::identity::{Place, query_parameters, token_of};
use crate::registry::{JwtClaims, JwtLocation};
use crate::text;

/// Longest payload that is decoded, in base64 characters; a longer one names nobody.
const MAX_PAYLOAD_CHARS: usize = 64 * 1024;

/// Most tokens of one request that are looked into.
const MAX_TOKENS: usize = 8;

/// A user name that a token claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedName {
    /// The name; never empty.
    pub username: String,
    /// Where the token stood.
    pub place: Place,
}

/// The user names that the tokens of a request claim, where `claims` says to look for them.
#[must_use]
pub fn usernames(headers: &Headers<'_>, url: &str, claims: &JwtClaims) -> Vec<ClaimedName> {
    let Some(claim) = claims.username() else {
        return Vec::new();
    };
    let (place, tokens) = tokens(headers, url, claims.location());
    tokens
        .iter()
        .take(MAX_TOKENS)
        .filter_map(|token| first_text(payload(token)?.get(claim)?))
        .map(|username| ClaimedName { username, place })
        .collect()
}

fn tokens(headers: &Headers<'_>, url: &str, location: &JwtLocation) -> (Place, Vec<String>) {
    let in_header = |name: &str| {
        let values = headers.values_of(name.as_bytes());
        let parts = values.flat_map(|value| value.split(|&byte| byte == b','));
        parts
            .filter_map(|part| token_of(name, part))
            .map(|token| text::of(token).into_owned())
            .collect()
    };
    match location {
        JwtLocation::Header(name) => (Place::Header, in_header(name)),
        JwtLocation::AuthorizationBearer => (Place::Header, in_header("authorization")),
        JwtLocation::Query(name) => {
            let parameters = query_parameters(url.as_bytes());
            let named = parameters.filter(|(found, _)| found == name);
            (
                Place::Query,
                named.map(|(_, value)| value.into_owned()).collect(),
            )
        }
    }
}

fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    if payload.len() > MAX_PAYLOAD_CHARS {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&json).ok()
}

/// The claim may be an array; its first element counts.
fn first_text(claim: &Value) -> Option<String> {
    let claim = match claim {
        Value::Array(elements) => elements.first()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            claim
        }
    };
    claim
        .as_str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}
