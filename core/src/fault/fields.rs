//! The reader of an object.
//!
//! It knows its path and notes its faults in the collector; what it returns after a fault is only a stand-in that the collector never lets out.
//! What is the same for every type is in methods of its own that are not inlined: the filter's module is small for want of copies.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::item::{Item, quoted, wrong_type};
use super::{FaultCollector, hint};
use crate::json::Value;
use crate::text::Quoted;

/// Most unknown keys of one object that are named one by one.
const MAX_UNKNOWN_KEYS: usize = 50;

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
        let text = self.borrowed_text(key)?;
        self.sound(key, parse(text))
    }

    /// As [`Self::custom`], and the key must be there.
    pub fn required_custom<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.required_borrowed_text(key)?;
        self.sound(key, parse(text))
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
        self.place(key, &|place| Some(choices.get(place)?.0))
            .and_then(|place| choices.get(place))
            .map_or(default, |(_, value)| value.clone())
    }

    /// Which of the names it is.
    #[inline(never)]
    fn place<'n>(&mut self, key: &str, names: &dyn Fn(usize) -> Option<&'n str>) -> Option<usize> {
        let quoted = || (0..).map_while(names).map(|name| format!("`{name}`"));
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
        self.list_if_present(key, read).unwrap_or_default()
    }

    /// As [`Self::list`], but tells an absent list from an empty one.
    pub fn list_if_present<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&mut Item<'v, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut found = Vec::new();
        self.each(key, &mut |item| {
            if let Some(element) = read(item) {
                found.push(element);
            }
        })?;
        Some(found)
    }

    #[inline(never)]
    fn each(&mut self, key: &str, read: &mut dyn FnMut(&mut Item<'v, '_>)) -> Option<()> {
        self.item(key)?.each(read)
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
        Some(Item::new(value, joined(&self.path, key), self.collector))
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
        self.broken(key, &rule);
    }

    #[inline(never)]
    fn broken(&mut self, key: &str, rule: &dyn Display) {
        self.collector.fault(joined(&self.path, key), rule);
    }

    /// What was parsed, unless that is a fault.
    fn sound<T, E: Display>(&mut self, key: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.broken(key, &error);
                None
            }
        }
    }

    #[inline(never)]
    fn borrowed_text(&mut self, key: &str) -> Option<&'v str> {
        self.item(key)?.borrowed_text()
    }

    #[inline(never)]
    fn required_borrowed_text(&mut self, key: &str) -> Option<&'v str> {
        self.required_item(key)?.borrowed_text()
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
                Some(near) => format!("unknown key (did you mean {}?)", Quoted(near)),
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
