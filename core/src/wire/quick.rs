//! A quick look at bodies and batch records as nearly all gateways write them: one object with the usual members, without escapes.
//!
//! Reads nothing that serde would read otherwise ([`super::raw`], [`crate::transaction::wire`]): whatever is unusual, a fault above
//! all, is left to that (`None`). The tests compare the two, and of calls the fuzz targets as well.

use std::borrow::Cow;

use memchr::memchr2;

use super::source_ip;
use crate::headers::Headers;
use crate::metadata::{RequestMetadata, ResponseMetadata, SourceIp};

/// A place in a text, between two tokens.
pub(crate) struct Cursor<'a> {
    rest: &'a str,
}

/// A member that is a string or a whole number.
type Scalar<'a> = Option<&'a str>;

/// A question.
pub(super) fn request(body: &str) -> Option<RequestMetadata<'_>> {
    whole(body, Cursor::request)
}

/// A response call.
pub(super) fn response(body: &str) -> Option<ResponseMetadata<'_>> {
    whole(body, Cursor::response)
}

/// Reads `body` to its end. `None` when anything stands behind what `read` takes.
pub(crate) fn whole<'a, T>(
    body: &'a str,
    read: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
) -> Option<T> {
    let mut cursor = Cursor { rest: body };
    let read = read(&mut cursor)?;
    cursor.skip_blanks();
    cursor.rest.is_empty().then_some(read)
}

/// `None` for a second member of one name.
pub(crate) fn fill<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn non_empty(text: Scalar<'_>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty()).map(Cow::Borrowed)
}

impl<'a> Cursor<'a> {
    /// The object of a question.
    pub(crate) fn request(&mut self) -> Option<RequestMetadata<'a>> {
        let (mut ip, mut port, mut method, mut url, mut version, mut headers) =
            (None, None, None, None, None, None);
        self.object(|key, cursor| match key {
            "source_ip" => cursor.string().and_then(|text| fill(&mut ip, text)),
            "source_port" => cursor.scalar().and_then(|text| fill(&mut port, text)),
            "method" => cursor.string().and_then(|text| fill(&mut method, text)),
            "url" => cursor.string().and_then(|text| fill(&mut url, text)),
            "http_version" => cursor.string().and_then(|text| fill(&mut version, text)),
            "headers" => cursor.headers().and_then(|read| fill(&mut headers, read)),
            _ => None,
        })?;
        Some(RequestMetadata {
            source_ip: match non_empty(ip) {
                None => SourceIp::Absent,
                Some(text) => source_ip(&text),
            },
            source_port: port
                .and_then(|port| port.parse().ok())
                .filter(|&port| port != 0),
            method: non_empty(method),
            url: non_empty(url),
            http_version: non_empty(version),
            headers: headers.unwrap_or_default(),
            ..RequestMetadata::default()
        })
    }

    /// The object of a response call.
    pub(crate) fn response(&mut self) -> Option<ResponseMetadata<'a>> {
        let (mut code, mut status, mut version, mut headers) = (None, None, None, None);
        self.object(|key, cursor| match key {
            "response_code" => cursor.scalar().and_then(|text| fill(&mut code, text)),
            "response_status" => cursor.string().and_then(|text| fill(&mut status, text)),
            "http_version" => cursor.string().and_then(|text| fill(&mut version, text)),
            "headers" => cursor.headers().and_then(|read| fill(&mut headers, read)),
            _ => None,
        })?;
        let code: u16 = code?.parse().ok()?;
        (100..=999).contains(&code).then(|| ResponseMetadata {
            code,
            status: non_empty(status),
            http_version: non_empty(version),
            headers: headers.unwrap_or_default(),
        })
    }

    /// Hands every member to `member`, which reads its value. `None` when one cannot be read.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&'a str, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        loop {
            let key = self.string()?;
            self.take(b':')?;
            member(key, self)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', ..] = self.rest.as_bytes() {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    /// Passes one ASCII byte that must be next.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        let next = self.rest.as_bytes().first() == Some(&byte);
        self.rest = self.rest.get(1..).filter(|_| next)?;
        Some(())
    }

    /// Whether a comma is next, and not the `end`.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.skip_blanks();
        let comma = self.rest.as_bytes().first() == Some(&b',');
        self.take(if comma { b',' } else { end })?;
        Some(comma)
    }

    /// A string without escapes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let end = memchr2(b'"', b'\\', self.rest.as_bytes())?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        let has_control = text
            .bytes()
            .fold(false, |found, byte| found | (byte < b' '));
        if has_control {
            return None;
        }
        // A backslash is not passed.
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    /// A whole number that is no text.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.skip_blanks();
        let is_text = self.rest.starts_with('"');
        self.scalar().filter(|_| !is_text)?.parse().ok()
    }

    /// A string, or a whole number in its shortest form.
    fn scalar(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at_checked(digits)?;
        let shortest = matches!(number.as_bytes(), [b'0'] | [b'1'..=b'9', ..]) && digits <= 15;
        let ends = matches!(
            rest.as_bytes().first(),
            Some(b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t')
        );
        self.rest = rest;
        (shortest && ends).then_some(number)
    }

    /// An array of objects of strings, none of them empty.
    fn headers(&mut self) -> Option<Headers<'a>> {
        let mut headers = Headers::with_room();
        self.take(b'[')?;
        loop {
            self.take(b'{')?;
            loop {
                let name = self.string()?;
                self.take(b':')?;
                headers.push(name.as_bytes(), self.string()?.as_bytes());
                if !self.goes_on(b'}')? {
                    break;
                }
            }
            if !self.goes_on(b']')? {
                return Some(headers);
            }
        }
    }
}
