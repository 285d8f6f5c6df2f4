//! Whole lists as text: what an import holds, and an export as it is written.
//!
//! Every bad line or element is a fault with its number and rule, and takes nothing else down. Imported entries belong to
//! management, whoever listed them where they come from. A raw credential becomes its id here and goes no further.

use std::sync::Arc;

use ase_core::address::Ipv6Width;
use ase_core::credential::KeyRing;
use ase_core::fault::{FaultCollector, Fields};
use ase_core::identifier_list::{Entry, EntryRef, ListedIdentifier, Scope, Source};
use ase_core::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::change::{self, Force};
use super::lists::entry_json;
use crate::clock;

mod csv;
mod elements;

/// Most faults that are named; the others are counted.
const MAX_FAULTS: usize = 1000;
const KINDS: [&str; 4] = ["cookie", "token", "api_key", "username"];

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// An identifier a line; scope, expiry and reason are not in it.
    Plain,
    /// An array of objects.
    Json,
    /// RFC 4180 with a header.
    Csv,
}

/// What an import holds.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) entries: Vec<(ListedIdentifier, Entry)>,
    pub(super) faults: Vec<String>,
    /// Faults beyond those named.
    pub(super) more_faults: usize,
}

/// What an entry is made with.
pub(super) struct Reader<'r> {
    pub(super) keys: &'r KeyRing,
    pub(super) width: Ipv6Width,
    pub(super) now: UnixMillis,
    /// Whether everybody may be among the entries.
    force: Force,
    imported: Imported,
}

impl Format {
    pub(super) const NAMES: [(&'static str, Self); 3] = [
        ("plain", Self::Plain),
        ("json", Self::Json),
        ("csv", Self::Csv),
    ];

    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found
            .map(|(_, format)| format)
            .ok_or_else(|| format!("format: {name:?} is not a format: use plain, json or csv"))
    }

    /// What comes before the first entry.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Json => "[",
            Self::Csv => "type,value,scope,source,reason,added,expires\r\n",
        }
    }

    /// What comes after the last one.
    pub(super) fn foot(self) -> &'static str {
        match self {
            Self::Plain | Self::Csv => "",
            Self::Json => "\n]\n",
        }
    }

    /// Appends an entry; `first` says whether it is the first.
    pub(super) fn write(
        self,
        out: &mut String,
        (identifier, entry): (&ListedIdentifier, &EntryRef<'_>),
        first: First,
    ) {
        match self {
            Self::Plain => {
                if let ListedIdentifier::Credential { kind, .. } = identifier {
                    out.push_str(kind.as_str());
                    out.push(' ');
                }
                out.push_str(&value_of(identifier));
                out.push('\n');
            }
            Self::Json => {
                out.push_str(match first {
                    First::Yes => "\n",
                    First::No => ",\n",
                });
                let mut element = entry_json(identifier, &entry.to_entry());
                if let Some(value) = element.get_mut("value") {
                    *value = value_of(identifier).into();
                }
                out.push_str(&element.to_string());
            }
            Self::Csv => csv::write(out, identifier, entry),
        }
    }
}

/// Whether something is the first of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Yes,
    No,
}

impl<'r> Reader<'r> {
    pub(super) fn new(keys: &'r KeyRing, width: Ipv6Width, now: UnixMillis) -> Self {
        Self {
            keys,
            width,
            now,
            force: Force::NotUsed,
            imported: Imported::default(),
        }
    }

    /// The same, to which everybody is an entry like others when force is used.
    pub(super) fn with(self, force: Force) -> Self {
        Self { force, ..self }
    }

    /// Reads a whole import.
    pub(super) fn read(mut self, format: Format, body: &[u8]) -> Imported {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match (format, std::str::from_utf8(body)) {
            (Format::Json, _) => elements::read(body, &mut self),
            (Format::Plain, Ok(text)) => self.plain(text),
            (Format::Csv, Ok(text)) => csv::read(text, &mut self),
            (Format::Plain | Format::Csv, Err(error)) => {
                let good = body.get(..error.valid_up_to()).unwrap_or_default();
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                self.fault(format!("line {line}: is not UTF-8"));
            }
        }
        self.imported
    }

