//! The shape of a path: its route once ids, UUIDs and hashes are taken out, and the object that it names.
//!
//! By what the API's definition declares or else by the look of the segments alone, so that the first request of a route has
//! the same shape as the thousandth.

use ase_core::path::NormalPath;

use crate::hash::Hasher;
use crate::transaction::Declared;

/// Longest run of digits that is taken for a number.
const MAX_DIGITS: usize = 18;
const HEX_ID: usize = 12;
const RANDOM_ID: usize = 20;
/// Most letters before the number of an id like `ORD-100001`.
const MAX_PREFIX: usize = 8;
/// What neighbours are told by; the letters come above it, so that ids are neighbours whatever stands before their numbers.
const NUMBER_BITS: u32 = 48;
/// Fewest digits after them: `page-12` is a word.
const MIN_NUMBERED: usize = 4;
/// Longest text of a route, in bytes.
pub(crate) const MAX_TEMPLATE: usize = 128;
const GOES_ON: &str = "...";

/// A path as detectors see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    /// The path without its ids.
    pub(crate) route: u64,
    /// The whole path.
    pub(crate) whole: u64,
    /// The last id in it.
    pub(crate) object: Option<Object>,
    /// The route of the objects right below it.
    pub(crate) collection: u32,
    /// The last segment; empty for the root.
    pub(crate) last: &'a [u8],
}

/// One of the objects that a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The route and the place of the id in it.
    pub(crate) route: u32,
    /// The id.
    pub(crate) id: u64,
    /// Whether ids of this sort can be counted through.
    pub(crate) sort: ObjectSort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectSort {
    /// A number.
    Number,
    /// Anything else.
    Opaque,
}

/// What a segment is by its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A part of the route.
    Word,
    /// A number.
    Number(u64),
    /// A UUID, a hash, an address, a random text.
    Opaque,
}

impl<'a> Shape<'a> {
    pub(crate) fn of(path: &'a NormalPath, declared: Declared, hasher: Hasher) -> Self {
        let mut shape = Self {
            route: 1,
            whole: 1,
            object: None,
            collection: 0,
            last: &[],
        };
        for (place, segment) in path.segments().enumerate() {
            let hash = hasher.bytes(segment);
            shape.whole = hasher.pair(shape.whole, hash);
            shape.last = segment;
            let (id, sort) = match declared_kind(segment, place, declared) {
                Segment::Word => {
                    shape.route = hasher.pair(shape.route, hash);
                    continue;
                }
                Segment::Number(number) => (number, ObjectSort::Number),
                Segment::Opaque => (hash, ObjectSort::Opaque),
            };
            shape.route = hasher.pair(shape.route, 2);
            let route = (shape.route >> 32) as u32;
            shape.object = Some(Object { route, id, sort });
        }
        shape.collection = (hasher.pair(shape.route, 2) >> 32) as u32;
        shape
    }
}

/// The route of a path in words: `/orders/{id}`. In one word of visible ASCII: the rest is percent-encoded, and what
/// is longer than [`MAX_TEMPLATE`] shortened.
pub(crate) fn template(path: &NormalPath, declared: Declared) -> Box<str> {
    let mut template = String::new();
    for (place, segment) in path.segments().enumerate() {
        template.push('/');
        match declared_kind(segment, place, declared) {
            Segment::Number(_) | Segment::Opaque => template.push_str("{id}"),
            Segment::Word => push_word(&mut template, segment),
        }
        if template.len() > MAX_TEMPLATE {
            template.truncate(MAX_TEMPLATE - GOES_ON.len());
            template.push_str(GOES_ON);
            break;
        }
    }
    if template.is_empty() {
        template.push('/');
    }
    template.into()
}

