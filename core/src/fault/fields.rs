//! The readers: [`Fields`] for an object, [`Item`] for any one value.
//!
//! Each reader knows its path and notes its faults in the collector; what it returns after a fault is only a stand-in
//! that the collector never lets out.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{FaultCollector, hint};
use crate::json::Value;

/// Most unknown keys of one object that are named one by one.
const MAX_UNKNOWN_KEYS: usize = 50;

/// Longest part of a found text that a fault repeats, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// An object being read. Every key that is asked for counts as known, whether it is there or not;
/// [`Fields::finish`] complains about the others.
#[must_use = "end with `finish`, or unknown keys pass unseen"]
#[derive(Debug)]
pub struct Fields<'v, 'c> {
    body: Body<'v>,
    path: String,
    known: Vec<String>,
    collector: &'c mut FaultCollector,
}

/// One value being read: an element of a list, or the value of a key.
#[derive(Debug)]
pub struct Item<'v, 'c> {
    value: &'v Value,
    path: String,
    collector: &'c mut FaultCollector,
}

#[derive(Clone, Copy, Debug)]
enum Body<'v> {
    Object(&'v Value),
    /// Not in the document: optional keys take their defaults, required ones are faults.
    Absent,
    /// Not an object, which is a fault already: what it lacks is not worth more faults.
    Unreadable,
}

impl<'v, 'c> Fields<'v, 'c> {
    /// Starts reading `value`, which must be an object; `path` is empty for a whole document.
    pub fn of(
        value: &'v Value,
        path: impl Into<String>,
        collector: &'c mut FaultCollector,
    ) -> Self {
        let path = path.into();
        let body = match value.as_object() {
            Some(_) => Body::Object(value),
            None => {
                collector.fault(path.clone(), wrong_type("an object", value));
                Body::Unreadable
            }
        };
        Self {
            body,
            path,
            known: Vec::new(),
            collector,
        }
    }