    /// Reads one object; `place` says which it is.
    fn element(&mut self, place: String, element: Value) {
        let element = element.into();
        let mut collector = FaultCollector::default();
        let mut fields = Fields::of(&element, place, &mut collector);
        let (keys, width, now) = (self.keys, self.width, self.now);
        let identifier = change::identifier(&mut fields, keys.current(), width);
        if let Some((identifier, _)) = &identifier
            && let Err(rule) = self.force.permit(identifier)
        {
            fields.fault("value", rule);
        }
        let scope = fields.custom("scope", Scope::parse).unwrap_or(Scope::All);
        let reason = fields.custom("reason", change::reason).unwrap_or_default();
        let added = fields.custom("added", clock::parse_rfc3339);
        let expires = fields.custom("expires", clock::parse_rfc3339);
        let ttl = fields.item("ttl_s");
        let ttl = ttl.and_then(|mut ttl| ttl.integer(1..=change::MAX_TTL_SECONDS));
        if ttl.is_some() && expires.is_some() {
            fields.fault("ttl_s", "stands beside expires: give one of them");
        }
        // An export says them; an import decides them anew.
        for ignored in ["identifier", "source"] {
            drop(fields.item(ignored));
        }
        fields.finish();
        let until = |seconds| now.after(std::time::Duration::from_secs(seconds));
        let entry = Entry {
            scope,
            expires: expires.or(ttl.map(until)),
            source: Source::Manual,
            reason: Arc::from(reason),
            added: added.unwrap_or(now),
        };
        match collector.into_complete(identifier) {
            Ok((identifier, _)) => self.imported.entries.push((identifier, entry)),
            Err(faults) => faults
                .iter()
                .for_each(|fault| self.fault(fault.to_string())),
        }
    }

    /// An identifier a line: a network (what follows it is ignored, as in the lists that are passed around), or the kind of a
    /// credential and its id or value, with a name before the value of a cookie.
    fn plain(&mut self, text: &str) {
        for (number, line) in (1_usize..).zip(text.lines()) {
            let content = line.split('#').next().unwrap_or_default();
            let columns: Vec<&str> = content.split_ascii_whitespace().collect();
            let place = format!("line {number}");
            let element = match *columns {
                [] => continue,
                [kind, value] if KINDS.contains(&kind) => json!({"type": kind, "value": value}),
                ["cookie", name, value] => json!({"type": "cookie", "name": name, "value": value}),
                [kind, ..] if KINDS.contains(&kind) => {
                    self.fault(format!("{place}: a credential is its kind and its id or value, with the name before the value of a cookie"));
                    continue;
                }
                [network, ..] => json!({"type": "ip", "value": network}),
            };
            self.element(place, element);
        }
    }

    fn fault(&mut self, fault: String) {
        if self.imported.faults.len() < MAX_FAULTS {
            self.imported.faults.push(fault);
        } else {
            self.imported.more_faults += 1;
        }
    }
}

/// An identifier's value, so that an import reads the same: a bare IPv6 address would stand for a client's network.
fn value_of(identifier: &ListedIdentifier) -> String {
    match identifier {
        ListedIdentifier::Network(network) if network.first().ip().is_ipv6() => {
            format!("{}/{}", network.first(), network.prefix())
        }
        ListedIdentifier::Network(network) => network.to_string(),
        ListedIdentifier::Credential { id, .. } => id.to_string(),
    }
}

/// An object without its empty members.
fn without_empty(object: Map<String, Value>) -> Value {
    let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    object
        .into_iter()
        .filter(|(_, value)| !is_empty(value))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests;
