//! What the receipts of batches tell of the image: it is kept up to date by them while there is traffic, and by calls of its own only while there is none.

use super::{ImageFailure, Local, LocalLimits};
use crate::clock::Moment;
use crate::outbox::News;

/// What a batch said of the image when it went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The build and the revision.
    pub image: (u64, u32),
    /// When it went out: what its receipt confirms was so then, or later.
    pub sent: Moment,
}

impl Local {
    /// What a batch that goes out now says of the image.
    #[must_use]
    pub fn named(&self, now: Moment) -> Option<Named> {
        let image = self.present()?;
        Some(Named { image, sent: now })
    }

    /// A receipt came for a batch that said this. Whether that is worth telling the other VMs: an entry always is, anything else once a tick.
    ///
    /// # Errors
    /// When it cannot be made use of; a call will tell what to do about it.
    pub fn heard(&mut self, news: &News, named: Named) -> Result<bool, ImageFailure> {
        let (build, revision) = named.image;
        // Another image may have come since, or the same one with less behind it.
        let is_there = self
            .present()
            .is_some_and(|(its, reached)| its == build && reached >= revision);
        match (news, is_there) {
            (News::Garbled, true | false) => Err(ImageFailure::Refused),
            (News::Silent, true | false)
            | (News::Current | News::Overlay(_) | News::Stale, false) => Ok(false),
            (News::Stale, true) => {
                self.polls.hasten();
                self.outdated = self.outdated.max(named.sent);
                Ok(!std::mem::replace(&mut self.told, true))
            }
            (News::Current, true) => Ok(self.confirmed_as_of(named.sent)),
            (News::Overlay(overlay), true) => {
                let is_new = self.take_in(overlay).map_err(|_| ImageFailure::Refused)?;
                Ok(self.confirmed_as_of(named.sent) || is_new)
            }
        }
    }

    /// Whether the other VMs should be told.
    fn confirmed_as_of(&mut self, sent: Moment) -> bool {
        let is_later = self.confirmed < Some(sent);
        self.confirmed = self.confirmed.max(Some(sent));
        is_later && !std::mem::replace(&mut self.told, true)
    }

    /// Whether a call would bring anything that receipts do not, be it by way of another VM.
    pub(super) fn lacks_news(&self, now: Moment, limits: &LocalLimits) -> bool {
        self.polls.are_pressing() || self.age(now).is_none_or(|age| age > limits.quiet)
    }
}
