//! The last changes of the lists, by revision, for whoever keeps a copy of the lists up to date. Bounded: a follower that comes too
//! late takes the whole lists.

use std::collections::VecDeque;

use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source, Sources};

use crate::state::{ListName, Version};

/// Most changes that are kept.
const BOUND: usize = 16_384;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The lists' revision after it.
    pub revision: u64,
    /// The list.
    pub list: ListName,
    /// What was done.
    pub what: What,
}

/// What was done to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An entry was added, or replaced one of the same identifier, scope and source.
    Put(ListedIdentifier, Entry),
    /// The entry of this scope and source was removed.
    Removed(ListedIdentifier, Scope, Source),
    /// Every entry of these sources was removed.
    Cleared(Sources),
}

/// What is done in one step, in order, gathered before it is noted: noting it takes no longer than what is kept of it.
#[derive(Debug, Default)]
pub struct Step {
    /// The last ones.
    last: VecDeque<What>,
    /// How many came before them.
    before: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Changes {
    version: Version,
    /// The last ones, without a gap up to the version.
    last: VecDeque<Change>,
}

impl Step {
    /// Adds what is done next.
    pub fn push(&mut self, what: What) {
        if self.last.len() >= BOUND {
            self.last.pop_front();
            self.before = self.before.saturating_add(1);
        }
        self.last.push_back(what);
    }
}

impl Changes {
    /// No changes, at this version.
    #[must_use]
    pub fn beginning_at(version: Version) -> Self {
        Self {
            version,
            last: VecDeque::new(),
        }
    }

    /// The version after the last change.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Notes a step: each change is a revision.
    pub fn note(&mut self, list: ListName, step: Step) {
        if step.before > 0 {
            self.last.clear();
            self.version.revision = self.version.revision.saturating_add(step.before);
        }
        for what in step.last {
            self.note_one(list, what);
        }
    }

    fn note_one(&mut self, list: ListName, what: What) {
        self.version.revision = self.version.revision.saturating_add(1);
        if self.last.len() >= BOUND {
            self.last.pop_front();
        }
        self.last.push_back(Change {
            revision: self.version.revision,
            list,
            what,
        });
    }

    /// The changes after `version`; `None` when not all of them are known.
    #[must_use]
    pub fn since(&self, version: Version) -> Option<Vec<Change>> {
        let missed = self.version.revision.checked_sub(version.revision)?;
        let missed = usize::try_from(missed).ok()?;
        if version.epoch != self.version.epoch || missed > self.last.len() {
            return None;
        }
        let known = self.last.len() - missed;
        Some(self.last.iter().skip(known).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Epoch;

    fn at(epoch: u64, revision: u64) -> Version {
        Version {
            epoch: Epoch(epoch),
            revision,
        }
    }

    fn changed(changes: usize) -> Changes {
        let mut all = Changes::beginning_at(at(1, 10));
        let mut step = Step::default();
        for _ in 0..changes {
            step.push(What::Cleared(Sources::All));
        }
        all.note(ListName::Deny, step);
        all
    }

    fn revisions(changes: &Changes, since: Version) -> Option<Vec<u64>> {
        let changes = changes.since(since)?;
        Some(changes.iter().map(|change| change.revision).collect())
    }

    #[test]
    fn a_follower_gets_exactly_what_it_has_missed() {
        let changes = changed(3);
        assert_eq!(changes.version(), at(1, 13));
        assert_eq!(revisions(&changes, at(1, 10)), Some(vec![11, 12, 13]));
        assert_eq!(revisions(&changes, at(1, 12)), Some(vec![13]));
        assert_eq!(revisions(&changes, at(1, 13)), Some(vec![]));
    }

    #[test]
    fn a_follower_of_another_epoch_or_from_too_long_ago_starts_over() {
        let changes = changed(3);
        for version in [at(1, 9), at(1, 14), at(2, 12), at(2, 13)] {
            assert_eq!(revisions(&changes, version), None, "{version:?}");
        }
        let mut many = changed(BOUND + 1);
        for last in [11, 12] {
            assert_eq!(revisions(&many, at(1, last - 1)), None);
            let kept = revisions(&many, at(1, last)).unwrap();
            assert_eq!(kept.len(), BOUND);
            assert_eq!(kept.first(), Some(&(last + 1)));
            let mut step = Step::default();
            step.push(What::Cleared(Sources::All));
            many.note(ListName::Deny, step);
        }
    }
}
