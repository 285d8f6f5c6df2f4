//! The gateway's own image of ASE's lists and APIs: whether it clears a request, and how it is kept.
//!
//! Pure: what is read goes in, what to do comes out, time is an argument. One VM of a gateway fetches the image under a lease and shares it with the others by
//! the host's shared data; they meet on a [`Board`]. That VM may vanish at any time; answers may come late, twice or never; a copy may be torn. Whatever
//! happens, a request that is not cleared by an image that ASE has confirmed lately is a question as in `sync`: nothing here ever blocks or loses anything.

use std::time::Duration;

use ase_core::credential::CredentialKey;
use ase_core::policy_image::{
    AskReason, FingerprintBits, ImageFault, Judgement, LocalRequest, OverlayFault, PolicyImage,
};

use crate::clock::Moment;
use crate::exchange::CalloutToken;
use crate::site::Site;

mod arrived;
mod asked;
mod board;
mod heard;
mod polls;
mod sharing;

pub use arrived::Arrived;
pub use asked::{Asked, ImageFailure};
pub use board::Board;
pub use heard::Named;
pub use sharing::{PIECE_BYTES, Piece, Seen, Wish};

use polls::Polls;
use sharing::Taking;

/// The longest age that [`LocalLimits::max_age`] can be, in ms.
pub const LONGEST_AGE_MS: u32 = 86_400_000;
/// What the gauge of the image's age says when that is not known: past any limit.
const UNKNOWN_AGE_MS: u64 = LONGEST_AGE_MS as u64 + 1;

/// How the image is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// An image that ASE has not confirmed for so long clears nothing.
    pub max_age: Duration,
    /// Ticks from one call for news to the next.
    pub poll_ticks: u32,
    /// While ASE's last confirmation is no older than this, no call is needed: receipts bring the news.
    pub quiet: Duration,
    /// Larger images are refused.
    pub max_image_bytes: usize,
    /// The wanted width of the image's fingerprints.
    pub width: FingerprintBits,
    /// How long a VM that fetches may be silent before another one does.
    pub lease: Duration,
    /// Ticks after which a call is taken for lost.
    pub patience_ticks: u32,
    /// Names the board and the pieces in the host's shared data: different for each ASE.
    pub key: String,
}

/// The image of one root context.
#[derive(Debug)]
pub struct Local {
    /// This VM's name on the board.
    me: u64,
    wanted: bool,
    image: Option<PolicyImage>,
    /// The other buffer, for the image that is coming.
    spare: Vec<u8>,
    confirmed: Option<Moment>,
    /// The latest moment as of which a receipt said that ASE has another image.
    outdated: Moment,
    taking: Option<Taking>,
    polls: Polls,
    /// Counts the images that were shared, as of the last look at the board.
    serial: u32,
    /// The same when the call went out that was answered last: only then may its image take the place of another.
    succeeds: u32,
    /// A receipt's confirmation was worth telling the other VMs since the last tick.
    told: bool,
}

impl Local {
    /// Without an image; `me` is random, and not 0.
    #[must_use]
    pub fn new(me: u64) -> Self {
        Self {
            me: me.max(1),
            wanted: false,
            image: None,
            spare: Vec::new(),
            confirmed: None,
            outdated: Moment::default(),
            taking: None,
            polls: Polls::default(),
            serial: 0,
            succeeds: 0,
            told: false,
        }
    }

    /// An image is needed from now on.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether an image is needed.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Forgets everything: another ASE is asked, or the root context ends.
    pub fn forget(&mut self) {
        *self = Self::new(self.me);
    }

