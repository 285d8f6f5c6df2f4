//! The elements of a JSON import, one after another, so that a long list never stands in memory as a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Reader, without_empty};

/// Reads an array of objects, or an object with such an array as `entries`.
pub(super) fn read(body: &[u8], reader: &mut Reader<'_>) {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Elements(reader).deserialize(&mut deserializer);
    if let Err(error) = read.and_then(|()| deserializer.end()) {
        let (line, column) = (error.line(), error.column());
        // The library's own words may quote what the body holds.
        let rule = match error.classify() {
            serde_json::error::Category::Data => "an array of entries is expected",
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => "is not JSON",
        };
        reader.fault(format!("line {line}, column {column}: {rule}"));
    }
}

struct Elements<'e, 'r>(&'e mut Reader<'r>);

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0_usize;
        while let Some(element) = elements.next_element::<Value>()? {
            number += 1;
            let element = match element {
                Value::Object(object) => without_empty(object),
                other @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)) => other,
            };
            self.0.element(format!("element {number}"), element);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = members.next_key::<String>()? {
            if name == "entries" && !found {
                found = true;
                members.next_value_seed(Elements(&mut *self.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        if !found {
            self.0.fault("entries: is required".to_owned());
        }
        Ok(())
    }
}
