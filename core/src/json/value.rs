//! A JSON document as a tree of values, for configuration, answers and tokens.
//!
//! Takes what serde_json takes and nothing else; the tests compare the two. Numbers stay text until somebody asks for one: the machinery of fractions, and the
//! maps of serde_json's tree, would be 30 kB of the filter's module. Documents may come from strangers: nesting is bounded, and the work is linear.

use std::fmt;

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
        let (text, broken) = match std::str::from_utf8(document) {
            Ok(text) => (text, false),
            Err(error) => {
                let valid = document.get(..error.valid_up_to()).unwrap_or_default();
                (std::str::from_utf8(valid).unwrap_or_default(), true)
            }
        };
        let mut reader = Reader { text, at: 0 };
        let read = reader.document().map_err(|what| match what {
            END if broken => "invalid UTF-8",
            what => what,
        });
        let read = read.and_then(|value| {
            if broken {
                Err("invalid UTF-8")
            } else {
                Ok(value)
            }
        });
        read.map_err(|what| reader.not_json(what))
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

/// The document ends within a value.
const END: &str = "unexpected end";

/// A place in a document. What a method cannot read it leaves there and names.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, &'static str> {
        let value = self.value(MAX_DEPTH)?;
        match self.peek_behind_blanks() {
            None => Ok(value),
            Some(_) => Err("trailing characters"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, &'static str> {
        match self.peek_behind_blanks().ok_or(END)? {
            b'"' => self.string().map(Value::String),
            b'[' => self.array(self.deeper(depth)?),
            b'{' => self.object(self.deeper(depth)?),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => Err("expected value"),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, &'static str> {
        depth.checked_sub(1).ok_or("recursion limit exceeded")
    }

    fn array(&mut self, depth: usize) -> Result<Value, &'static str> {
        let mut elements = Vec::new();
        self.at += 1;
        if self.peek_behind_blanks() != Some(b']') {
            loop {
                elements.push(self.value(depth)?);
                if !self.goes_on(b']', "expected `,` or `]`")? {
                    break;
                }
            }
        }
        self.at += 1;
        Ok(Value::Array(elements))
    }

    fn object(&mut self, depth: usize) -> Result<Value, &'static str> {
        let mut members = Vec::new();
        self.at += 1;
        if self.peek_behind_blanks() != Some(b'}') {
            loop {
                self.expect(b'"', "key must be a string")?;
                let key = self.string()?;
                self.expect(b':', "expected `:`")?;
                self.at += 1;
                members.push((key, self.value(depth)?));
                if !self.goes_on(b'}', "expected `,` or `}`")? {
                    break;
                }
            }
        }
        self.at += 1;
        Ok(Value::Object(members))
    }

    /// Passes a comma; `false` before `end`.
    fn goes_on(&mut self, end: u8, else_what: &'static str) -> Result<bool, &'static str> {
        if self.peek_behind_blanks() == Some(end) {
            return Ok(false);
        }
        self.expect(b',', else_what)?;
        self.at += 1;
        Ok(true)
    }

    /// Blanks are passed, the byte behind them is not.
    fn expect(&mut self, byte: u8, else_what: &'static str) -> Result<(), &'static str> {
        match self.peek_behind_blanks() {
            Some(found) if found == byte => Ok(()),
            Some(_) => Err(else_what),
            None => Err(END),
        }
    }

    /// The text behind the quote that is next.
    fn string(&mut self) -> Result<String, &'static str> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).ok_or(END)?;
            let is_odd = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
            let run = rest.bytes().position(is_odd).ok_or(END)?;
            text.push_str(rest.get(..run).unwrap_or_default());
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escaped()?);
                }
                Some(_) | None => return Err("control character found while parsing a string"),
            }
        }
    }

    /// What the letters behind a backslash stand for.
    fn escaped(&mut self) -> Result<char, &'static str> {
        let letter = self.peek().ok_or(END)?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = self.hex4()?;
                if (0xD800..0xDC00).contains(&code) {
                    let low = match self.text.get(self.at..).and_then(|rest| rest.get(..2)) {
                        Some("\\u") => {
                            self.at += 2;
                            self.hex4()?
                        }
                        Some(_) | None => 0,
                    };
                    if !(0xDC00..0xE000).contains(&low) {
                        return Err("lone surrogate in hex escape");
                    }
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                char::from_u32(code).ok_or("lone surrogate in hex escape")?
            }
            _ => return Err("invalid escape"),
        })
    }

    fn hex4(&mut self) -> Result<u32, &'static str> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek().ok_or(END)?).to_digit(16);
            code = code * 16 + digit.ok_or("invalid escape")?;
            self.at += 1;
        }
        Ok(code)
    }

    /// Also passes no more than the grammar has: no leading zero, no plus, digits on both sides of the point.
    fn number(&mut self) -> Result<Value, &'static str> {
        let start = self.at;
        self.pass(b"-");
        if !self.pass(b"0") {
            self.digits()?;
        }
        if self.pass(b".") {
            self.digits()?;
        }
        if self.pass(b"eE") {
            self.pass(b"+-");
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        Ok(Value::Number(number.to_owned()))
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), &'static str> {
        if !self.pass(b"0123456789") {
            return Err("invalid number");
        }
        while self.pass(b"0123456789") {}
        Ok(())
    }

    /// Passes one of these bytes, if one is next.
    fn pass(&mut self, bytes: &[u8]) -> bool {
        let passes = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(passes);
        passes
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, &'static str> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err("expected value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn peek_behind_blanks(&mut self) -> Option<u8> {
        while self.pass(b" \n\r\t") {}
        self.peek()
    }

    fn not_json(&self, what: &'static str) -> NotJson {
        let at = if what == END {
            self.text.len()
        } else {
            self.at
        };
        let passed = self.text.as_bytes().get(..at).unwrap_or_default();
        let lines = passed.split(|&byte| byte == b'\n');
        let (line, last) = lines.enumerate().last().unwrap_or_default();
        NotJson {
            what,
            line: line + 1,
            column: last.len() + 1,
        }
    }
}

#[cfg(test)]
mod tests;
