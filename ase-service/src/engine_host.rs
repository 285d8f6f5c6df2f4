//! The host of the behaviour engine: one thread owns the engine and is fed finished exchanges, another one keeps what it finds.
//!
//! Nothing here is waited for by a request. Exchanges come through a queue that is bounded in number and in bytes; what finds no
//! room is counted. The engine's thread never touches the disk: what it finds goes to the `recorder`, which lists clients first
//! and writes about it second, and what it has learned goes to the `memory`, which stores it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ase_core::decision::Switch;
use ase_core::metadata::{RequestReport, ResponseMetadata};
use ase_engine::{Response, Settings};
use tokio::sync::oneshot;

use crate::access_log::backlog::Backlog;
use crate::background::{self, Answering, Place};
use crate::config::engine::EngineSettings;
use crate::exchange::RequestFacts;

mod activity;
mod attack_log;
mod carriers;
mod desk;
mod memory;
mod observed;
mod recorder;
mod tallies;

pub use activity::{Activity, Amount, Served};
pub(crate) use activity::{FAILURES, METHODS, SPAN_MS};
pub use desk::{Desk, Taught};
use memory::Pace;
pub(crate) use observed::api_facts;
pub use observed::{Observed, Untold};
pub use recorder::Keeper;
pub(crate) use recorder::{rounded, sample};
pub use tallies::{EngineState, Event, MemoryState, Tallies};

/// Longest that a management call waits for the engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the engine's detections lead to at most.
fn response(listing: Switch) -> Response {
    match listing {
        Switch::On => Response::Enforce,
        Switch::Off => Response::Simulate,
    }
}

/// The way to the engine, for all who have exchanges or questions for it.
#[derive(Debug)]
pub struct EngineHost {
    /// `None` while the engine is off.
    queue: Option<Sender<Message>>,
    backlog: Arc<Backlog>,
    /// What was counted.
    pub tallies: Arc<Tallies>,
    listing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the engine's thread is told.
enum Message {
    Exchanges(Vec<Observed>, Instant),
    Exchange(Box<Observed>, Instant),
    Ask(Box<dyn FnOnce(&mut Desk) + Send>),
    Close,
}

impl EngineHost {
    /// A host without an engine.
    #[must_use]
    pub fn off() -> Self {
        Self {
            queue: None,
            backlog: Arc::new(Backlog::new(0, 0)),
            tallies: Arc::default(),
            listing: Arc::default(),
            threads: Mutex::default(),
        }
    }

    /// Starts the engine as the settings say, if it is on.
    ///
    /// It has to be called in the runtime that answers gateways, which the engine gives way to.
    ///
    /// # Errors
    /// When the system has no thread or no randomness to give.
    pub fn start(settings: &EngineSettings, keeper: Keeper) -> std::io::Result<Self> {
        match settings.engine {
            Switch::Off => return Ok(Self::off()),
            Switch::On => {}
        }
        let tallies = Arc::<Tallies>::default();
        let behaviour = Settings {
            at_most: response(settings.listing),
            ..settings.behaviour.clone()
        };
        let engine = memory::recalled(&behaviour, &keeper.state, &tallies)?;
        let (memory, shelf) = memory::open(keeper.state.clone(), Arc::clone(&tallies));
        let listing = Arc::new(AtomicBool::new(settings.listing.is_on()));
        let backlog = Arc::new(Backlog::new(settings.queue, settings.queue_bytes));
        let (findings, found) = recorder::channel();
        let recorder = recorder::Recorder::new(
            keeper,
            &settings.attack_log,
            (Arc::clone(&tallies), Arc::clone(&listing)),
        );
        let (queue, messages) = channel();
        let shared = (Arc::clone(&tallies), Arc::clone(&backlog));
        let pace = Pace::every(settings.snapshot_every);
        let desk = Desk::new(
            engine,
            shared,
            findings,
            (shelf, pace),
            (messages, Answering::here()),
        );
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            named("engine").spawn(move || {
                background::stand_back(Place::Behind);
                desk.run();
            })?,
            named("engine-recorder").spawn(move || recorder.run(&found))?,
            named("engine-memory").spawn(move || {
                background::stand_back(Place::Behind);
                memory.run();
            })?,
        ];
        Ok(Self {
            queue: Some(queue),
            backlog,
            tallies,
            listing,
            threads: Mutex::new(threads),
        })
    }

