//! Every key of the configuration file, told by the reader itself: `docs/configuration.md` is held against it by a test.
//!
//! Only what a key means is written by hand, in that document.

use std::path::Path;

use ase_core::fault::{AskedKey, FaultCollector, Fields};
use ase_core::json::Value;

use super::{Overrides, read};

/// A document in which every list has one element, so that the reader asks for the keys of an element too.
fn sample() -> Value {
    serde_json::json!({"tokens": [{}], "engine": {"thresholds": [{}]}}).into()
}

/// Every key that the reader asks for, in the order of asking; `[]` stands for any element of a list.
#[must_use]
pub fn keys() -> Vec<AskedKey> {
    let document = sample();
    let mut collector = FaultCollector::recording();
    let mut fields = Fields::of(&document, "", &mut collector);
    // Without values there are faults, which are no matter here.
    drop(read(&mut fields, Path::new(""), &Overrides::default()));
    fields.finish();
    let mut keys = collector.asked_keys().to_vec();
    for key in &mut keys {
        key.path = key.path.replace("[0]", "[]");
    }
    let sections: Vec<String> = keys
        .iter()
        .filter(|key| {
            let within = |section: &str| keys.iter().any(|key| key.path.starts_with(section));
            within(&format!("{}.", key.path)) || within(&format!("{}[].", key.path))
        })
        .map(|key| key.path.clone())
        .collect();
    keys.retain(|key| !sections.contains(&key.path));
    keys
}
