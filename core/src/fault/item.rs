//! The reader of any one value.
//!
//! As [`Fields`], it notes its faults in the collector, and what it returns after one is only a stand-in.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{FaultCollector, Fields};
use crate::json::Value;
use crate::text::Quoted;

/// Longest part of a found text that a fault repeats, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// One value being read: an element of a list, or the value of a key.
#[derive(Debug)]
pub struct Item<'v, 'c> {
    value: &'v Value,
    path: String,
    collector: &'c mut FaultCollector,
}

impl<'v, 'c> Item<'v, 'c> {
    pub(super) fn new(value: &'v Value, path: String, collector: &'c mut FaultCollector) -> Self {
        Self {
            value,
            path,
            collector,
        }
    }

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
        self.broken(&rule);
    }

    #[inline(never)]
    fn broken(&mut self, rule: &dyn Display) {
        self.collector.fault(self.path.clone(), rule);
    }

    /// What was parsed, unless that is a fault.
    fn sound<T, E: Display>(&mut self, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.broken(&error);
                None
            }
        }
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
        let text = self.borrowed_text()?;
        self.sound(parse(text))
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
    pub(super) fn whole_number(&mut self, range: RangeInclusive<u64>) -> Option<u64> {
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
        let place = self.place(&|place| Some(choices.get(place)?.0))?;
        choices.get(place).map(|(_, value)| value.clone())
    }

    /// Which of the names it is.
    #[inline(never)]
    pub(super) fn place<'n>(&mut self, names: &dyn Fn(usize) -> Option<&'n str>) -> Option<usize> {
        let text = self.borrowed_text()?;
        let place = (0..).map_while(names).position(|name| name == text);
        if place.is_none() {
            let mut rule = format!("{} is not one of", quoted(text));
            let mut separator = " ";
            for name in (0..).map_while(names) {
                rule.push_str(separator);
                rule.push_str(name);
                separator = ", ";
            }
            self.fault(rule);
        }
        place
    }

    /// It must be a list; each element is read by `read`, which returns `None` after a fault.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Item<'v, '_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut found = Vec::new();
        self.each(&mut |item| {
            if let Some(element) = read(item) {
                found.push(element);
            }
        })?;
        Some(found)
    }

    #[inline(never)]
    pub(super) fn each(&mut self, read: &mut dyn FnMut(&mut Item<'v, '_>)) -> Option<()> {
        let Some(elements) = self.value.as_array() else {
            self.fault(wrong_type("a list", self.value));
            return None;
        };
        for (index, value) in elements.iter().enumerate() {
            let path = format!("{}[{index}]", self.path);
            read(&mut Item::new(value, path, self.collector));
        }
        Some(())
    }

    /// It must be an object.
    pub fn fields(&mut self) -> Fields<'v, '_> {
        Fields::of(self.value, self.path.clone(), self.collector)
    }

    #[inline(never)]
    pub(super) fn borrowed_text(&mut self) -> Option<&'v str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.fault(wrong_type("a string", self.value));
        }
        text
    }
}

/// A found text as faults repeat it: quoted, escaped and not longer than a line.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    let head: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    let more = if head.len() < text.len() { "..." } else { "" };
    format!("{}{more}", Quoted(&head))
}

pub(super) fn wrong_type(wanted: &str, found: &Value) -> String {
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
