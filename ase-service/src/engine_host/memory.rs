//! What the engine has learned, over restarts: read at the start, and stored now and then by a thread of its own.
//!
//! The engine's thread copies what it knows; writing it as text and waiting for the disk is this thread's. A snapshot that
//! cannot be read stops nothing: the engine begins anew. Who is killed loses what was learned since the last snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ase_core::time::UnixMillis;
use ase_engine::{Engine, Settings, Snapshot};

use super::tallies::{Event, Tallies};
use crate::clock;
use crate::secret;
use crate::state::{Learned, SharedState};

/// When snapshots are made.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    next: Instant,
    /// Whether there is anything that the last one does not know.
    pub(super) changed: bool,
}

/// Where the engine's thread lays snapshots down.
#[derive(Debug)]
pub(super) struct Shelf {
    snapshots: SyncSender<Taken>,
    busy: Arc<AtomicBool>,
    tallies: Arc<Tallies>,
}

/// The thread that stores them.
pub(super) struct Memory {
    state: SharedState,
    snapshots: Receiver<Taken>,
    busy: Arc<AtomicBool>,
    tallies: Arc<Tallies>,
}

/// A snapshot and when it was made.
#[derive(Debug)]
struct Taken {
    snapshot: Snapshot,
    at: UnixMillis,
}

/// The engine with what is stored of it, learned and set. Whatever is stored, there is an engine.
///
/// # Errors
/// When there is no seed: the state has none, and the system no randomness.
pub(super) fn recalled(
    settings: &Settings,
    state: &SharedState,
    tallies: &Tallies,
) -> std::io::Result<Engine> {
    let mut engine = learned(settings, state, tallies)?;
    let set = state.lock().thresholds();
    match set {
        Ok(set) => {
            for threshold in set {
                let of = (threshold.attack, threshold.variable);
                let api = threshold.api.as_ref();
                if engine.set_threshold(api, of, threshold.to).is_none() {
                    tracing::warn!(?threshold, "a stored threshold cannot be set");
                }
            }
        }
        Err(error) => tracing::error!(%error, "the stored thresholds cannot be read"),
    }
    Ok(engine)
}

fn learned(settings: &Settings, state: &SharedState, tallies: &Tallies) -> std::io::Result<Engine> {
    let (seed, learned) = {
        let state = state.lock();
        (state.engine_seed(), state.learned())
    };
    let anew = |why: &dyn std::fmt::Display| {
        tracing::error!(%why, "what the engine had learned cannot be read: it begins anew");
        tallies.add(Event::SnapshotUnreadable, 1);
    };
    let seed = match seed {
        Ok(seed) => seed,
        Err(error) => {
            anew(&error);
            let [a, b, c, d, e, f, g, h, ..] = secret::random_bytes()?;
            let seed = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            return Ok(Engine::new(settings.clone(), seed));
        }
    };
    let (text, at) = match learned {
        Ok(Learned::Whole { text, at }) => (text, at),
        Ok(Learned::Nothing) => return Ok(Engine::new(settings.clone(), seed)),
        Ok(Learned::Broken) => {
            anew(&"it is not what was written");
            return Ok(Engine::new(settings.clone(), seed));
        }
        Err(error) => {
            anew(&error);
            return Ok(Engine::new(settings.clone(), seed));
        }
    };
    let began = Instant::now();
    let (engine, restored) = Engine::restore(settings.clone(), seed, &text, clock::now());
    if restored.taken == 0 && restored.left_out > 0 {
        anew(&"it is of another version or another state");
        return Ok(Engine::new(settings.clone(), seed));
    }
    let left_out = usize::try_from(restored.left_out).unwrap_or(usize::MAX);
    tallies.add(Event::SnapshotLeftOut, left_out);
    tallies.remember(|memory| {
        memory.restored = restored.taken;
        memory.stored = Some(at);
        memory.bytes = text.len();
    });
    let (facts, took, of) = (restored.taken, began.elapsed(), clock::rfc3339(at));
    tracing::info!(
        facts,
        left_out,
        of,
        ?took,
        "the engine knows what it had learned"
    );
    Ok(engine)
}

/// A shelf, and the thread's part that empties it.
pub(super) fn open(state: SharedState, tallies: Arc<Tallies>) -> (Memory, Shelf) {
    let (sender, snapshots) = sync_channel(1);
    let busy = Arc::<AtomicBool>::default();
    let shelf = Shelf {
        snapshots: sender,
        busy: Arc::clone(&busy),
        tallies: Arc::clone(&tallies),
    };
    let memory = Memory {
        state,
        snapshots,
        busy,
        tallies,
    };
    (memory, shelf)
}

impl Pace {
    pub(super) fn every(every: Duration) -> Self {
        Self {
            every,
            next: Instant::now() + every,
            changed: false,
        }
    }
}

impl Shelf {
    /// Lays a snapshot down when it is time for one and the one before is stored.
    pub(super) fn keep_up(&self, pace: &mut Pace, engine: &Engine) {
        if pace.changed && Instant::now() >= pace.next && !self.busy.load(Ordering::Acquire) {
            self.lay_down(pace, engine);
        }
    }

    /// The last one, whenever it is.
    pub(super) fn close(&self, pace: &mut Pace, engine: &Engine) {
        if pace.changed {
            self.lay_down(pace, engine);
        }
    }

    fn lay_down(&self, pace: &mut Pace, engine: &Engine) {
        let began = Instant::now();
        let taken = Taken {
            snapshot: engine.snapshot(),
            at: clock::now(),
        };
        let paused = began.elapsed();
        self.tallies.remember(|memory| memory.paused = paused);
        self.busy.store(true, Ordering::Release);
        if self.snapshots.send(taken).is_err() {
            tracing::error!("the engine's memory has ended: what it learns is not stored");
        }
        pace.changed = false;
        pace.next = Instant::now() + pace.every;
    }
}

impl Memory {
    /// Until the engine has ended.
    pub(super) fn run(self) {
        let mut complained = false;
        while let Ok(Taken { snapshot, at }) = self.snapshots.recv() {
            let text = snapshot.into_text();
            match self.state.store_learned(&text, at) {
                Ok(()) => {
                    complained = false;
                    self.tallies.add(Event::SnapshotStored, 1);
                    self.tallies.remember(|memory| {
                        memory.stored = Some(at);
                        memory.bytes = text.len();
                    });
                }
                Err(error) => {
                    if !complained {
                        tracing::error!(%error, "what the engine has learned is not stored");
                    }
                    complained = true;
                    self.tallies.add(Event::SnapshotFailed, 1);
                }
            }
            self.busy.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn a_snapshot_is_made_when_something_has_changed_and_the_one_before_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let state = SharedState::new(State::open(folder.path()).unwrap());
        let tallies = Arc::<Tallies>::default();
        let engine = recalled(&Settings::default(), &state, &tallies).unwrap();
        let (memory, shelf) = open(state.clone(), Arc::clone(&tallies));
        let mut pace = Pace::every(Duration::ZERO);
        let mut made = |changed| {
            pace.changed |= changed;
            shelf.keep_up(&mut pace, &engine);
            shelf.busy.load(Ordering::Acquire)
        };
        assert!(!made(false));
        assert!(made(true));
        // The second change waits until the snapshot of the first is stored.
        assert!(made(true));
        assert!(pace.changed);
        shelf.busy.store(false, Ordering::Release);
        drop(shelf);
        memory.run();
        assert_eq!(tallies.count(Event::SnapshotStored), 1);
        assert!(matches!(state.lock().learned(), Ok(Learned::Whole { .. })));
    }
}
