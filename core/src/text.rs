//! Bytes from a header as text, the same on both sides of the wire.
//!
//! Valid UTF-8 stands for itself; anything else is read as ISO-8859-1, byte by byte. Gateway and ASE compute
//! identifiers from this text, so the gateway's bytes and ASE's JSON strings lead to the same identifier.

use std::borrow::Cow;

/// The text of `bytes`: UTF-8 where valid, else ISO-8859-1. Never fails, never replaces a character.
#[must_use]
pub fn of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// `bytes` without the blanks and tabs around them (the optional white space of RFC 9110 §5.6.3).
#[must_use]
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// As [`of`], for the value of a `Cow` that may already own its bytes.
#[must_use]
pub fn of_cow<'a>(bytes: &Cow<'a, [u8]>) -> Cow<'a, str> {
    match bytes {
        Cow::Borrowed(bytes) => of(bytes),
        Cow::Owned(bytes) => Cow::Owned(of(bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_stands_for_itself_and_other_bytes_are_latin_1() {
        assert_eq!(of("é€".as_bytes()), "é€");
        assert_eq!(of(b"caf\xe9\x80"), "caf\u{e9}\u{80}");
    }
}
