//! Paths of API traffic, in one spelling, so that a variant spelling of a blocked path is the same path.
//!
//! Escapes are decoded once; `\` and a decoded `/` separate as `/` does; `;parameters`, empty segments and dot segments
//! go; case stays. The result is for matching only and never stands in for the path that the client sent.
//! Linear in time and never longer than its input plus one byte.

use std::fmt;

/// A normalised path. The root has no segment; a trailing slash makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NormalPath {
    /// Each segment behind one `/`; empty for the root. Decoded bytes need not be UTF-8.
    bytes: Vec<u8>,
}

impl NormalPath {
    /// Normalises the path of a request target: origin form, absolute form, authority form or `*`; query and fragment
    /// are cut off. The two last have no path and are the root.
    #[must_use]
    pub fn from_url(url: &str) -> Self {
        let mut path = Self {
            bytes: Vec::with_capacity(url.len() + 1),
        };
        let mut segment = Segment::default();
        for byte in Decoded::of(raw_path(url).as_bytes()) {
            if byte == b'/' || byte == b'\\' {
                path.end_segment(&mut segment);
            } else {
                path.extend_segment(&mut segment, byte);
            }
        }
        path.end_segment(&mut segment);
        path
    }

    /// Every path that a server may read from a request target; [`Self::from_url`]'s first.
    ///
    /// Servers disagree about encoded separators, backslashes, empty segments before `..`, and whether dot segments mean
    /// anything; a client may choose a spelling that its server reads otherwise than [`Self::from_url`] does. A target
    /// without such a spelling has exactly one reading.
    #[must_use]
    pub fn readings(url: &str) -> Vec<Self> {
        let raw = raw_path(url);
        if let Some(only) = Self::plain(raw) {
            return vec![only];
        }
        let mut readings = vec![Self::from_url(url)];
        for other in [
            Self::of_segments(&plain_segments(raw), Dots::Resolve),
            Self::of_segments(&plain_segments(raw), Dots::Keep),
            Self::of_segments(&all_segments(raw), Dots::Keep),
        ] {
            if !readings.contains(&other) {
                readings.push(other);
            }
        }
        readings
    }

    /// A path that every server reads alike, which most are.
    fn plain(raw: &str) -> Option<Self> {
        let bytes = raw.as_bytes();
        let mut before = 0;
        for &byte in bytes {
            let odd = match byte {
                b'%' | b'\\' | b';' => true,
                b'/' | b'.' => before == b'/',
                _ => false,
            };
            if odd {
                return None;
            }
            before = byte;
        }
        let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
        if !bytes.is_empty() && !bytes.starts_with(b"/") {
            return None;
        }
        Some(Self {
            bytes: bytes.to_vec(),
        })
    }

    /// The decoded segments, from the root downwards; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        // The bytes open with a separator, so the first piece is the nothing before it.
        self.bytes.split(|&byte| byte == b'/').skip(1)
    }

    /// Each segment behind one `/`; nothing for the root.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the root path.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The path from `base` downwards; `None` when it does not begin with `base`.
    #[must_use]
    pub fn below(&self, base: &Self) -> Option<Self> {
        let rest = self.bytes.strip_prefix(base.bytes.as_slice())?;
        matches!(rest, [] | [b'/', ..]).then(|| Self {
            bytes: rest.to_vec(),
        })
    }

    /// Whether it is `base` or lies below it.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        let rest = self.bytes.strip_prefix(base.bytes.as_slice());
        matches!(rest, Some([] | [b'/', ..]))
    }

    fn of_segments(segments: &[Vec<u8>], dots: Dots) -> Self {
        let mut kept: Vec<&[u8]> = Vec::with_capacity(segments.len());
        for segment in segments {
            match (segment.as_slice(), dots) {
                (b".", Dots::Resolve) => {}
                (b"..", Dots::Resolve) => drop(kept.pop()),
                (other, Dots::Resolve | Dots::Keep) => kept.push(other),
            }
        }
        let mut bytes = Vec::new();
        for segment in kept.into_iter().filter(|segment| !segment.is_empty()) {
            bytes.push(b'/');
            bytes.extend_from_slice(segment);
        }
        Self { bytes }
    }

    /// A segment is written behind the path before it is known whether it stays.
    fn extend_segment(&mut self, segment: &mut Segment, byte: u8) {
        if byte == b';' {
            segment.in_parameters = true;
        }
        if segment.in_parameters {
            return;
        }
        if segment.length == 0 {
            self.bytes.push(b'/');
        }
        self.bytes.push(byte);
        segment.length += 1;
    }

    fn end_segment(&mut self, segment: &mut Segment) {
        let Segment { length, .. } = std::mem::take(segment);
        if length == 0 {
            return;
        }
        let start = self.bytes.len().saturating_sub(length);
        let drops = match self.bytes.get(start..) {
            Some(b".") => 1,
            Some(b"..") => 2,
            Some(_) | None => 0,
        };
        for _ in 0..drops {
            let end = self
                .bytes
                .iter()
                .rposition(|&byte| byte == b'/')
                .unwrap_or(0);
            self.bytes.truncate(end);
        }
    }
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str("/");
        }
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

