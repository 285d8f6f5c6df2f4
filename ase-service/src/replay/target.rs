//! A request target out of a log, made such that an HTTP client can send it: as few bytes as possible are touched.

use std::fmt::Write as _;

use hyper::Uri;

/// What had to be done to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Bytes that were percent-encoded.
    pub(super) encoded: usize,
    /// It was an absolute URL; only its path and query are sent.
    pub(super) absolute: bool,
    /// It did not begin with a slash.
    pub(super) slashed: bool,
}

/// The target as it can be sent; `None` when there is no way.
pub(super) fn sendable(target: &[u8]) -> Option<(Uri, Change)> {
    let mut change = Change::default();
    let path = match path_of_absolute(target) {
        Some(path) => {
            change.absolute = true;
            path
        }
        None => target,
    };
    let mut text = String::with_capacity(path.len());
    if !path.starts_with(b"/") && path != b"*" {
        change.slashed = !path.is_empty() || !change.absolute;
        text.push('/');
    }
    let mut in_query = false;
    for &byte in path {
        if stands(byte, in_query) {
            in_query |= byte == b'?';
            text.push(char::from(byte));
        } else {
            change.encoded = change.encoded.saturating_add(1);
            // Writing to a String cannot fail.
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    Some((Uri::try_from(text).ok()?, change))
}

/// Whether hyper sends a byte of a target as it is. That is more than RFC 3986 allows: what clients send raw goes out raw where it can.
fn stands(byte: u8, in_query: bool) -> bool {
    match byte {
        b'#' | b'<' | b'>' => false,
        b'`' => in_query,
        b'"' => !in_query,
        _ => byte.is_ascii_graphic(),
    }
}

/// Path and query of `http://host/path?query`.
fn path_of_absolute(target: &[u8]) -> Option<&[u8]> {
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let scheme = if lower.starts_with(b"http://") {
        7
    } else if lower.starts_with(b"https://") {
        8
    } else {
        return None;
    };
    let rest = target.get(scheme..)?;
    let path = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    rest.get(path..)
}
