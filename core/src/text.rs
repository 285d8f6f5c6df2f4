//! Bytes from a header as text, the same on both sides of the wire.
//!
//! Valid UTF-8 stands for itself; a byte that is not part of any is the ISO-8859-1 character of the same number. Gateway
//! and ASE compute identifiers from this text. Cutting at an ASCII byte before or after makes no difference, and neither
//! does what stands elsewhere in the same header or body.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// The text of `bytes`. Never fails, never replaces a character.
#[must_use]
pub fn of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
    }
    Cow::Owned(text)
}

/// As [`of`], for bytes that may already be owned.
#[must_use]
pub fn of_cow(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => of(bytes),
        Cow::Owned(bytes) => Cow::Owned(
            String::from_utf8(bytes).unwrap_or_else(|error| of(error.as_bytes()).into_owned()),
        ),
    }
}

/// A text in quotes for a message on one line: quotes, backslashes and control characters are escaped.
///
/// As `{:?}` would, but for characters that cannot be printed: to know those takes tables of 4 kB in the filter's module.
#[derive(Clone, Copy)]
pub struct Quoted<'t>(pub &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0'..' ' | '\x7f'..'\u{a0}' => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quoted_text_stays_on_its_line_and_within_its_quotes() {
        let text = "a\"b\\c\n\r\t\0\u{7f}\u{85}é'中";
        assert_eq!(
            Quoted(text).to_string(),
            r#""a\"b\\c\n\r\t\u{0}\u{7f}\u{85}é'中""#
        );
        assert_eq!(Quoted("").to_string(), "\"\"");
    }

    #[test]
    fn utf8_stands_for_itself_and_other_bytes_are_latin_1() {
        assert_eq!(of("é€".as_bytes()), "é€");
        assert_eq!(of(b"caf\xe9\x80 \xc3\xa9"), "caf\u{e9}\u{80} é");
    }

    proptest! {
        #[test]
        fn plain_text_is_quoted_as_rust_would(text in "[ -~]{0,40}") {
            prop_assert_eq!(Quoted(&text).to_string(), format!("{text:?}"));
        }

        #[test]
        fn the_text_of_a_part_is_a_part_of_the_text(left: Vec<u8>, right: Vec<u8>) {
            let whole = [&left[..], b";", &right[..]].concat();
            prop_assert_eq!(of(&whole), format!("{};{}", of(&left), of(&right)));
        }
    }
}