    /// A text, if the key is there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.note(key, "text", "none");
        self.item(key)?.text()
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &str) -> Option<String> {
        self.required_item(key)?.text()
    }

    /// A text that `parse` turns into a domain type, if the key is there. The error of `parse` is the fault's rule and
    /// should name the input.
    pub fn custom<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.item(key)?.custom(parse)
    }

    /// As [`Self::custom`], and the key must be there.
    pub fn required_custom<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.required_item(key)?.custom(parse)
    }

    /// A whole number in `range`.
    pub fn integer<N>(&mut self, key: &str, range: RangeInclusive<N>, default: N) -> N
    where
        N: TryFrom<u64> + Into<u64> + Copy,
    {
        let range: RangeInclusive<u64> = (*range.start()).into()..=(*range.end()).into();
        self.whole_number(key, range, default.into())
            .and_then(|number| N::try_from(number).ok())
            .unwrap_or(default)
    }

    /// The part of [`Self::integer`] that is the same for every type of number: the filter's module is small for want of copies.
    #[inline(never)]
    fn whole_number(&mut self, key: &str, range: RangeInclusive<u64>, default: u64) -> Option<u64> {
        let (low, high) = (range.start(), range.end());
        self.note(key, format_args!("integer from {low} to {high}"), default);
        self.item(key)?.whole_number(range)
    }

    /// A whole number in `range` that must be there.
    pub fn required_integer<N>(&mut self, key: &str, range: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<u64> + Into<u64> + Copy,
    {
        self.required_item(key)?.integer(range)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        self.note(key, "`true` or `false`", default);
        self.item(key)
            .and_then(|mut item| item.flag())
            .unwrap_or(default)
    }

    /// One of a few named values.
    pub fn choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)], default: T) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.place(key, &names)
            .and_then(|place| choices.get(place))
            .map_or(default, |(_, value)| value.clone())
    }

    /// Which of the names it is; the part of [`Self::choice`] that is the same for every type.
    #[inline(never)]
    fn place(&mut self, key: &str, names: &[&str]) -> Option<usize> {
        let quoted = || names.iter().map(|name| format!("`{name}`"));
        self.collector.asked(
            || joined(&self.path, key),
            Some(&|| (quoted().collect::<Vec<_>>().join(", "), String::new())),
        );
        self.item(key)?.place(names)
    }

    /// One of a few named values; the key must be there.
    pub fn required_choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.required_item(key)?.choice(choices)
    }

    /// A list, each element read by `read`, which returns `None` after a fault. Empty when the key is absent.
    pub fn list<T>(
        &mut self,
        key: &str,
        read: impl FnMut(&mut Item<'v, '_>) -> Option<T>,
    ) -> Vec<T> {
        self.note(key, "list", "empty");
        self.item(key)
            .and_then(|mut item| item.list(read))
            .unwrap_or_default()
    }

    /// As [`Self::list`], but tells an absent list from an empty one.
    pub fn list_if_present<T>(
        &mut self,
        key: &str,
        read: impl FnMut(&mut Item<'v, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.item(key)?.list(read)
    }

    /// A nested object. An absent one reads as empty, so its defaults hold and its required keys are faults.
    pub fn object(&mut self, key: &str) -> Fields<'v, '_> {
        let path = joined(&self.path, key);
        match (self.value(key), self.body) {
            (Some(value), _) => Fields::of(value, path, self.collector),
            (None, Body::Unreadable) => Fields {
                body: Body::Unreadable,
                path,
                known: Vec::new(),
                collector: self.collector,
            },
            (None, Body::Object(_) | Body::Absent) => Fields {
                body: Body::Absent,
                path,
                known: Vec::new(),
                collector: self.collector,
            },
        }
    }

    /// Any value, if the key is there; for a key that has several forms.
    pub fn item(&mut self, key: &str) -> Option<Item<'v, '_>> {
        let value = self.value(key)?;
        Some(Item {
            value,
            path: joined(&self.path, key),
            collector: self.collector,
        })
    }

    /// Any value; a fault when the key is not there.
    pub fn required_item(&mut self, key: &str) -> Option<Item<'v, '_>> {
        if self.value(key).is_none() && !matches!(self.body, Body::Unreadable) {
            self.fault(key, "is required");
        }
        self.item(key)
    }

    /// Makes the presence of `key` a fault with this rule, for a key that has no meaning beside the others.
    pub fn refuse(&mut self, key: &str, rule: impl Display) {
        if self.value(key).is_some() {
            self.fault(key, rule);
        }
    }

    /// Notes that the value of `key` breaks `rule`; for rules over several keys.
    pub fn fault(&mut self, key: &str, rule: impl Display) {
        self.collector.fault(joined(&self.path, key), rule);
    }

    /// Notes a warning about `key`.
    pub fn warn(&mut self, key: &str, rule: impl Display) {
        self.collector.warn(joined(&self.path, key), rule);
    }

    /// The keys of the object, in the order of the document; empty when there is none.
    #[must_use]
    pub fn keys(&self) -> Vec<&'v str> {
        self.object_keys().map(String::as_str).collect()
    }

    /// Ends the reading: every key that nobody asked for is a fault.
    pub fn finish(self) {
        for (path, rule) in self.unknown_keys() {
            self.collector.fault(path, rule);
        }
    }

    /// Ends the reading: every key that nobody asked for is a warning.
    pub fn finish_with_warnings(self) {
        for (path, rule) in self.unknown_keys() {
            self.collector.warn(path, rule);
        }
    }

    fn value(&mut self, key: &str) -> Option<&'v Value> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
            self.collector.asked(|| joined(&self.path, key), None);
        }
        match self.body {
            Body::Object(object) => object.get(key),
            Body::Absent | Body::Unreadable => None,
        }
    }

    /// Says what the value of `key` must be and what holds when it is absent, for the reference of the document's keys; the
    /// readers of one type say it themselves.
    pub fn note(&mut self, key: &str, rule: impl Display, default: impl Display) {
        let rule = || (rule.to_string(), default.to_string());
        self.collector
            .asked(|| joined(&self.path, key), Some(&rule));
    }

    fn object_keys(&self) -> impl Iterator<Item = &'v String> + use<'v> {
        let object = match self.body {
            Body::Object(object) => Some(object),
            Body::Absent | Body::Unreadable => None,
        };
        let members = object.and_then(Value::as_object).unwrap_or_default();
        members.iter().map(|(key, _)| key)
    }

    fn unknown_keys(&self) -> Vec<(String, String)> {
        let fault = |key: &String| {
            let rule = match hint::nearest(key, &self.known) {
                Some(near) => format!("unknown key (did you mean {near:?}?)"),
                None => "unknown key".to_owned(),
            };
            (joined(&self.path, key), rule)
        };
        let mut unknown = self.object_keys().filter(|key| !self.known.contains(key));
        let mut named: Vec<_> = unknown.by_ref().take(MAX_UNKNOWN_KEYS).map(fault).collect();
        let more = unknown.count();
        if more > 0 {
            named.push((self.path.clone(), format!("{more} more unknown keys")));
        }
        named
    }
}

