//! A JSON document as a tree of values, for configuration, answers and tokens.
//!
//! Takes what serde_json takes and nothing else; the tests compare the two. hifijson reads the tokens, and numbers stay text until somebody asks for one: with
//! serde_json the filter would be beyond its bound. Documents may come from strangers: nesting is bounded, and the work is linear.

use std::fmt;

use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::Lex as _;
use hifijson::{Error, Expect, Read as _, SliceLexer, escape, str as string};

/// Deepest nesting of arrays and objects, as in serde_json.
const MAX_DEPTH: usize = 127;

/// Any JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// A text, its escapes taken off.
    String(String),
    /// The elements of a list.
    Array(Vec<Self>),
    /// The members of an object in their order. Of several with one name the last counts.
    Object(Vec<(String, Self)>),
}

/// Why a text is not JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    what: &'static str,
    line: usize,
    column: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(f, "{what} at line {line} column {column}")
    }
}

impl std::error::Error for NotJson {}

impl NotJson {
    fn new(error: &Error, document: &[u8], unread: &[u8]) -> Self {
        let passed = document.len().saturating_sub(unread.len());
        // These two are told of when the lexer is past them.
        let at = match error {
            Error::Str(string::Error::Control) => passed.saturating_sub(1),
            Error::Str(string::Error::Utf8(_)) => match std::str::from_utf8(document) {
                Err(error) => error.valid_up_to(),
                Ok(_) => passed,
            },
            Error::Str(string::Error::Eof | string::Error::Escape(_))
            | Error::Depth
            | Error::Num(_)
            | Error::Token(_) => passed,
        };
        let passed = document.get(..at).unwrap_or_default();
        let lines = passed.split(|&byte| byte == b'\n');
        let (line, last) = lines.enumerate().last().unwrap_or_default();
        Self {
            what: what(error, unread.is_empty()),
            line: line + 1,
            column: last.len() + 1,
        }
    }
}

fn what(error: &Error, at_end: bool) -> &'static str {
    match error {
        Error::Str(string::Error::Eof | string::Error::Escape(escape::Error::Eof)) => {
            "unexpected end"
        }
        Error::Token(_) if at_end => "unexpected end",
        Error::Token(Expect::Value | Expect::ValueOrEnd) => "expected value",
        Error::Token(Expect::CommaOrEnd) => "expected `,` or a closing bracket",
        Error::Token(Expect::String) => "key must be a string",
        Error::Token(Expect::Colon) => "expected `:`",
        Error::Token(Expect::Eof) => "trailing characters",
        Error::Num(_) => "invalid number",
        Error::Str(string::Error::Control) => "control character found while parsing a string",
        Error::Str(string::Error::Utf8(_)) => "invalid UTF-8",
        Error::Str(string::Error::Escape(
            escape::Error::InvalidKind(_) | escape::Error::InvalidHex(_),
        )) => "invalid escape",
        Error::Str(string::Error::Escape(
            escape::Error::InvalidChar(_) | escape::Error::ExpectedLowSurrogate,
        )) => "lone surrogate in hex escape",
        Error::Depth => "recursion limit exceeded",
    }
}

/// An object without members.
impl Default for Value {
    fn default() -> Self {
        Self::Object(Vec::new())
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Tree;
        match value {
            Tree::Null => Self::Null,
            Tree::Bool(flag) => Self::Bool(flag),
            Tree::Number(number) => Self::Number(number.to_string()),
            Tree::String(text) => Self::String(text),
            Tree::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            Tree::Object(members) => {
                let members = members.into_iter();
                Self::Object(members.map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

impl Value {
    /// Reads a whole document.
    ///
    /// # Errors
    /// What is wrong with it first, and where.
    pub fn parse(document: &[u8]) -> Result<Self, NotJson> {
        let mut lexer = SliceLexer::new(document);
        let read = lexer.exactly_one(SliceLexer::ws_peek, |next, lexer| {
            value(next, lexer, MAX_DEPTH)
        });
        read.map_err(|error| NotJson::new(&error, document, lexer.as_slice()))
    }

    /// The value of a member; `None` where there is none, or no object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let mut members = self.as_object()?.iter().rev();
        members
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// A whole number from 0 that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.number()?.parse().ok()
    }

    /// A number, as near as a float comes.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.number()?.parse().ok()
    }

    /// A flag.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Null | Self::Number(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => {
                None
            }
        }
    }

    /// A text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The elements of a list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Object(_) => {
                None
            }
        }
    }

    /// The members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    fn number(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number),
            Self::Null | Self::Bool(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

/// The value whose first byte, `next`, is still to be read. Up to `depth` lists and objects may be opened on the way into it.
fn value(next: u8, lexer: &mut SliceLexer<'_>, depth: usize) -> Result<Value, Error> {
    let deeper = depth.checked_sub(1).ok_or(Error::Depth);
    Ok(match next {
        b'"' => Value::String(lexer.discarded().str_string()?.into_owned()),
        b'[' => array(lexer.discarded(), deeper?)?,
        b'{' => object(lexer.discarded(), deeper?)?,
        b'-' | b'0'..=b'9' => Value::Number(lexer.num_string().validated()?.0.to_owned()),
        b't' if lexer.strip_prefix(b"true") => Value::Bool(true),
        b'f' if lexer.strip_prefix(b"false") => Value::Bool(false),
        b'n' if lexer.strip_prefix(b"null") => Value::Null,
        _ => return Err(Expect::Value.into()),
    })
}

fn array(lexer: &mut SliceLexer<'_>, depth: usize) -> Result<Value, Error> {
    let mut elements = Vec::new();
    lexer.seq(b']', SliceLexer::ws_peek, |next, lexer| {
        elements.push(value(next, lexer, depth)?);
        Ok::<_, Error>(())
    })?;
    Ok(Value::Array(elements))
}

fn object(lexer: &mut SliceLexer<'_>, depth: usize) -> Result<Value, Error> {
    let mut members = Vec::new();
    lexer.seq(b'}', SliceLexer::ws_peek, |next, lexer| {
        lexer.expect(|_| Some(next), b'"').ok_or(Expect::String)?;
        let key = lexer.str_string()?.into_owned();
        lexer
            .expect(SliceLexer::ws_peek, b':')
            .ok_or(Expect::Colon)?;
        let next = lexer.ws_peek().ok_or(Expect::Value)?;
        members.push((key, value(next, lexer, depth)?));
        Ok::<_, Error>(())
    })?;
    Ok(Value::Object(members))
}

#[cfg(test)]
mod tests;
