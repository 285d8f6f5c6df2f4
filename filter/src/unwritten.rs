//! Finished exchanges whose records are not written yet: few of them, for a tick at most.

use std::rc::Rc;

use ase_core::transaction::Course;
use ase_core::transaction::wire::Record;

use crate::config::Config;
use crate::kept::Kept;
use crate::site::Site;
use crate::token_request::TokenRequest;

/// As many are written in a row; their work holds the gateway's worker for a fraction of a millisecond.
const MOST: usize = 32;
/// More bytes than that are not kept, whatever their number.
const MOST_BYTES: usize = 256 * 1024;

/// An exchange that is over.
#[derive(Debug)]
pub struct Finished {
    /// What became of it.
    pub course: Course,
    /// Where it was last asked about.
    pub site: Site,
    /// What it ran under.
    pub config: Rc<Config>,
    /// What was said in it.
    pub kept: Kept,
    /// What its body has said, where it is a token request.
    pub token_request: Option<TokenRequest>,
}

/// Finished exchanges whose records are not written yet.
#[derive(Debug, Default)]
pub struct Unwritten {
    finished: Vec<Finished>,
    bytes: usize,
}

impl Unwritten {
    /// Takes one more. Whether it is time to [`Self::write`].
    #[must_use]
    pub fn push(&mut self, finished: Finished) -> bool {
        self.bytes = self.bytes.saturating_add(finished.kept.bytes());
        self.finished.push(finished);
        self.finished.len() >= MOST || self.bytes >= MOST_BYTES
    }

    /// Hands the records of all of them to `take`, in the order in which they finished.
    pub fn write(&mut self, mut take: impl FnMut(&Record<'_>, Site, &Config)) {
        self.bytes = 0;
        let mut all = std::mem::take(&mut self.finished);
        for one in all.drain(..) {
            let (config, token_request) = (&*one.config, one.token_request.as_ref());
            one.kept
                .record(&one.course, token_request, config, |record| {
                    take(record, one.site, config);
                });
        }
        self.finished = all;
    }
}

#[cfg(test)]
mod tests;
