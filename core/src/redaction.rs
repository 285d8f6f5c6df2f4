//! Takes secrets out of what is logged.
//!
//! Works on any text and fails towards hiding: a spelling that some server might read as a secret parameter is hidden. The
//! result is for people and never for matching. Never longer than the input and [`HIDDEN`] for each part of it.
//!
//! Hidden are the values of
//! * query and path parameters with a secret name (see `names.rs`), user information in a URL, and both of these inside an
//!   escaped URL that is the value of a parameter;
//! * `Authorization` and its variants (a well-known scheme stays), `Cookie` and `Set-Cookie` (names and attributes stay), headers
//!   with a secret name, and the URL in `Referer` and its like.

use std::borrow::Cow;

mod names;
mod url;

use names::SecretNames;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Authentication schemes that are shown; anything else before a blank may be half of a secret.
const SCHEMES: &[&str] = &[
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "key",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "token",
    "vapid",
];

/// Attributes of `Set-Cookie` that are shown with their values.
const COOKIE_ATTRIBUTES: &[&str] = &[
    "domain",
    "expires",
    "httponly",
    "max-age",
    "partitioned",
    "path",
    "priority",
    "samesite",
    "secure",
];

/// Headers whose value is a URL, in lower case without separators.
const URL_HEADERS: &[&str] = &[
    "contentlocation",
    "link",
    "location",
    "origin",
    "path",
    "referer",
    "referrer",
    "refresh",
    "xenvoyoriginalpath",
    "xenvoyoriginalurl",
    "xforwardedpath",
    "xforwardeduri",
    "xoriginalpath",
    "xoriginaluri",
    "xoriginalurl",
    "xrewriteurl",
];

/// `url` (any form of request target, or an absolute URL) without its secrets. `extra_query_names` are hidden besides the
/// built-in ones, in any case and with any separators.
#[must_use]
pub fn redact_url<'u>(url: &'u str, extra_query_names: &[&str]) -> Cow<'u, str> {
    url::redacted(url, &SecretNames::with(extra_query_names))
}

/// The value of header `name` without its secrets. `extra_names` are hidden besides the built-in ones, as header names
/// and as parameters of a URL.
#[must_use]
pub fn redact_header<'v>(name: &str, value: &'v str, extra_names: &[&str]) -> Cow<'v, str> {
    let secret = SecretNames::with(extra_names);
    let plain = names::plain(name);
    if plain.ends_with("authorization") {
        authorization(value)
    } else if plain == "setcookie" {
        Cow::Owned(set_cookie(value))
    } else if plain.contains("cookie") {
        Cow::Owned(cookies(value))
    } else if URL_HEADERS.contains(&plain.as_str()) {
        url::redacted(value, &secret)
    } else if plain.ends_with("key") || secret.has(name) {
        Cow::Borrowed(HIDDEN)
    } else {
        Cow::Borrowed(value)
    }
}

fn authorization(value: &str) -> Cow<'_, str> {
    let scheme = value.split_ascii_whitespace().next().unwrap_or_default();
    let is_known = SCHEMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    if is_known && value.trim_ascii() != scheme {
        Cow::Owned(format!("{scheme} {HIDDEN}"))
    } else {
        Cow::Borrowed(HIDDEN)
    }
}

fn cookies(value: &str) -> String {
    joined(value.split(';').map(hidden_value))
}

fn set_cookie(value: &str) -> String {
    let mut parts = value.split(';');
    let cookie = parts.next().map(hidden_value);
    joined(cookie.into_iter().chain(parts.map(attribute)))
}

fn attribute(part: &str) -> String {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let name = name.trim_ascii();
    let is_known = COOKIE_ATTRIBUTES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name));
    // A second `=` is another cookie that something joined on with a comma.
    if is_known && !value.contains('=') {
        part.trim_ascii().to_owned()
    } else {
        hidden_value(part)
    }
}

fn hidden_value(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{}={HIDDEN}", name.trim_ascii()),
        None => HIDDEN.to_owned(),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