    /// The clock cannot be read, so no image is known to be fresh.
    pub fn without_clock(&mut self) {
        self.confirmed = None;
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> Option<&PolicyImage> {
        self.image.as_ref()
    }

    /// The build and the revision of the image.
    fn present(&self) -> Option<(u64, u32)> {
        let image = self.image.as_ref()?;
        Some((image.build(), image.revision()))
    }

    /// How long ago ASE confirmed the image; `None` when that is not known.
    #[must_use]
    pub fn age(&self, now: Moment) -> Option<Duration> {
        let confirmed = self.confirmed_by(now)?;
        self.image.as_ref().map(|_| now.since(confirmed))
    }

    /// What the gauges show: age in ms, length in bytes, entries behind the build.
    #[must_use]
    pub fn figures(&self, now: Moment) -> [u64; 3] {
        let age = self.age(now).map(|age| age.as_millis());
        let (bytes, revision) = self
            .image
            .as_ref()
            .map_or((0, 0), |image| (image.as_bytes().len(), image.revision()));
        [
            age.and_then(|age| u64::try_from(age).ok())
                .unwrap_or(UNKNOWN_AGE_MS),
            u64::try_from(bytes).unwrap_or(u64::MAX),
            u64::from(revision),
        ]
    }

    /// Whether ASE would have nothing against the request.
    ///
    /// # Errors
    /// Why ASE has to be asked.
    pub fn judge(
        &self,
        request: &LocalRequest<'_>,
        keys: &[CredentialKey],
        now: Moment,
        limits: &LocalLimits,
    ) -> Result<(), Asked> {
        let image = self.image.as_ref().ok_or(Asked::NoImage)?;
        if self.age(now).is_none_or(|age| age > limits.max_age) {
            return Err(Asked::Stale);
        }
        match image.judge(request, keys) {
            Judgement::Pass => Ok(()),
            Judgement::Ask(reason) => Err(match reason {
                AskReason::UnknownApi => Asked::UnknownApi,
                AskReason::AlwaysAsk => Asked::AlwaysAsk,
                AskReason::ListedAddress => Asked::ListedAddress,
                AskReason::ListedCredential(_) => Asked::ListedCredential,
                AskReason::NoKey(_) => Asked::NoKey,
                AskReason::Undecidable => Asked::Undecidable,
            }),
        }
    }

    /// The build and the revision to ask ASE for news of; `None` asks for the whole image.
    #[must_use]
    pub fn have(&self) -> Option<(u64, u32)> {
        self.present().filter(|_| !self.polls.needs_whole())
    }

    /// The call for news went out.
    pub fn sent(&mut self, token: CalloutToken, site: Site, now: Moment, limits: &LocalLimits) {
        let patience = limits.patience_ticks;
        self.polls.sent(token, site, now, patience, self.serial);
    }

    /// Whether this is the answer to the call for news.
    #[must_use]
    pub fn awaits(&self, token: CalloutToken) -> bool {
        self.polls.is_under_way(token)
    }

    /// The call for news was answered. Where it went and when; take in what came before the next tick.
    pub fn answered(&mut self, token: CalloutToken) -> Option<(Site, Moment)> {
        let poll = self.polls.answered(token)?;
        self.succeeds = poll.serial;
        Some((poll.site, poll.sent))
    }

    /// ASE has nothing new, as of then.
    pub fn confirm(&mut self, sent: Moment, limits: &LocalLimits) {
        self.polls.succeeded(limits.poll_ticks);
        self.confirmed = self.confirmed.max(Some(sent));
    }

    /// What ASE has listed since was taken in, and confirms nothing: it is making another image.
    pub fn awaits_another(&mut self, limits: &LocalLimits) {
        self.polls.succeeded(limits.poll_ticks);
    }

    /// ASE has listed more since. Whether that was new here.
    ///
    /// # Errors
    /// When it does not go on where the image is: the next call is for the whole.
    pub fn extend(&mut self, overlay: &[u8]) -> Result<bool, ImageFailure> {
        self.take_in(overlay).map_err(|_| {
            self.polls.need_whole();
            ImageFailure::Refused
        })
    }

    fn take_in(&mut self, overlay: &[u8]) -> Result<bool, OverlayFault> {
        let Some(image) = &mut self.image else {
            return Ok(false);
        };
        let before = image.revision();
        image.extend(overlay)?;
        Ok(image.revision() > before)
    }

    /// A whole image of so many bytes comes: makes room for it.
    ///
    /// # Errors
    /// When it is too large.
    pub fn make_room(&mut self, bytes: usize, limits: &LocalLimits) -> Result<(), ImageFailure> {
        self.taking = None;
        self.spare.clear();
        if bytes > limits.max_image_bytes {
            return Err(ImageFailure::TooLarge);
        }
        if self.spare.capacity() < bytes {
            // Freed before the larger one is made, and larger than needed, so that lists that grow leave few holes in the heap.
            self.spare = Vec::new();
            self.spare
                .try_reserve_exact(bytes.saturating_add(bytes / 16))
                .map_err(|_| ImageFailure::TooLarge)?;
        }
        Ok(())
    }

    /// The next bytes of that image.
    pub fn receive(&mut self, bytes: &[u8]) {
        // Never beyond the room that was made.
        let room = self.spare.capacity().saturating_sub(self.spare.len());
        self.spare
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// That was all of it.
    ///
    /// # Errors
    /// When it is no image.
    pub fn received(&mut self, sent: Moment, limits: &LocalLimits) -> Result<(), ImageFailure> {
        let as_of_then = Board {
            confirmed: sent,
            ..Board::default()
        };
        self.put_to_use(&as_of_then)
            .map_err(|_| ImageFailure::Refused)?;
        self.polls.succeeded(limits.poll_ticks);
        Ok(())
    }

    /// The call for news failed, whatever the reason.
    pub fn failed(&mut self, limits: &LocalLimits) {
        self.polls.failed(limits.poll_ticks);
    }

    /// When ASE last confirmed the image, unless the clock was set back since: then nobody knows how long ago that was.
    fn confirmed_by(&self, now: Moment) -> Option<Moment> {
        self.confirmed.filter(|confirmed| *confirmed <= now)
    }

    /// `known` is what was listed behind the image, up to the revision that was confirmed.
    fn put_to_use(&mut self, known: &Board) -> Result<(), ImageFault> {
        let mut image = PolicyImage::parse(std::mem::take(&mut self.spare))?;
        if image.revision() < known.revision {
            // Without it the image stays unconfirmed, and clears nothing.
            let _comes_again = image.extend(&known.overlay);
        }
        let is_complete = image.revision() >= known.revision;
        if let Some(former) = self.image.replace(image) {
            self.spare = former.into_bytes();
        }
        self.confirmed = Some(known.confirmed).filter(|_| is_complete);
        self.outdated = Moment::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