/// What `.` and `..` mean.
#[derive(Clone, Copy)]
enum Dots {
    Resolve,
    Keep,
}

/// The segments as RFC 3986 §3.3 reads them: parted by `/` alone, then decoded. A decoded separator within a segment
/// becomes `\`, which no segment of a definition holds.
fn plain_segments(raw: &str) -> Vec<Vec<u8>> {
    let pieces = raw.strip_prefix('/').unwrap_or(raw).split('/');
    let decoded = |piece: &str| {
        let bytes = Decoded::of(piece.as_bytes());
        bytes
            .map(|byte| if byte == b'/' { b'\\' } else { byte })
            .collect()
    };
    pieces.map(decoded).collect()
}

/// The segments as the laxest server reads them: decoded, then parted by `/` and `\`, without parameters.
fn all_segments(raw: &str) -> Vec<Vec<u8>> {
    let decoded: Vec<u8> = Decoded::of(raw.as_bytes()).collect();
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .map(|segment| {
            segment
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default()
        })
        .map(<[u8]>::to_vec)
        .collect()
}

#[derive(Default)]
struct Segment {
    length: usize,
    in_parameters: bool,
}

/// The path of a request target, still escaped, without query and fragment.
fn raw_path(url: &str) -> &str {
    let end = url.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    let target = end.and_then(|end| url.get(..end)).unwrap_or(url);
    if target.bytes().next().is_some_and(is_slash) {
        return target;
    }
    // A scheme has no colon, so the first one ends it. (The search for a whole text would be 5 kB of the filter's module.)
    let colon = target.bytes().position(|byte| byte == b':');
    let parted = colon.and_then(|colon| target.split_at_checked(colon));
    match parted.and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("://")?))) {
        Some((scheme, rest)) if is_scheme(scheme) => {
            let start = rest.bytes().position(is_slash);
            start
                .and_then(|start| rest.get(start..))
                .unwrap_or_default()
        }
        // Without a separator it is an authority or `*`, and has no path.
        Some(_) | None if target.bytes().any(is_slash) => target,
        Some(_) | None => "",
    }
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn is_scheme(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    !text.is_empty() && text.bytes().all(allowed)
}

/// The bytes of a text with `%XX` decoded once; an invalid escape stays as it is.
struct Decoded<'a>(std::slice::Iter<'a, u8>);

