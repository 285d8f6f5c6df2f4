//! Reads a JSON document into domain types and collects every fault on the way, each with its path.
//!
//! Assumes that the document is already a [`Value`], whose nesting is bounded. Used for the filter's
//! configuration, ASE's own and API definitions. It must never stop at the first fault, print a value that may be a
//! secret, or let a result out while a fault is known.
//!
//! ```
//! use ase_core::fault::{FaultCollector, Fields};
//!
//! let mut collector = FaultCollector::default();
//! let document = collector.json(br#"{"ase": {"timeout_ms": 0, "clutser": "ase"}}"#).unwrap_or_default();
//! let mut root = Fields::of(&document, "", &mut collector);
//! let mut ase = root.object("ase");
//! let timeout_ms: u32 = ase.integer("timeout_ms", 1..=60_000, 500);
//! let cluster = ase.text("cluster").unwrap_or_else(|| "ase".into());
//! ase.finish();
//! root.finish();
//! let faults = collector.into_result((timeout_ms, cluster)).unwrap_err();
//! assert_eq!(
//!     faults.to_string(),
//!     "ase.timeout_ms: must be an integer from 1 to 60000, found 0\n\
//!      ase.clutser: unknown key (did you mean \"cluster\"?)"
//! );
//! ```

use std::fmt;

use crate::json::Value;

mod fields;
mod hint;
mod item;

pub use fields::Fields;
pub use item::Item;

/// One place in a document and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    path: String,
    rule: String,
}

/// Why a document was refused: at least one fault. Only a [`FaultCollector`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    first: Fault,
    rest: Vec<Fault>,
}

/// What an operator should look at in a document that was accepted; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(Vec<Fault>);

/// Gathers the faults and warnings of one document.
#[derive(Debug, Default)]
pub struct FaultCollector {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
    asked: Option<Vec<AskedKey>>,
}

/// A key that some reader asked for, for the reference of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedKey {
    /// Where in the document, as in [`Fault::path`].
    pub path: String,
    /// What its value must be, where the kind of reader tells.
    pub rule: Option<String>,
    /// What holds when it is absent, where the kind of reader tells; `none` when nothing does.
    pub default: Option<String>,
}

impl Fault {
    #[inline(never)]
    fn new(path: String, rule: &dyn fmt::Display) -> Self {
        let rule = rule.to_string();
        Self { path, rule }
    }

    /// Where in the document: `ase.timeout_ms`, `block.headers[2].name`; empty for the whole document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The rule that is broken, with what was found.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.rule)
        } else {
            write!(f, "{}: {}", self.path, self.rule)
        }
    }
}

impl Faults {
    /// All faults, in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn of(faults: Vec<Fault>) -> Option<Self> {
        let mut faults = faults.into_iter();
        let first = faults.next()?;
        Some(Self {
            first,
            rest: faults.collect(),
        })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.rest
            .iter()
            .try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}

impl Warnings {
    /// All warnings, in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for warning in &self.0 {
            write!(f, "{separator}{warning}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl FaultCollector {
    /// A collector that also records every key that is asked for, in the order of asking.
    #[must_use]
    pub fn recording() -> Self {
        Self {
            asked: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// The keys that were asked for; empty unless they are recorded.
    #[must_use]
    pub fn asked_keys(&self) -> &[AskedKey] {
        self.asked.as_deref().unwrap_or_default()
    }

    fn asked(
        &mut self,
        path: impl FnOnce() -> String,
        rule: Option<&dyn Fn() -> (String, String)>,
    ) {
        // The filter never records; what its keys must be is in the documents, and not in its module.
        if cfg!(target_arch = "wasm32") {
            return;
        }
        if let Some(asked) = &mut self.asked {
            let path = path();
            let (rule, default) = rule.map(|rule| rule()).unzip();
            if !asked.iter().any(|known| known.path == path) {
                asked.push(AskedKey {
                    path,
                    rule,
                    default,
                });
            }
        }
    }

    /// Notes that the value at `path` breaks `rule`.
    pub fn fault(&mut self, path: impl Into<String>, rule: impl fmt::Display) {
        self.faults.push(Fault::new(path.into(), &rule));
    }

    /// Notes something that an operator should look at but that refuses nothing.
    pub fn warn(&mut self, path: impl Into<String>, rule: impl fmt::Display) {
        self.warnings.push(Fault::new(path.into(), &rule));
    }

    /// Parses a whole JSON document; a byte order mark is skipped. `None` after noting the fault.
    pub fn json(&mut self, document: &[u8]) -> Option<Value> {
        let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
        match Value::parse(document) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault("", format_args!("is not JSON: {error}"));
                None
            }
        }
    }

    /// Whether nothing refuses the document so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// The warnings so far; for use before [`Self::into_result`], whatever that says.
    #[must_use]
    pub fn warnings(&self) -> Warnings {
        Warnings(self.warnings.clone())
    }

    /// Lets `value` out if nothing was wrong.
    ///
    /// # Errors
    /// Every fault that was noted.
    pub fn into_result<T>(self, value: T) -> Result<T, Faults> {
        match Faults::of(self.faults) {
            Some(faults) => Err(faults),
            None => Ok(value),
        }
    }

    /// Lets a value with required parts out if nothing was wrong. `None` stands for "a required part is missing",
    /// of which the `required_*` reader has already noted the fault.
    ///
    /// # Errors
    /// Every fault that was noted.
    pub fn into_complete<T>(self, value: Option<T>) -> Result<T, Faults> {
        match (Faults::of(self.faults), value) {
            (Some(faults), _) => Err(faults),
            (None, Some(value)) => Ok(value),
            (None, None) => Err(Faults {
                first: Fault {
                    path: String::new(),
                    rule: "is incomplete".to_owned(),
                },
                rest: Vec::new(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
