//! The thread that builds images, one after another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError};
use std::time::Instant;

use ase_core::policy_image::{
    BuildError, FingerprintBits, ImageFault, PolicyImage, Settings, build,
};
use thiserror::Error;

use super::Shared;
use super::held::{Held, Standing};
use crate::counters::{Counter, ImageEvent};

/// Builds in a row that more changes than are kept overtake; then the next question has to ask again.
const ATTEMPTS: usize = 4;

/// See the module's text.
pub(super) struct Builder {
    shared: Arc<Shared>,
    rings: Receiver<FingerprintBits>,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Image(#[from] ImageFault),
    #[error("no randomness for a policy image: {0}")]
    Randomness(getrandom::Error),
    #[error("the lists or the API definitions change faster than a policy image is built")]
    Overtaken,
    #[error("the building of a policy image broke off")]
    BrokenOff,
}

impl Builder {
    pub(super) fn new(shared: Arc<Shared>, rings: Receiver<FingerprintBits>) -> Self {
        Self { shared, rings }
    }

    /// Builds what is asked for next.
    ///
    /// # Errors
    /// When nobody can ask any more.
    pub(super) fn build_next(&self) -> Result<(), RecvError> {
        let width = self.rings.recv()?;
        let began = Instant::now();
        let built = catch_unwind(AssertUnwindSafe(|| self.build(width)));
        let built = built.unwrap_or(Err(Failure::BrokenOff));
        let took = began.elapsed();
        let slot = self.shared.slot(width);
        let mut contents = slot.lock();
        contents.awaited = false;
        let old = match built {
            Ok(held) => {
                let (bytes, bits) = (held.bytes(), width.bits());
                tracing::debug!(bytes, bits, ?took, "policy image built");
                self.count(ImageEvent::Built);
                contents.took = took;
                contents.held.replace(held)
            }
            Err(error) => {
                tracing::error!(%error, "no newer policy image: gateways in local mode clear requests by the one that they have until it is too old, and then ask about all");
                self.count(ImageEvent::BuildFailed);
                None
            }
        };
        slot.show(&contents);
        drop(contents);
        slot.built.send_modify(|builds| *builds += 1);
        drop(old);
        Ok(())
    }

    fn count(&self, event: ImageEvent) {
        self.shared.counters.count(Counter::Image(event));
    }

    /// An image that has everything that was listed when this returns.
    fn build(&self, width: FingerprintBits) -> Result<Held, Failure> {
        for _ in 0..ATTEMPTS {
            let mut held = self.attempt(width)?;
            match held.catch_up(&self.shared.lists, &self.shared.keys) {
                Standing::Good | Standing::Worn => return Ok(held),
                Standing::Replaced | Standing::Useless => {}
            }
        }
        Err(Failure::Overtaken)
    }

    fn attempt(&self, width: FingerprintBits) -> Result<Held, Failure> {
        let Shared { lists, keys, .. } = &*self.shared;
        // In this order: what comes between the two is in both, and not in neither.
        let at = lists.version();
        let (snapshot, keys) = (lists.snapshot(), keys.load_full());
        let (mut number, mut seed) = ([0; 8], [0; 16]);
        for random in [&mut number[..], &mut seed[..]] {
            getrandom::fill(random).map_err(Failure::Randomness)?;
        }
        let settings = Settings::new(&keys, width, u64::from_le_bytes(number), seed);
        let image = PolicyImage::parse(build(&snapshot, &settings)?)?;
        let registry = Arc::clone(&snapshot.registry);
        let entries = snapshot.attack.len();
        Ok(Held::new(image, at, (registry, keys), entries))
    }
}
