//! One image as ASE keeps it: with the version of the lists that its overlay has reached.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ase_core::credential::KeyRing;
use ase_core::policy_image::{FingerprintBits, PolicyImage};
use ase_core::registry::Registry;
use bytes::Bytes;

use super::{Have, News};
use crate::lists::{Lists, What};
use crate::state::{ListName, Version};

/// Longest overlay; a longer one is worth another build.
const WORN_RECORDS: u32 = 8192;
/// An image may ask about so many clients in vain that have been taken off the list, or about an eighth of the list if that is more.
const WORN_REMOVALS: usize = 1024;

/// An image and its overlay.
#[derive(Debug)]
pub(super) struct Held {
    image: PolicyImage,
    /// The overlay has everything up to this version.
    at: Version,
    registry: Arc<Registry>,
    keys: Arc<KeyRing>,
    /// Of the deny list, when the image was built.
    entries: usize,
    standing: Standing,
    /// The image with its overlay up to this revision: one copy for all who read it at the moment.
    whole: Option<(u32, Bytes)>,
}

/// What an image is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything.
    Good,
    /// It serves until there is another one.
    Worn,
    /// It was made of other definitions or keys than ASE has. Its holders get what is listed until there is another one; nobody else gets
    /// it, and nothing confirms it.
    Replaced,
    /// It lacks entries, and more cannot be added.
    Useless,
}

impl Held {
    /// An image of this registry and of a deny list of so many entries, which has everything up to the version `at`.
    pub(super) fn new(
        image: PolicyImage,
        at: Version,
        (registry, keys): (Arc<Registry>, Arc<KeyRing>),
        entries: usize,
    ) -> Self {
        Self {
            image,
            at,
            registry,
            keys,
            entries,
            standing: Standing::Good,
            whole: None,
        }
    }

    pub(super) fn build(&self) -> u64 {
        self.image.build()
    }

    /// The bits of its fingerprints, as metrics name them.
    pub(super) fn bits(&self) -> &'static str {
        match self.image.width() {
            FingerprintBits::Eight => "8",
            FingerprintBits::Sixteen => "16",
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.image.base().len()
    }

    pub(super) fn records(&self) -> u32 {
        self.image.revision()
    }

    /// What it is good for, as of the last look.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Takes in everything that has been listed by now.
    pub(super) fn catch_up(&mut self, lists: &Lists, keys: &ArcSwap<KeyRing>) -> Standing {
        match self.standing {
            Standing::Good | Standing::Worn | Standing::Replaced => {
                self.standing = self.caught_up(lists, keys);
            }
            Standing::Useless => {}
        }
        self.standing
    }

    fn caught_up(&mut self, lists: &Lists, keys: &ArcSwap<KeyRing>) -> Standing {
        let Some((version, changes)) = lists.changes_since(self.at) else {
            return Standing::Useless;
        };
        for change in changes {
            let added = match (change.list, &change.what) {
                (ListName::Deny, What::Put(identifier, _)) => self.image.add(identifier),
                // What has gone costs a question.
                (ListName::Deny, What::Removed(..) | What::Cleared(_)) | (ListName::Allow, _) => {
                    Ok(())
                }
            };
            if added.is_err() {
                return Standing::Useless;
            }
        }
        self.at = version;
        let snapshot = lists.snapshot();
        let same_keys = Arc::ptr_eq(&self.keys, &keys.load());
        if !same_keys || !Arc::ptr_eq(&self.registry, &snapshot.registry) {
            return Standing::Replaced;
        }
        let added = usize::try_from(self.records()).unwrap_or(usize::MAX);
        let gone = self.entries.saturating_add(added);
        let gone = gone.saturating_sub(snapshot.attack.len());
        if self.records() > WORN_RECORDS || gone > WORN_REMOVALS.max(self.entries / 8) {
            return Standing::Worn;
        }
        Standing::Good
    }

    /// What is new to a gateway that holds this image or another.
    pub(super) fn since(&self, have: Have) -> News {
        match self.overlay(have) {
            None => News::OtherBuild,
            Some(_) if have.revision == self.records() => News::Nothing,
            Some(overlay) => News::Overlay(overlay),
        }
    }

    /// What was listed since a gateway's image, which may be nothing; `None` when it is not this one.
    pub(super) fn overlay(&self, have: Have) -> Option<Vec<u8>> {
        if have.build != self.build() || have.revision > self.records() {
            return None;
        }
        let mut overlay = Vec::new();
        self.image.write_overlay(have.revision, &mut overlay);
        Some(overlay)
    }

    /// The image with its overlay.
    pub(super) fn whole(&mut self) -> Bytes {
        let revision = self.records();
        match &self.whole {
            Some((of, whole)) if *of == revision => whole.clone(),
            Some(_) | None => {
                let whole = Bytes::from(self.image.whole());
                self.whole = Some((revision, whole.clone()));
                whole
            }
        }
    }
}