fn push_word(template: &mut String, word: &[u8]) {
    for byte in word {
        if byte.is_ascii_graphic() && !b"%{}?#".contains(byte) {
            template.push(char::from(*byte));
        } else {
            template.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// What a segment is by the definition where that declares its route, and by its look elsewhere.
fn declared_kind(segment: &[u8], place: usize, declared: Declared) -> Segment {
    match declared {
        Declared::Nothing | Declared::Other => segment_kind(segment),
        Declared::Route(parameters) if parameters.include(place) => match segment_kind(segment) {
            Segment::Number(number) => Segment::Number(number),
            Segment::Word | Segment::Opaque => Segment::Opaque,
        },
        Declared::Route(_) => Segment::Word,
    }
}

/// What a segment is by its look.
pub(crate) fn segment_kind(segment: &[u8]) -> Segment {
    let mut digits = 0_usize;
    let mut hex = 0_usize;
    let mut letters = 0_usize;
    let mut others = 0_usize;
    for byte in segment {
        match byte {
            b'0'..=b'9' => (digits, hex) = (digits + 1, hex + 1),
            b'a'..=b'f' | b'A'..=b'F' => (letters, hex) = (letters + 1, hex + 1),
            b'g'..=b'z' | b'G'..=b'Z' => letters += 1,
            b'-' | b'_' => {}
            b'@' => return Segment::Opaque,
            _ => others += 1,
        }
    }
    let length = segment.len();
    if digits == length && digits > 0 {
        return number(segment);
    }
    if let Some(number) = numbered(segment) {
        return number;
    }
    let only_hex = others == 0 && hex == digits + letters && digits > 0;
    let random = others == 0 && length >= RANDOM_ID && digits * 5 >= length;
    if only_hex && hex >= HEX_ID || random {
        return Segment::Opaque;
    }
    Segment::Word
}

/// An id like `ORD-100001`, `ORD100001` or `u_0042`: letters, which count as a part of the number, at most one sign, digits. Not a version such as `v20240101`.
fn numbered(segment: &[u8]) -> Option<Segment> {
    let letters = segment.iter().take_while(|byte| byte.is_ascii_alphabetic());
    let (prefix, rest) = segment.split_at_checked(letters.count())?;
    let digits = match rest {
        [b'-' | b'_' | b'.', digits @ ..] | digits => digits,
    };
    let is_one = (1..=MAX_PREFIX).contains(&prefix.len())
        && !prefix.eq_ignore_ascii_case(b"v")
        && digits.len() >= MIN_NUMBERED
        && digits.iter().all(u8::is_ascii_digit);
    let letters = prefix.iter().fold(0_u16, |mixed, letter| {
        mixed.rotate_left(5) ^ u16::from(*letter)
    });
    is_one.then(|| match number(digits) {
        Segment::Number(number) => Segment::Number(number ^ u64::from(letters) << NUMBER_BITS),
        other @ (Segment::Word | Segment::Opaque) => other,
    })
}

fn number(digits: &[u8]) -> Segment {
    if digits.len() > MAX_DIGITS {
        return Segment::Opaque;
    }
    Segment::Number(digits.iter().fold(0, |sum, digit| {
        sum * 10 + u64::from(digit.wrapping_sub(b'0'))
    }))
}

/// The object that a query names by a parameter like `id=7`: the first one of such a name.
pub(crate) fn object_of_query(query: &[u8], route: u64, hasher: Hasher) -> Option<Object> {
    for pair in query.split(|byte| *byte == b'&') {
        let Some(cut) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (pair.get(..cut)?, pair.get(cut + 1..)?);
        if value.is_empty() || !names_an_object(name) {
            continue;
        }
        let (id, sort) = match segment_kind(value) {
            Segment::Number(number) => (number, ObjectSort::Number),
            Segment::Word | Segment::Opaque => (hasher.bytes(value), ObjectSort::Opaque),
        };
        let route = (hasher.pair(route, hasher.bytes(name)) >> 32) as u32;
        return Some(Object { route, id, sort });
    }
    None
}

/// `id`, `user_id`, `userId`, `uid`, `account`, ...; not what pages and limits are called.
fn names_an_object(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 10] = [
        b"user",
        b"account",
        b"order",
        b"invoice",
        b"item",
        b"doc",
        b"document",
        b"file",
        b"number",
        b"no",
    ];
    let ends_in_id = name.len() >= 2
        && name
            .get(name.len() - 2..)
            .is_some_and(|end| end.eq_ignore_ascii_case(b"id"));
    ends_in_id || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> u64 {
        Shape::of(
            &NormalPath::from_url(path),
            Declared::Nothing,
            Hasher::new(3),
        )
        .route
    }

    #[test]
    fn ids_uuids_and_hashes_collapse_and_words_do_not() {
        let one = route("/users/1/orders");
        for id in [
            "999999",
            "123e4567-e89b-12d3-a456-426614174000",
            "d41d8cd98f00b204e9800998ecf8427e",
            "someone@example.com",
            "01HZX3V5J8K2M4N6P7Q8R9S0T1",
            "ORD-100001",
            "ORD100001",
            "u_0042",
            "inv.2024",
        ] {
            assert_eq!(route(&format!("/users/{id}/orders")), one, "{id}");
        }
        for word in [
            "me",
            "v2",
            "orders-of-today",
            "deadbeef",
            "readme.md",
            "facade",
            "v20240101",
            "page-12",
            "step-1-of-1000",
            "ORD--100001",
            "invoices-of-2024",
            "2024-q1",
        ] {
            assert_ne!(route(&format!("/users/{word}/orders")), one, "{word}");
        }
    }

    #[test]
    fn numbers_with_letters_before_them_are_neighbours_and_others_than_those_without() {
        let number = |segment: &str| match segment_kind(segment.as_bytes()) {
            Segment::Number(number) => number,
            Segment::Word | Segment::Opaque => panic!("{segment} is no number"),
        };
        assert_eq!(number("ORD-100001") + 1, number("ORD-100002"));
        let spellings = ["100001", "ORD-100001", "ord-100001", "INV-100001"];
        let mut numbers = spellings.map(number).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), spellings.len());
    }

    #[test]
    fn the_last_id_is_the_object_whatever_follows() {
        let path = NormalPath::from_url("/shops/12/orders/34/lines");
        let object = Shape::of(&path, Declared::Nothing, Hasher::new(3))
            .object
            .unwrap();
        assert_eq!((object.id, object.sort), (34, ObjectSort::Number));
    }

    #[test]
    fn a_query_names_an_object_by_a_parameter_like_an_id_and_not_by_a_page() {
        let object = |query: &str| object_of_query(query.as_bytes(), 5, Hasher::new(3));
        assert_eq!(object("x=1&userId=77").map(|object| object.id), Some(77));
        assert_eq!(object("page=3&limit=20&_=170000"), None);
        assert_eq!(object("id="), None);
    }
}