impl<'a> Decoded<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let byte = *self.0.next()?;
        if byte != b'%' {
            return Some(byte);
        }
        match self.0.as_slice() {
            [high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    self.0 = rest.iter();
                    Some(high << 4 | low)
                }
                (None, _) | (_, None) => Some(byte),
            },
            [] | [_] => Some(byte),
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(url: &str) -> String {
        NormalPath::from_url(url).to_string()
    }

    #[test]
    fn every_spelling_of_a_path_is_one_path() {
        let spellings = [
            "/shop/books",
            "/shop/books/",
            "/shop/books?id=7&next=/other",
            "/shop/books#part/x",
            "/shop/books;v=1?x",
            "/shop;jsessionid=1/books",
            "//shop///books//",
            "/./shop/./books/.",
            "/shop/x/../books",
            "/../../shop/books",
            "/shop/%2e/books",
            "/shop/x/%2E%2e/books",
            "/shop/x/.%2e/books",
            "/%73hop/b%6F%6fks",
            "/shop%2Fbooks",
            "/shop%2fbooks%2F",
            "/shop\\books",
            "/shop%5Cbooks",
            "/shop/x/..;a=b/books",
            "/shop/x/..%3Ba/books",
            "\\shop\\books",
            "shop/books",
            "http://api.example.com/shop/books?x",
            "HTTPS://user:pw@api.example.com:443//shop/books",
            "http://api.example.com\\shop\\books",
        ];
        for spelling in spellings {
            assert_eq!(normal(spelling), "/shop/books", "{spelling:?}");
        }
    }

    #[test]
    fn a_spelling_that_leaves_the_path_on_one_server_stays_in_it_on_another() {
        let spellings = [
            "/shop//../orders",
            "/shop/..%2fnowhere",
            "/shop/..\\nowhere",
            "/shop/index.php/..\\..\\..\\nowhere",
            "/shop/..;/nowhere",
            "/shop/../nowhere",
            "/shop\\..\\nowhere",
            "/shop%2f..%2fnowhere",
        ];
        for spelling in spellings {
            let readings = NormalPath::readings(spelling);
            let in_shop = |path: &NormalPath| path.segments().next() == Some(b"shop");
            assert!(readings.iter().any(in_shop), "{spelling}: {readings:?}");
        }
        assert_eq!(NormalPath::readings("/shop/books?a=/../b").len(), 1);
    }

    proptest! {
        #[test]
        fn the_first_reading_is_the_normal_path_and_a_plain_one_is_the_only(url in "[/a.%;\\\\:?#2ef]{0,12}") {
            let readings = NormalPath::readings(&url);
            let usual = NormalPath::from_url(&url);
            prop_assert_eq!(readings.first(), Some(&usual));
            let raw = raw_path(&url);
            let same = |dots| NormalPath::of_segments(&all_segments(raw), dots) == usual
                && NormalPath::of_segments(&plain_segments(raw), dots) == usual;
            if NormalPath::plain(raw).is_some() {
                prop_assert!(same(Dots::Resolve) && same(Dots::Keep));
            }
        }
    }

    #[test]
    fn forms_without_a_path_are_the_root() {
        let forms = [
            "",
            "/",
            "//",
            "/.",
            "/..",
            "*",
            "api.example.com:443",
            "[::1]:443",
            "http://api.example.com",
            "?a=/b",
            "#/b",
            "http://api.example.com?x=/shop",
            "/;a=1",
            "/shop/..",
        ];
        for form in forms {
            assert!(NormalPath::from_url(form).is_root(), "{form:?}");
        }
    }

    #[test]
    fn other_paths_stay_other_paths() {
        let others = [
            ("/Shop/books", "/Shop/books"),
            ("/shopbooks", "/shopbooks"),
            ("/shop/%252e%252e/books", "/shop/%2e%2e/books"),
            ("/shop/%252Fbooks", "/shop/%2Fbooks"),
            ("/shop/%zz/%4", "/shop/%zz/%4"),
            ("/shop/%", "/shop/%"),
            ("/shop/...", "/shop/..."),
            ("/shop/%00books", "/shop/\0books"),
            ("/shop/%3Fa%23b", "/shop/?a#b"),
            ("/shop/%e9", "/shop/\u{fffd}"),
            ("/caf%C3%A9", "/café"),
            ("/shop/http://x", "/shop/http:/x"),
        ];
        for (url, path) in others {
            assert_eq!(normal(url), path, "{url:?}");
        }
    }

    #[test]
    fn segments_are_what_stands_between_the_slashes() {
        let path = NormalPath::from_url("/shop/b%20c/%FF");
        assert_eq!(
            path.segments().collect::<Vec<_>>(),
            [b"shop".as_slice(), b"b c", b"\xff"]
        );
        assert_eq!(NormalPath::from_url("/").segments().count(), 0);
    }

    #[test]
    fn a_long_climb_neither_leaves_the_root_nor_takes_long() {
        let climb = format!(
            "/shop{}{}/shop",
            "/a".repeat(200_000),
            "/..".repeat(300_000)
        );
        assert_eq!(normal(&climb), "/shop");
    }
}
