//! How many entries the lists hold, by kind of identifier and by source.
//!
//! Counting walks every entry: a count is kept until it has cost at most a tenth of the time since it was taken. It never runs
//! on the path of a question.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ase_core::decision::Snapshot;
use ase_core::identifier_list::ListedIdentifier;

use crate::lists::list_of;
use crate::state::ListName;

/// As many times as long as it took, a count is kept.
const KEEP_FACTOR: u32 = 9;

/// The last count.
#[derive(Debug, Default)]
pub struct ListSizes(Mutex<Option<Counted>>);

/// How many entries there are of one sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The list.
    pub list: &'static str,
    /// The kind of identifier.
    pub kind: &'static str,
    /// Who listed them.
    pub source: &'static str,
    /// How many, expired ones that still wait for their removal included.
    pub entries: u64,
}

#[derive(Debug)]
struct Counted {
    sizes: Vec<Size>,
    good_until: Instant,
}

impl ListSizes {
    /// The sizes, counted when the last count is too old.
    pub fn of(&self, snapshot: &Snapshot) -> Vec<Size> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if let Some(counted) = &*last
            && began < counted.good_until
        {
            return counted.sizes.clone();
        }
        let sizes = count(snapshot);
        let took: Duration = began.elapsed();
        *last = Some(Counted {
            sizes: sizes.clone(),
            good_until: Instant::now() + took * KEEP_FACTOR,
        });
        sizes
    }
}

fn count(snapshot: &Snapshot) -> Vec<Size> {
    let mut sizes = BTreeMap::new();
    for list in [ListName::Deny, ListName::Allow] {
        for (identifier, entry) in list_of(snapshot, list).iter() {
            let kind = match identifier {
                ListedIdentifier::Network(_) => "ip",
                ListedIdentifier::Credential { kind, .. } => kind.as_str(),
            };
            let key = (list.as_str(), kind, entry.source.as_str());
            let size = sizes.entry(key).or_insert(0_u64);
            *size = size.saturating_add(1);
        }
    }
    let flat = |((list, kind, source), entries)| Size {
        list,
        kind,
        source,
        entries,
    };
    sizes.into_iter().map(flat).collect()
}