    /// Whether there is an engine.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether what the engine proposes is put on the deny list.
    #[must_use]
    pub fn lists(&self) -> bool {
        self.listing.load(Ordering::Relaxed)
    }

    /// Says whether whom the engine finds from now on is put on the deny list; while not, it simulates.
    pub fn set_listing(&self, to: Switch) {
        // What waits for the recorder obeys at once, the engine when it comes to it.
        self.listing.store(to.is_on(), Ordering::Relaxed);
        if let Some(queue) = &self.queue {
            let turn = move |desk: &mut Desk| desk.engine.lead_to_at_most(response(to));
            if queue.send(Message::Ask(Box::new(turn))).is_err() {
                tracing::warn!("the engine had ended before its listing was turned");
            }
        }
    }

    /// The request half of an exchange, if the engine is to hear of it.
    #[must_use]
    pub fn begun(
        &self,
        report: &RequestReport<'_>,
        facts: &RequestFacts<'_>,
    ) -> Option<Box<Observed>> {
        self.queue.as_ref()?;
        match Observed::begun(report, facts, facts.found?) {
            Ok(observed) => Some(Box::new(observed)),
            Err(Untold::NotPassed) => {
                self.tallies.add(Event::NotPassed, 1);
                None
            }
            Err(Untold::AllowListed) => {
                self.tallies.add(Event::AllowListed, 1);
                None
            }
        }
    }

    /// Hands an exchange over that has ended.
    pub fn ended(
        &self,
        observed: Option<Box<Observed>>,
        response: Option<&ResponseMetadata<'_>>,
        duration: Option<Duration>,
    ) {
        if let Some(mut observed) = observed {
            observed.end(response, duration);
            let size = (1, observed.bytes());
            self.send(size, Message::Exchange(observed, Instant::now()));
        }
    }

    /// Hands exchanges over, all of them or, when there is no room, none.
    pub fn observe(&self, exchanges: Vec<Observed>) {
        if !exchanges.is_empty() {
            let bytes = exchanges.iter().map(Observed::bytes).sum();
            let size = (exchanges.len(), bytes);
            self.send(size, Message::Exchanges(exchanges, Instant::now()));
        }
    }

    fn send(&self, (count, bytes): (usize, usize), message: Message) {
        let Some(queue) = &self.queue else {
            return;
        };
        if self.backlog.enter(count, bytes).is_err() {
            self.tallies.add(Event::Dropped, count);
        } else if queue.send(message).is_err() {
            self.backlog.leave(count, bytes);
            self.tallies.add(Event::Dropped, count);
        }
    }

    /// Exchanges that wait for the engine, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.backlog.waiting()
    }

    /// Asks the engine something, behind everything that waits for it. `None` when it is off or does not come to it in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Desk) -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let ask = move |desk: &mut Desk| {
            // Whoever asked may have left.
            let _left = tell.send(question(desk));
        };
        let queue = self.queue.as_ref()?;
        queue.send(Message::Ask(Box::new(ask))).ok()?;
        tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
    }

    /// The same for threads that may wait, and not for those that serve calls.
    pub fn tell<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Desk) -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = channel();
        let ask = move |desk: &mut Desk| {
            // Whoever asked may have left.
            let _left = tell.send(question(desk));
        };
        let queue = self.queue.as_ref()?;
        queue.send(Message::Ask(Box::new(ask))).ok()?;
        told.recv_timeout(PATIENCE).ok()
    }

    /// Looks at everything that was handed over, keeps what is found, and ends. Later exchanges are dropped and counted.
    pub async fn close(&self) {
        if let Some(queue) = &self.queue
            && queue.send(Message::Close).is_err()
        {
            tracing::warn!("the engine had ended before");
        }
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        let joined = tokio::task::spawn_blocking(|| {
            let ended = threads.into_iter().map(JoinHandle::join);
            ended.filter(Result::is_err).count()
        });
        if !matches!(joined.await, Ok(0)) {
            tracing::error!("the engine or its recorder broke off");
        }
    }
}
