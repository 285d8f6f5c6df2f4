//! A JSON writer into a buffer that the caller owns and reuses; and a reader, [`Value`].
//!
//! The filter writes a question and a record per request; this needs no value tree and takes header bytes of any
//! kind. A byte that is not UTF-8 is written as the ISO-8859-1 character of the same number (see [`crate::text`]).

use std::io::Write as _;

mod value;

pub use value::{NotJson, Value};

/// Writes the members of one JSON object.
pub struct Object<'b> {
    out: &'b mut Vec<u8>,
    empty: bool,
}

/// Writes the elements of one JSON array.
pub struct Array<'b> {
    out: &'b mut Vec<u8>,
    empty: bool,
}

/// Appends one JSON object to `out`; `fill` writes its members.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    let mut members = Object { out, empty: true };
    fill(&mut members);
    members.out.push(b'}');
}

/// Appends `value` as a JSON string.
pub fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.reserve(value.len().saturating_add(2));
    out.push(b'"');
    if is_plain(value) {
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    for chunk in value.utf8_chunks() {
        escaped(out, chunk.valid().as_bytes());
        for &byte in chunk.invalid() {
            // U+0080 to U+00FF in UTF-8: the two top bits, then the six low ones.
            out.extend_from_slice(&[0xC0 | (byte >> 6), 0x80 | (byte & 0x3F)]);
        }
    }
    out.push(b'"');
}

