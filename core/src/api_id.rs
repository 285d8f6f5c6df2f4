//! The names of an API and of a group of APIs, as definitions and list entries spell them.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Longest accepted API id or group name, in bytes.
pub const MAX_BYTES: usize = 128;

/// Names one API: 1 to 128 bytes of letters, digits, `-` and `_`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiId(Arc<str>);

/// Names a group of APIs; same alphabet as [`ApiId`]. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiGroup(Arc<str>);

/// A text that cannot name an API or a group.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a name: use 1 to {MAX_BYTES} letters, digits, '-' and '_'")]
pub struct NameError(String);

impl ApiId {
    /// Reads an API id.
    ///
    /// # Errors
    /// When the text is empty, too long or holds another character (a dot, for example: no API id has one since version 4 of the original).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ApiGroup {
    /// Reads a group name.
    ///
    /// # Errors
    /// As [`ApiId::parse`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ApiGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<Arc<str>, NameError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(allowed) {
        return Err(NameError(text.chars().take(MAX_BYTES).collect()));
    }
    Ok(Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_or_an_empty_text_is_not_an_api_id() {
        assert!(ApiId::parse("shop_v1-0").is_ok());
        for bad in ["", "shop.v1", "a b", "é", &"a".repeat(129)] {
            assert!(ApiId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