impl<'v> Item<'v, '_> {
    /// The value itself, for a key that has several forms.
    #[must_use]
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// Its path, for a message elsewhere.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes that this value breaks `rule`.
    pub fn fault(&mut self, rule: impl Display) {
        self.collector.fault(self.path.clone(), rule);
    }

    /// Notes a warning about this value.
    pub fn warn(&mut self, rule: impl Display) {
        self.collector.warn(self.path.clone(), rule);
    }

    /// It must be a text.
    pub fn text(&mut self) -> Option<String> {
        self.borrowed_text().map(str::to_owned)
    }

    /// It must be a text that `parse` takes.
    pub fn custom<T, E: Display>(&mut self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(self.borrowed_text()?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(error);
                None
            }
        }
    }

    /// It must be a whole number in `range`.
    pub fn integer<N>(&mut self, range: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<u64> + Into<u64> + Copy,
    {
        let range: RangeInclusive<u64> = (*range.start()).into()..=(*range.end()).into();
        N::try_from(self.whole_number(range)?).ok()
    }

    #[inline(never)]
    fn whole_number(&mut self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = self.value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let wanted = format!("an integer from {} to {}", range.start(), range.end());
            self.fault(wrong_type(&wanted, self.value));
        }
        number
    }

    /// It must be `true` or `false`.
    pub fn flag(&mut self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.fault(wrong_type("true or false", self.value));
        }
        flag
    }

    /// It must be one of a few named values.
    pub fn choice<T: Clone>(&mut self, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let (_, value) = choices.get(self.place(&names)?)?;
        Some(value.clone())
    }

    #[inline(never)]
    fn place(&mut self, names: &[&str]) -> Option<usize> {
        let text = self.borrowed_text()?;
        let place = names.iter().position(|name| *name == text);
        if place.is_none() {
            self.fault(format_args!(
                "{} is not one of {}",
                quoted(text),
                names.join(", ")
            ));
        }
        place
    }

    /// It must be a list; each element is read by `read`, which returns `None` after a fault.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Item<'v, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(elements) = self.value.as_array() else {
            self.fault(wrong_type("a list", self.value));
            return None;
        };
        let mut found = Vec::with_capacity(elements.len());
        for (index, value) in elements.iter().enumerate() {
            let mut item = Item {
                value,
                path: format!("{}[{index}]", self.path),
                collector: self.collector,
            };
            found.extend(read(&mut item));
        }
        Some(found)
    }

    /// It must be an object.
    pub fn fields(&mut self) -> Fields<'v, '_> {
        Fields::of(self.value, self.path.clone(), self.collector)
    }

    fn borrowed_text(&mut self) -> Option<&'v str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.fault(wrong_type("a string", self.value));
        }
        text
    }
}

/// A found text as faults repeat it: quoted, escaped and not longer than a line.
#[must_use]
fn quoted(text: &str) -> String {
    let head: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    let more = if head.len() < text.len() { "..." } else { "" };
    format!("{head:?}{more}")
}

fn wrong_type(wanted: &str, found: &Value) -> String {
    // Texts, lists and objects are not repeated: they may hold a secret under a wrong key.
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.clone(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("must be {wanted}, found {found}")
}

fn joined(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(plain) {
        format!("{path}[{}]", quoted(key))
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