impl Object<'_> {
    /// A string member that `write` appends; it writes nothing that must be escaped.
    pub fn plain(&mut self, key: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.literal_key(key);
        self.out.push(b'"');
        let start = self.out.len();
        write(self.out);
        debug_assert!(
            self.out.get(start..).is_some_and(is_plain),
            "{key:?} was to be plain"
        );
        self.out.push(b'"');
    }

    /// A string member. `value` may be any bytes.
    pub fn text(&mut self, key: &'static str, value: &[u8]) {
        self.literal_key(key);
        string(self.out, value);
    }

    /// As [`Self::text`], for a key that is itself data, such as a header name.
    pub fn text_under(&mut self, key: &[u8], value: &[u8]) {
        self.key(key);
        string(self.out, value);
    }

    /// An integer member.
    pub fn number(&mut self, key: &'static str, value: u64) {
        self.literal_key(key);
        decimal(self.out, value);
    }

    /// A boolean member.
    pub fn flag(&mut self, key: &'static str, value: bool) {
        self.literal_key(key);
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member whose value `write` appends as JSON.
    pub fn json(&mut self, key: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        self.literal_key(key);
        write(self.out);
    }

    /// An object member.
    pub fn object(&mut self, key: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        self.literal_key(key);
        object(self.out, fill);
    }

    /// An array member.
    pub fn array(&mut self, key: &'static str, fill: impl FnOnce(&mut Array<'_>)) {
        self.literal_key(key);
        self.out.push(b'[');
        let mut elements = Array {
            out: self.out,
            empty: true,
        };
        fill(&mut elements);
        elements.out.push(b']');
    }

    fn key(&mut self, key: &[u8]) {
        self.comma();
        string(self.out, key);
        self.out.push(b':');
    }

    /// A key of the code's own, which has nothing to escape.
    fn literal_key(&mut self, key: &'static str) {
        debug_assert!(is_plain(key.as_bytes()), "{key:?} is no literal key");
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

impl Array<'_> {
    /// An object element.
    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.comma();
        object(self.out, fill);
    }

    /// A string element.
    pub fn text(&mut self, value: &[u8]) {
        self.comma();
        string(self.out, value);
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

/// Appends a number; the formatting machinery would cost several times as much.
fn decimal(out: &mut Vec<u8>, value: u64) {
    let start = out.len();
    let mut rest = value;
    loop {
        // Below ten, so nothing is lost.
        out.push(b'0' | (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.get_mut(start..).unwrap_or_default().reverse();
}

/// Appends UTF-8 with the escapes that RFC 8259 §7 requires; runs without one are copied whole.
fn escaped(out: &mut Vec<u8>, utf8: &[u8]) {
    for run in utf8.chunk_by(|left, right| !must_escape(*left) && !must_escape(*right)) {
        match run {
            [byte] if must_escape(*byte) => escape(out, *byte),
            plain => out.extend_from_slice(plain),
        }
    }
}

/// Whether all of it is ASCII that stands for itself, as nearly every value is.
fn is_plain(value: &[u8]) -> bool {
    if cfg!(target_arch = "wasm32") {
        is_plain_by_words(value)
    } else {
        is_plain_by_runs(value)
    }
}

/// Looks at eight bytes at once; for machines whose compiler makes no vectors of runs.
fn is_plain_by_words(value: &[u8]) -> bool {
    let (words, rest) = value.as_chunks::<8>();
    if words.iter().any(|word| has_odd(u64::from_le_bytes(*word))) {
        return false;
    }
    match value.last_chunk::<8>() {
        Some(last) => !has_odd(u64::from_le_bytes(*last)),
        None => !rest.iter().any(|&byte| is_odd(byte)),
    }
}

/// Whether one of eight bytes is odd. A byte below a bound borrows from its top bit when the bound is taken away; one that is equal to another is zero, and
/// so below one, when the two are mixed by exclusive or.
fn has_odd(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (below(word, 0x20) | quote | backslash | word) & (ONES * 0x80) != 0
}

/// Looks at whole runs, which the compiler turns into a few instructions each.
fn is_plain_by_runs(value: &[u8]) -> bool {
    const RUN: usize = 32;
    let mut runs = value.chunks_exact(RUN);
    let rest = runs.remainder();
    runs.all(|run| !run.iter().fold(false, |found, &byte| found | is_odd(byte)))
        && !rest.iter().any(|&byte| is_odd(byte))
}

/// Whether a byte cannot be copied as it is.
fn is_odd(byte: u8) -> bool {
    must_escape(byte) | !byte.is_ascii()
}

fn must_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0C => out.extend_from_slice(b"\\f"),
        control => {
            // Writing to a Vec cannot fail.
            let _infallible = write!(out, "\\u{control:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, bytes);
        serde_json::from_slice(&out).unwrap()
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_string_that_reads_back_as_their_text(bytes: Vec<u8>) {
            prop_assert_eq!(read_back(&bytes), crate::text::of(&bytes));
        }

        #[test]
        fn any_text_reads_back_as_itself(text: String) {
            prop_assert_eq!(read_back(text.as_bytes()), text);
        }
    }

    /// Long plain text with an odd byte here and there, which is where whole words and runs count.
    fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
        let plain = prop::collection::vec(0x20..0x7F_u8, 0..80);
        let byte = prop_oneof![any::<u8>(), 0x00..0x20_u8];
        let odd = prop::collection::vec((any::<prop::sample::Index>(), byte), 0..3);
        (plain, odd).prop_map(|(mut bytes, odd)| {
            for (place, byte) in odd {
                if !bytes.is_empty() {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn both_ways_to_see_what_is_plain_agree_with_a_look_at_each_byte(bytes in nearly_plain()) {
            let plain = bytes.iter().all(|byte| matches!(byte, 0x20..0x80) && !b"\"\\".contains(byte));
            prop_assert_eq!(is_plain_by_words(&bytes), plain);
            prop_assert_eq!(is_plain_by_runs(&bytes), plain);
        }

        #[test]
        fn what_serde_json_writes_of_a_text_is_written_here(bytes in nearly_plain()) {
            let mut out = Vec::new();
            string(&mut out, &bytes);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&crate::text::of(&bytes)).unwrap());
        }

        #[test]
        fn any_number_is_written_in_decimal(number: u64) {
            let mut out = Vec::new();
            decimal(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn members_and_elements_are_parted_by_commas() {
        let mut out = Vec::new();
        object(&mut out, |o| {
            o.text("a", b"x\"\\\n\x01");
            o.number("n", 7);
            o.flag("f", true);
            o.json("r", |out| out.extend_from_slice(b"[1]"));
            o.object("o", |_| {});
            o.array("l", |l| {
                l.text(b"1");
                l.object(|o| o.text_under(b"k\xff", b"v"));
            });
        });
        let expected =
            r#"{"a":"x\"\\\n\u0001","n":7,"f":true,"r":[1],"o":{},"l":["1",{"kÿ":"v"}]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
