//! The policy images that gateways in `local` mode hold: built in the background, kept up to date by an overlay.
//!
//! Nothing is built before a gateway asks, and nothing is done while none does: an image is brought up to date when one asks for it
//! or sends a batch. An entry that was acknowledged is in every answer that is begun later: a build starts from a version that is
//! taken before its snapshot, and everything since that version is added before it is shown. Its calls may wait for whoever
//! changes a list: run them off the request path.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ase_core::credential::KeyRing;
use ase_core::policy_image::FingerprintBits;
use bytes::Bytes;
use tokio::sync::watch;

use crate::background::{self, Place};
use crate::counters::Counters;
use crate::lists::Lists;

mod builder;
mod held;
mod wanted;

use builder::Builder;
use held::{Held, Standing};
pub use wanted::{Have, QueryFault, Wanted};

/// The owner of the images.
#[derive(Debug)]
pub struct Images {
    /// `None` where there are none.
    owner: Option<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    /// Tells the builder what is wanted.
    bell: Sender<FingerprintBits>,
}

/// What askers and the builder share.
#[derive(Debug)]
struct Shared {
    lists: Arc<Lists>,
    keys: Arc<ArcSwap<KeyRing>>,
    counters: Arc<Counters>,
    eight: Slot,
    sixteen: Slot,
}

/// The image of one width.
#[derive(Debug, Default)]
struct Slot {
    contents: Mutex<Contents>,
    /// Counts builds, for who waits for one.
    built: watch::Sender<u64>,
    /// The last figures, for who must not wait while the image is brought up to date.
    shown: Mutex<Option<Shown>>,
}

#[derive(Debug, Default)]
struct Contents {
    held: Option<Held>,
    /// The bell has been rung and not been answered.
    awaited: bool,
    /// How long the last build took.
    took: Duration,
}

/// What a gateway that asks for an image gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The image, with all that was listed since.
    Whole(Bytes),
    /// What was listed since the gateway's own.
    Overlay(Vec<u8>),
    /// Nothing: its own is up to date.
    Unchanged,
    /// What was listed since the gateway's own, which may be nothing; ASE has other definitions or keys, and no image of them yet.
    Replaced(Vec<u8>),
    /// Nothing yet.
    NotReady,
}

/// What a gateway that holds an image is told beside something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is up to date.
    Nothing,
    /// What was listed since.
    Overlay(Vec<u8>),
    /// It has to fetch another one.
    OtherBuild,
}

/// An image, as metrics show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The bits of its fingerprints.
    pub bits: &'static str,
    /// Its length in bytes.
    pub bytes: usize,
    /// How many records its overlay has.
    pub records: u32,
    /// How long its build took.
    pub took: Duration,
}

impl Images {
    /// None at all.
    #[must_use]
    pub fn off() -> Self {
        Self { owner: None }
    }

    /// Images of these lists, for gateways that have these credential keys.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        lists: Arc<Lists>,
        keys: Arc<ArcSwap<KeyRing>>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let (images, builder) = Self::with_builder(lists, keys, counters);
        let thread = std::thread::Builder::new().name("policy-image".to_owned());
        thread.spawn(move || {
            background::stand_back(Place::Behind);
            while builder.build_next().is_ok() {}
        })?;
        Ok(images)
    }

    /// With the builder, for whoever runs it.
    fn with_builder(
        lists: Arc<Lists>,
        keys: Arc<ArcSwap<KeyRing>>,
        counters: Arc<Counters>,
    ) -> (Self, Builder) {
        let shared = Arc::new(Shared {
            lists,
            keys,
            counters,
            eight: Slot::default(),
            sixteen: Slot::default(),
        });
        let (bell, rings) = channel();
        let builder = Builder::new(Arc::clone(&shared), rings);
        let owner = Some(Owner { shared, bell });
        (Self { owner }, builder)
    }

    /// What a gateway gets that asks for an image. Where there is none that serves, one is built.
    #[must_use]
    pub fn fetch(&self, wanted: Wanted) -> Fetched {
        let Some(owner) = &self.owner else {
            return Fetched::NotReady;
        };
        let mut contents = owner.shared.slot(wanted.width).lock();
        owner.bring_up_to_date(&mut contents, wanted.width);
        let Some(held) = &mut contents.held else {
            return Fetched::NotReady;
        };
        match held.standing() {
            Standing::Good | Standing::Worn => match wanted.have.map(|have| held.since(have)) {
                Some(News::Nothing) => Fetched::Unchanged,
                Some(News::Overlay(overlay)) => Fetched::Overlay(overlay),
                Some(News::OtherBuild) | None => Fetched::Whole(held.whole()),
            },
            Standing::Replaced => {
                let overlay = wanted.have.and_then(|have| held.overlay(have));
                overlay.map_or(Fetched::NotReady, Fetched::Replaced)
            }
            Standing::Useless => Fetched::NotReady,
        }
    }

    /// What a gateway is told that holds an image.
    #[must_use]
    pub fn news(&self, have: Have) -> News {
        let Some(owner) = &self.owner else {
            return News::OtherBuild;
        };
        for width in [FingerprintBits::Eight, FingerprintBits::Sixteen] {
            let mut contents = owner.shared.slot(width).lock();
            let is_it = |held: &Held| held.build() == have.build;
            if contents.held.as_ref().is_some_and(is_it) {
                owner.bring_up_to_date(&mut contents, width);
                return match &contents.held {
                    Some(held) => match held.standing() {
                        Standing::Good | Standing::Worn => held.since(have),
                        Standing::Replaced | Standing::Useless => News::OtherBuild,
                    },
                    None => News::OtherBuild,
                };
            }
        }
        News::OtherBuild
    }

    /// Tells of builds to come; `None` where there are none.
    #[must_use]
    pub fn built(&self, width: FingerprintBits) -> Option<watch::Receiver<u64>> {
        let owner = self.owner.as_ref()?;
        Some(owner.shared.slot(width).built.subscribe())
    }

    /// The images that there are, as of their last use.
    #[must_use]
    pub fn held(&self) -> Vec<Shown> {
        let shown = |owner: &Owner| {
            let Shared { eight, sixteen, .. } = &*owner.shared;
            let shown = [eight, sixteen].map(|slot| *slot.shown());
            shown.into_iter().flatten().collect()
        };
        self.owner.as_ref().map_or_else(Vec::new, shown)
    }
}

impl Owner {
    /// Adds what was listed since, and has another image built where this one is worn out.
    fn bring_up_to_date(&self, contents: &mut Contents, width: FingerprintBits) {
        let shared = &self.shared;
        let held = contents.held.as_mut();
        let standing = held.map_or(Standing::Useless, |held| {
            held.catch_up(&shared.lists, &shared.keys)
        });
        shared.slot(width).show(contents);
        match standing {
            Standing::Good => {}
            Standing::Worn | Standing::Replaced | Standing::Useless => {
                if !std::mem::replace(&mut contents.awaited, true) && self.bell.send(width).is_err()
                {
                    tracing::error!("nobody builds policy images any more");
                }
            }
        }
    }
}

impl Shared {
    fn slot(&self, width: FingerprintBits) -> &Slot {
        match width {
            FingerprintBits::Eight => &self.eight,
            FingerprintBits::Sixteen => &self.sixteen,
        }
    }
}

impl Slot {
    /// A panic while it was held leaves an image that is whole, if an older one.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, contents: &Contents) {
        *self.shown() = contents.held.as_ref().map(|held| Shown {
            bits: held.bits(),
            bytes: held.bytes(),
            records: held.records(),
            took: contents.took,
        });
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
