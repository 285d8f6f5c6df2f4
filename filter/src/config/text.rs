//! The texts that go into HTTP messages: each is checked so that the host never refuses a call because of it.

use ase_core::text::Quoted;
use thiserror::Error;

/// Longest text that goes into a header of a call, in bytes; the host's limit on a header list is far above the sum.
pub(super) const MAX_TEXT_BYTES: usize = 4096;

/// What is wrong with a text. It is not repeated where it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum TextFault {
    #[error("must have 1 to {MAX_TEXT_BYTES} bytes")]
    Length,
    #[error("{} is not a header name: use letters, digits and !#$%&'*+-.^_`|~", Quoted(.0))]
    HeaderName(String),
    #[error("{} is set by the filter or by the host: use another header", Quoted(.0))]
    ReservedHeader(String),
    #[error("must start with / and have no #, blanks or control characters")]
    Path,
    #[error("must be a path without a query")]
    PathPrefix,
    #[error("{} is not a host name, nor one after *.", Quoted(.0))]
    Host(String),
    #[error("must have no blanks, control characters or characters beyond ASCII")]
    NotVisibleAscii,
    #[error("must have no control characters")]
    ControlCharacter,
}

/// A header name, in lower case.
pub(super) fn header_name(text: &str) -> Result<String, TextFault> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || text.len() > MAX_TEXT_BYTES || !text.bytes().all(token) {
        return Err(TextFault::HeaderName(text.chars().take(64).collect()));
    }
    Ok(text.to_ascii_lowercase())
}

/// A header of the filter's own replies.
pub(super) fn reply_header_name(text: &str) -> Result<String, TextFault> {
    unreserved(text, &["content-length", "transfer-encoding", "connection"])
}

/// A header that the filter sets on a request.
pub(super) fn request_header_name(text: &str) -> Result<String, TextFault> {
    let reserved = [
        "connection",
        "content-length",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    unreserved(text, &reserved)
}

/// The name under which routes hold settings in their metadata; as the property that shows them.
pub(super) fn metadata_namespace(text: &str) -> Result<Vec<u8>, TextFault> {
    let name = visible_ascii(text)?;
    Ok([b"xds\0route_metadata\0filter_metadata\0", name.as_bytes()].concat())
}

/// The header that carries the record id.
pub(super) fn correlation_header(text: &str) -> Result<String, TextFault> {
    let reserved = [
        "ase-token",
        "connection",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    unreserved(text, &reserved)
}

/// The path of a call.
pub(super) fn path(text: &str) -> Result<String, TextFault> {
    if !text.starts_with('/') || text.contains('#') || visible_ascii(text).is_err() {
        return Err(TextFault::Path);
    }
    Ok(text.to_owned())
}

/// Characters that need no care anywhere in a message's head.
pub(super) fn visible_ascii(text: &str) -> Result<String, TextFault> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(TextFault::Length);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TextFault::NotVisibleAscii);
    }
    Ok(text.to_owned())
}

/// The value of a header of the filter's own replies; may be empty.
pub(super) fn header_value(text: &str) -> Result<String, TextFault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(TextFault::Length);
    }
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(TextFault::ControlCharacter);
    }
    Ok(text.to_owned())
}

/// The name of a cluster: whatever the host calls it.
pub(super) fn cluster(text: &str) -> Result<String, TextFault> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(TextFault::Length);
    }
    header_value(text)
}

/// The name of a cookie or of a query parameter.
pub(super) fn parameter_name(text: &str) -> Result<String, TextFault> {
    cluster(text)
}

fn unreserved(text: &str, reserved: &[&str]) -> Result<String, TextFault> {
    let name = header_name(text)?;
    if reserved.contains(&name.as_str()) {
        return Err(TextFault::ReservedHeader(name));
    }
    Ok(name)
}
