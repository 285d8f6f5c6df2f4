//! One image as ASE keeps it: with the version of the lists that its overlay has reached.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ase_core::credential::KeyRing;
use ase_core::policy_image::PolicyImage;
use ase_core::registry::Registry;

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
}

/// What an image is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything.
    Good,
    /// It serves until there is another one.
    Worn,
    /// It lacks something that ASE acts on.
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
        }
    }

    pub(super) fn build(&self) -> u64 {
        self.image.build()
    }

    pub(super) fn bytes(&self) -> usize {
        self.image.base().len()
    }

    pub(super) fn records(&self) -> u32 {
        self.image.revision()
    }

    /// Whether gateways may go by it, as of the last look.
    pub(super) fn serves(&self) -> bool {
        match self.standing {
            Standing::Good | Standing::Worn => true,
            Standing::Useless => false,
        }
    }

    /// Takes in everything that has been listed by now.
    pub(super) fn catch_up(&mut self, lists: &Lists, keys: &ArcSwap<KeyRing>) -> Standing {
        if self.serves() {
            self.standing = self.caught_up(lists, keys);
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
            return Standing::Useless;
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
        if have.build != self.build() || have.revision > self.records() {
            return News::OtherBuild;
        }
        if have.revision == self.records() {
            return News::Nothing;
        }
        let mut overlay = Vec::new();
        self.image.write_overlay(have.revision, &mut overlay);
        News::Overlay(overlay)
    }

    /// The image with its overlay.
    pub(super) fn whole(&self) -> Vec<u8> {
        self.image.whole()
    }
}
