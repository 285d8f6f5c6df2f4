//! Comma-separated values as in RFC 4180: quoted fields may hold commas, line breaks and doubled quotes.

use ase_core::identifier_list::{EntryRef, ListedIdentifier};
use serde_json::{Map, Value};

use super::{Reader, value_of, without_empty};
use crate::clock;

const COLUMNS: [&str; 10] = [
    "type",
    "value",
    "name",
    "scope",
    "source",
    "reason",
    "added",
    "expires",
    "ttl_s",
    "identifier",
];

/// Reads an import whose first record names the columns.
pub(super) fn read(text: &str, reader: &mut Reader<'_>) {
    let mut records = Records {
        rest: text,
        line: 1,
    };
    let Some((_, header)) = records.next() else {
        reader.fault("line 1: a header such as type,value,scope,reason is required".to_owned());
        return;
    };
    let header = match header {
        Ok(header) => header,
        Err(rule) => return reader.fault(format!("line 1: {rule}")),
    };
    let mut known = true;
    for column in &header {
        if !COLUMNS.contains(&column.as_str()) {
            known = false;
            let columns = COLUMNS.join(", ");
            reader.fault(format!(
                "line 1: there is no column {column:?}: use {columns}"
            ));
        }
    }
    if !known {
        return;
    }
    for (line, record) in records {
        match record {
            Err(rule) => reader.fault(format!("line {line}: {rule}")),
            Ok(fields) if fields.iter().all(String::is_empty) && fields.len() <= 1 => {}
            Ok(fields) if fields.len() != header.len() => reader.fault(format!(
                "line {line}: has {} fields, the header has {}",
                fields.len(),
                header.len()
            )),
            Ok(fields) => {
                let members = header
                    .iter()
                    .cloned()
                    .zip(fields.into_iter().map(Value::from));
                let mut element: Map<String, Value> = members.collect();
                let ttl = element.get("ttl_s").and_then(Value::as_str);
                if let Some(ttl) = ttl.and_then(|ttl| ttl.parse::<u64>().ok()) {
                    element.insert("ttl_s".to_owned(), ttl.into());
                }
                reader.element(format!("line {line}"), without_empty(element));
            }
        }
    }
}

/// Appends an entry.
pub(super) fn write(out: &mut String, identifier: &ListedIdentifier, entry: &EntryRef<'_>) {
    let value = value_of(identifier);
    let kind = match identifier {
        ListedIdentifier::Network(_) => "ip",
        ListedIdentifier::Credential { kind, .. } => kind.as_str(),
    };
    let expires = entry.expires.map(clock::rfc3339).unwrap_or_default();
    let (scope, added) = (entry.scope.to_string(), clock::rfc3339(entry.added));
    let source = entry.source.as_str();
    let fields = [kind, &value, &scope, source, entry.reason, &added, &expires];
    for (number, field) in fields.into_iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

/// The records of a text, each with the line that it begins on.
struct Records<'t> {
    rest: &'t str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = (usize, Result<Vec<String>, &'static str>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let began = self.line;
        let mut fields = vec![String::new()];
        let mut place = Place::Start;
        let mut fault = None;
        let mut characters = self.rest.chars();
        while let Some(character) = characters.next() {
            if character == '\n' {
                self.line += 1;
            }
            let field = fields.last_mut()?;
            place = match (place, character) {
                (Place::Start, '"') => Place::Quoted,
                (Place::Quoted, '"') => Place::AfterQuote,
                (Place::Quoted, other) => {
                    field.push(other);
                    Place::Quoted
                }
                (Place::AfterQuote, '"') => {
                    field.push('"');
                    Place::Quoted
                }
                (_, '\n') => {
                    self.rest = characters.as_str();
                    return Some((began, fault.map_or(Ok(fields), Err)));
                }
                (_, ',') => {
                    fields.push(String::new());
                    Place::Start
                }
                (at, '\r') if characters.as_str().starts_with('\n') => at,
                (Place::AfterQuote, _) => {
                    fault = Some("a closing quote is followed by something else than a comma");
                    Place::AfterQuote
                }
                (Place::Bare, '"') => {
                    fault = Some("a quote stands inside a field that does not begin with one");
                    Place::Bare
                }
                (Place::Start | Place::Bare, other) => {
                    field.push(other);
                    Place::Bare
                }
            };
        }
        self.rest = "";
        if place == Place::Quoted {
            fault = Some("a quoted field has no end");
        }
        Some((began, fault.map_or(Ok(fields), Err)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Bare,
    Quoted,
    AfterQuote,
}
