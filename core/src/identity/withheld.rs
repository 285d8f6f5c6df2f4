//! What is left of a URL when its credentials are not told.
//!
//! Reads parameters as [`super::query_parameters`] does, so that no credential is found whose value is told all the same.

use std::borrow::Cow;

use super::CredentialNames;
use super::parameters::{Plus, is_parameter, percent_decoded, split_once};

/// A request target, with nothing for the values of the token and API key parameters that `names` points at. The path stays as it is.
#[must_use]
pub fn without_credentials<'u>(url: &'u [u8], names: &CredentialNames) -> Cow<'u, [u8]> {
    let mark = url.iter().position(|&byte| byte == b'?');
    let Some((path, query)) = mark.and_then(|mark| url.split_at_checked(mark)) else {
        return Cow::Borrowed(url);
    };
    let is_secret = |pair: &&[u8]| {
        let (name, _) = split_once(pair, b'=').unwrap_or((pair, b""));
        let name = percent_decoded(name, Plus::IsBlank);
        let mut known = names.token_query.iter().chain(&names.api_key_query);
        known.any(|known| is_parameter(&name, known))
    };
    // Some servers let a second `?` begin a parameter.
    let separators = |byte: &u8| b"?&;#".contains(byte);
    let (mut told, mut hides) = (path.to_vec(), false);
    for part in query.split_inclusive(separators) {
        let (pair, end) = match part.split_last() {
            Some((last, pair)) if separators(last) => (pair, std::slice::from_ref(last)),
            Some(_) | None => (part, &[][..]),
        };
        let value = pair.iter().position(|&byte| byte == b'=').map(|at| at + 1);
        let value = value.filter(|_| is_secret(&pair));
        hides |= value.is_some();
        let kept = value.unwrap_or(pair.len());
        told.extend_from_slice(pair.get(..kept).unwrap_or_default());
        told.extend_from_slice(end);
    }
    if hides {
        Cow::Owned(told)
    } else {
        Cow::Borrowed(url)
    }
}
