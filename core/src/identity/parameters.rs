//! The query parameters of a URL, in the spellings that servers read them in.

use std::borrow::Cow;

use crate::text;

/// The name and value of each query parameter of a request target, percent-decoded, `+` read as a blank. Invalid escapes
/// stay as they are. `;` and `#` part parameters as `&` does: some servers read them so.
pub fn query_parameters(url: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let decoded = |part| percent_decoded(part, Plus::IsBlank);
    raw_parameters(url).map(move |(name, value)| (decoded(name), decoded(value)))
}

pub(super) fn raw_parameters(url: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let query = match url.iter().position(|&byte| byte == b'?') {
        Some(mark) => url.get(mark + 1..).unwrap_or_default(),
        None => &[],
    };
    query
        .split(|byte| b"&;#".contains(byte))
        .filter(|pair| !pair.is_empty())
        .map(|pair| split_once(pair, b'=').unwrap_or((pair, b"")))
}

/// `key[]` and ` key` are `key` to some servers.
pub(super) fn is_parameter(name: &str, known: &str) -> bool {
    let bare = name.trim_ascii().split('[').next().unwrap_or_default();
    name.eq_ignore_ascii_case(known) || bare.eq_ignore_ascii_case(known)
}

pub(super) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// What `+` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    IsBlank,
    Stays,
}

/// Decodes the text of `part`, not its bytes, so that gateway (bytes) and ASE (text) decode the same.
pub(super) fn percent_decoded(part: &[u8], plus: Plus) -> Cow<'_, str> {
    let text = text::of(part);
    let blank = |byte: u8| byte == b'+' && plus == Plus::IsBlank;
    if !text.bytes().any(|byte| byte == b'%' || blank(byte)) {
        return text;
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (byte, _) if blank(byte) => decoded.push(b' '),
            (b'%', [high, low, after_escape @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push((high << 4) | low);
                    rest = after_escape;
                }
                (None, _) | (_, None) => decoded.push(b'%'),
            },
            (other, _) => decoded.push(other),
        }
    }
    text::of_cow(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
