//! Which words of discovered paths name things: where one path goes on in very many different words, like `/users/alice`.

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_SEGMENTS, Template};

/// More words than this in one place are names.
const MANY: usize = 32;
const NAME: &str = "{id}";

/// The calls with `{id}` in the places of names too. What comes right below the base path are resources, however many: places
/// count from `first` on, 0 at the root.
pub(super) fn templates(
    found: &BTreeMap<(&'static str, String), u32>,
    first: usize,
) -> Vec<Template> {
    let mut paths: Vec<(&'static str, Vec<&str>, u32)> = found
        .iter()
        .map(|((method, path), requests)| (*method, path.split('/').skip(1).collect(), *requests))
        .collect();
    for place in first..MAX_SEGMENTS {
        let mut words: BTreeMap<Vec<&str>, BTreeSet<&str>> = BTreeMap::new();
        for (_, path, _) in &paths {
            if let (Some(before), Some(word)) = (path.get(..place), path.get(place)) {
                words.entry(before.to_vec()).or_default().insert(word);
            }
        }
        words.retain(|_, words| words.len() > MANY);
        for (_, path, _) in &mut paths {
            let names = path
                .get(..place)
                .is_some_and(|before| words.contains_key(before));
            if let Some(word) = path.get_mut(place).filter(|_| names) {
                *word = NAME;
            }
        }
    }
    let mut calls: BTreeMap<(&'static str, Vec<&str>), u32> = BTreeMap::new();
    for (method, path, requests) in paths {
        let count = calls.entry((method, path)).or_default();
        *count = count.saturating_add(requests);
    }
    let template = |((method, path), requests): ((&'static str, Vec<&str>), u32)| Template {
        method,
        path: format!("/{}", path.join("/")),
        requests,
    };
    calls.into_iter().map(template).collect()
}
