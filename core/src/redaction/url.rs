//! Secrets in a URL: user information, parameters of the query, the fragment and the path.

use std::borrow::Cow;

use super::HIDDEN;
use super::names::{self, SecretNames};

/// End a parameter for some servers. Within a part they begin another parameter, but never end a secret.
const SEPARATORS: [char; 3] = [';', '?', '#'];

pub(super) fn redacted<'u>(url: &'u str, secret: &SecretNames<'_>) -> Cow<'u, str> {
    // A secret is behind one of these, or its own name is escaped.
    if !url.contains(['=', '@', '%']) || is_simple_and_harmless(url, secret) {
        return Cow::Borrowed(url);
    }
    rewritten(url, secret)
}

fn rewritten<'u>(url: &'u str, secret: &SecretNames<'_>) -> Cow<'u, str> {
    let mut out = String::with_capacity(url.len() + HIDDEN.len());
    let rest = without_user_of_authority_form(url, &mut out);
    let parameters = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, parameters) = rest.split_at_checked(parameters).unwrap_or((rest, ""));
    redact_path(path, secret, &mut out);
    for part in parameters.split_inclusive('&') {
        let (body, end) = without_last(part, &['&']);
        redact_part(body, secret, &mut out);
        out.push_str(end);
    }
    if out == url {
        Cow::Borrowed(url)
    } else {
        Cow::Owned(out)
    }
}

/// Whether this is a path and a query as every server reads them, and none of its parameters is a secret. Most URLs are so, and need
/// neither decoding nor a copy.
fn is_simple_and_harmless(url: &str, secret: &SecretNames<'_>) -> bool {
    let Some((path, query)) = url.split_once('?') else {
        return false;
    };
    let odd = |byte: u8| matches!(byte, b'%' | b'@' | b'\\' | b';' | b'#' | b'?');
    !path.bytes().any(|byte| odd(byte) | (byte == b'='))
        && !query.bytes().any(odd)
        && query.split('&').all(|pair| match pair.split_once('=') {
            Some((name, value)) => !value.contains('=') && !secret.has(name),
            None => true,
        })
}

/// `user:password@host:443`; gives back what is behind the user information.
fn without_user_of_authority_form<'u>(url: &'u str, out: &mut String) -> &'u str {
    let authority = url.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return url;
    };
    out.push_str(HIDDEN);
    url.get(user.len()..).unwrap_or_default()
}

/// Behind two slashes user information may stand, be it at the front or in a URL within the path.
fn redact_path(path: &str, secret: &SecretNames<'_>, out: &mut String) {
    let slashes = ['/', '\\'];
    for part in path.split_inclusive(slashes) {
        let (mut body, end) = without_last(part, &slashes);
        let is_authority = out
            .chars()
            .rev()
            .take(2)
            .filter(|c| slashes.contains(c))
            .count()
            == 2;
        if let Some((_, host)) = body.rsplit_once('@').filter(|_| is_authority) {
            out.push_str(HIDDEN);
            out.push('@');
            body = host;
        }
        redact_part(body, secret, out);
        out.push_str(end);
    }
}

fn without_last<'p>(part: &'p str, separators: &[char]) -> (&'p str, &'p str) {
    let body = part.strip_suffix(separators).unwrap_or(part);
    (body, part.get(body.len()..).unwrap_or_default())
}

/// Writes one part up to its first secret; nothing behind a secret is shown, since it may belong to it.
fn redact_part(part: &str, secret: &SecretNames<'_>, out: &mut String) {
    for pair in part.split_inclusive(SEPARATORS) {
        let Some((name, value)) = pair.split_once('=') else {
            if holds_secret(pair, secret) {
                return out.push_str(HIDDEN);
            }
            out.push_str(pair);
            continue;
        };
        if names::decoded(name).contains('=') && holds_secret(name, secret) {
            return out.push_str(HIDDEN);
        }
        if secret.has(name) || holds_secret(value, secret) {
            out.push_str(name);
            out.push('=');
            return out.push_str(HIDDEN);
        }
        out.push_str(pair);
    }
}

/// Whether an escaped text has a secret parameter or user information in it.
fn holds_secret(text: &str, secret: &SecretNames<'_>) -> bool {
    if !text.contains(['=', '@', '%']) {
        return false;
    }
    let text = names::decoded(text).replace('\\', "/");
    let is_secret_pair = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(name, _)| secret.has(name))
    };
    let has_user = |rest: &str| {
        rest.split(['/', '?', '#'])
            .next()
            .is_some_and(|authority| authority.contains('@'))
    };
    text.split(['&', ';', '?', '#', '/']).any(is_secret_pair)
        || text.split("//").skip(1).any(has_user)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_for_harmless_at_a_glance_is_so_at_a_second_look(
            url in "[/a-c.]{0,8}[?/=;#%@\\\\]?((id|sid|token|page|x|mine)?[=&?;#%@/]?[a-z0-9]{0,3}[&=]?){0,6}"
        ) {
            let secret = SecretNames::with(&["mine"]);
            if is_simple_and_harmless(&url, &secret) {
                prop_assert_eq!(&rewritten(&url, &secret), &url);
            }
        }
    }
}
