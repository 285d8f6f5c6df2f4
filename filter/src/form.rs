//! The names in a form-urlencoded body, read piece by piece as it streams past.
//!
//! It keeps the two values that it looks for, and of everything else nothing: a token request is full of secrets. A piece may end anywhere, within an escape too.
//! Memory is bounded whatever comes. It must never keep, log or repeat any other field.

/// Longest name of a field that is looked for, in bytes.
const MAX_FIELD_BYTES: usize = 9;

/// Longest value that names anybody, in bytes. A longer one names nobody: its start could be somebody else's name.
pub const MAX_NAME_BYTES: usize = 256;

/// Reads one body.
#[derive(Debug, Default)]
pub struct FormNames {
    part: Part,
    escape: Escape,
    /// What of the part has been decoded.
    text: Vec<u8>,
    username: Name,
    client_id: Name,
}

/// Where in the body the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// In the name of a field.
    #[default]
    Field,
    /// In the value of a field that is looked for.
    Value(Field),
    /// In a value or a name that is not; up to the next `&`.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Username,
    ClientId,
}

/// What of a percent escape has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    /// With this first digit.
    High(u8),
}

/// The first value of a field decides; an empty one is as good as none (RFC 6749, 3.2).
#[derive(Debug, Default)]
enum Name {
    #[default]
    Unsaid,
    Said(Vec<u8>),
    TooLong,
}

impl FormNames {
    /// The next bytes of the body.
    pub fn read(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.byte(byte);
        }
    }

    /// The body is complete. Without this call its last field, which may be cut short, names nobody.
    pub fn end(&mut self) {
        self.end_of_field();
    }

    /// The first user name.
    #[must_use]
    pub fn username(&self) -> Option<&[u8]> {
        self.username.said()
    }

    /// The first client id.
    #[must_use]
    pub fn client_id(&self) -> Option<&[u8]> {
        self.client_id.said()
    }

    fn byte(&mut self, byte: u8) {
        match (self.part, byte) {
            (_, b'&') => self.end_of_field(),
            (Part::Other, _) => {}
            (Part::Field, b'=') => {
                self.end_of_escape();
                let field = self.field().filter(|_| self.part == Part::Field);
                self.part = field.map_or(Part::Other, Part::Value);
                self.text.clear();
            }
            (Part::Field | Part::Value(_), _) => self.decode(byte),
        }
    }

    fn decode(&mut self, byte: u8) {
        match (self.escape, byte, hex(byte)) {
            (Escape::High(high), _, Some(low)) => {
                self.escape = Escape::None;
                // The first digit was one, or it would have been kept as it stood.
                self.keep(hex(high).unwrap_or_default() << 4 | low);
            }
            (Escape::Begun, _, Some(_)) => self.escape = Escape::High(byte),
            (Escape::Begun | Escape::High(_), _, _) => {
                // No escape after all; the byte may begin another.
                self.end_of_escape();
                self.decode(byte);
            }
            (Escape::None, b'%', _) => self.escape = Escape::Begun,
            (Escape::None, b'+', _) => self.keep(b' '),
            (Escape::None, _, _) => self.keep(byte),
        }
    }

    /// An escape that was not completed stands for itself.
    fn end_of_escape(&mut self) {
        match std::mem::take(&mut self.escape) {
            Escape::None => {}
            Escape::Begun => self.keep(b'%'),
            Escape::High(digit) => {
                self.keep(b'%');
                self.keep(digit);
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        let most = match self.part {
            Part::Field => MAX_FIELD_BYTES,
            Part::Value(_) => MAX_NAME_BYTES,
            Part::Other => return,
        };
        if self.text.len() < most {
            self.text.push(byte);
            return;
        }
        if let Part::Value(field) = self.part {
            *self.name_of(field) = Name::TooLong;
        }
        self.part = Part::Other;
    }

    fn end_of_field(&mut self) {
        self.end_of_escape();
        if let Part::Value(field) = self.part
            && !self.text.is_empty()
        {
            let said = std::mem::take(&mut self.text);
            *self.name_of(field) = Name::Said(said);
        }
        self.text.clear();
        self.part = Part::Field;
    }

    /// The field whose name has been read, unless it has been said before.
    fn field(&self) -> Option<Field> {
        match (&*self.text, &self.username, &self.client_id) {
            (b"username", Name::Unsaid, _) => Some(Field::Username),
            (b"client_id", _, Name::Unsaid) => Some(Field::ClientId),
            _ => None,
        }
    }

    fn name_of(&mut self, field: Field) -> &mut Name {
        match field {
            Field::Username => &mut self.username,
            Field::ClientId => &mut self.client_id,
        }
    }
}

impl Name {
    fn said(&self) -> Option<&[u8]> {
        match self {
            Self::Said(name) => Some(name),
            Self::Unsaid | Self::TooLong => None,
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests;
