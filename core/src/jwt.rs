//! Names from the claims of a JSON Web Token (RFC 7519), as an API definition asks for them.
//!
//! The token is decoded and never verified, so what it says is only claimed. It must never be trusted to let anybody in.

use crate::headers::Headers;
use crate::identity::{Place, query_parameters, token_of};
use crate::json::Value;
use crate::registry::{JwtClaims, JwtLocation};
use crate::text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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

/// What a token says; nobody has verified it.
#[derive(Clone, Debug)]
pub struct Claims {
    place: Place,
    /// An object.
    payload: Value,
}

/// The user names that the tokens of a request claim, where `claims` says to look for them.
#[must_use]
pub fn usernames(headers: &Headers<'_>, url: &str, claims: &JwtClaims) -> Vec<ClaimedName> {
    let Some(claim) = claims.username() else {
        return Vec::new();
    };
    of_request(headers, url.as_bytes(), claims.location())
        .iter()
        .filter_map(|token| {
            Some(ClaimedName {
                username: token.text(claim)?.to_owned(),
                place: token.place(),
            })
        })
        .collect()
}

/// What the tokens of a request say, in their order. What is no such token is left out.
#[must_use]
pub fn of_request(headers: &Headers<'_>, url: &[u8], location: &JwtLocation) -> Vec<Claims> {
    let (place, tokens) = tokens(headers, url, location);
    tokens
        .iter()
        .take(MAX_TOKENS)
        .filter_map(|token| {
            Some(Claims {
                place,
                payload: payload(token)?,
            })
        })
        .collect()
}

impl Claims {
    /// Where the token stood.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// A claim that is a text, or an array whose first element is one; never empty.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        first_text(self.payload.get(claim)?)
    }
}

fn tokens(headers: &Headers<'_>, url: &[u8], location: &JwtLocation) -> (Place, Vec<String>) {
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
            let parameters = query_parameters(url);
            let named = parameters.filter(|(found, _)| found == name);
            (
                Place::Query,
                named.map(|(_, value)| value.into_owned()).collect(),
            )
        }
    }
}

fn payload(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    if payload.len() > MAX_PAYLOAD_CHARS {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims = Value::parse(&json).ok()?;
    claims.as_object().is_some().then_some(claims)
}

/// The claim may be an array; its first element counts.
fn first_text(claim: &Value) -> Option<&str> {
    let claim = match claim {
        Value::Array(elements) => elements.first()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            claim
        }
    };
    claim.as_str().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claimed(token: &str, claim: &str) -> Option<String> {
        let mut headers = Headers::default();
        let line = format!("Bearer {token}");
        headers.push("authorization".as_bytes(), line.as_bytes());
        let claims = of_request(&headers, b"/", &JwtLocation::AuthorizationBearer);
        claims.first()?.text(claim).map(str::to_owned)
    }

    fn token(payload: &[u8]) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_claim_is_a_text_or_the_first_of_an_array() {
        let payload = br#"{"sub":"anna","aud":["web","app"],"none":[],"empty":"","n":7,"o":{"sub":"x"},"nested":[["x"]]}"#;
        assert_eq!(claimed(&token(payload), "sub").as_deref(), Some("anna"));
        assert_eq!(claimed(&token(payload), "aud").as_deref(), Some("web"));
        for claim in ["none", "empty", "n", "o", "nested", "absent"] {
            assert_eq!(claimed(&token(payload), claim), None, "{claim}");
        }
    }

    #[test]
    fn what_is_no_token_of_usual_size_names_nobody() {
        let long = format!(
            r#"{{"sub":"anna","pad":"{}"}}"#,
            "x".repeat(MAX_PAYLOAD_CHARS)
        );
        let deep = format!(
            r#"{{"sub":"anna","deep":{}{}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        for payload in [
            long.as_str(),
            &deep,
            "[\"sub\"]",
            "\"sub\"",
            "{\"sub\":",
            "",
        ] {
            assert_eq!(
                claimed(&token(payload.as_bytes()), "sub"),
                None,
                "{payload:.40}"
            );
        }
        for odd in ["", ".", "..", "e30", "e30.!!!.sig", "e30.e30", "a.b.c.d"] {
            assert_eq!(claimed(odd, "sub"), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_token_or_none(line in prop::collection::vec(any::<u8>(), 0..80), payload in prop::collection::vec(any::<u8>(), 0..80), query: Vec<u8>) {
            let mut headers = Headers::default();
            headers.push("authorization".as_bytes(), line);
            let bearer = format!("Bearer {}", token(&payload));
            headers.push("authorization".as_bytes(), bearer.as_bytes());
            let url = [b"/?t=", &query[..]].concat();
            for location in [JwtLocation::AuthorizationBearer, JwtLocation::Header("authorization".to_owned()), JwtLocation::Query("t".to_owned())] {
                for claims in of_request(&headers, &url, &location) {
                    let _text = claims.text("sub");
                }
            }
        }
    }
}
