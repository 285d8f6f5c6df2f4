//! The engine's own thread: takes exchanges as they come, asks the engine, and hands on what it finds at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ase_core::path::NormalPath;
use ase_engine::{Attack, Engine, Identifier, Lesson, Output, Transaction};

use super::activity::Activity;
use super::memory::{Pace, Shelf};
use super::recorder::Finding;
use super::tallies::{EngineState, Tallies};
use super::{Message, Observed};
use crate::access_log::backlog::Backlog;
use crate::clock;
use crate::state::SetThreshold;

/// Between two looks of the engine at the clock.
const TICK: Duration = Duration::from_secs(1);
/// Most exchanges that the engine gets at once, so that what it finds in a large batch does not wait for the end of it.
const AT_ONCE: usize = 256;
/// Most exchanges that are taken from the queue before the engine looks at them.
const MOST_GATHERED: usize = 16 * AT_ONCE;
/// How long more exchanges are waited for: to wake the engine costs a caller more than the engine's whole look.
const GATHER: Duration = Duration::from_millis(5);

/// Exchanges on their way from the queue to the engine.
#[derive(Default)]
struct Gathered {
    exchanges: Vec<Observed>,
    /// When the first of them was handed over.
    since: Option<Instant>,
}

/// The engine and what belongs to it.
#[derive(Debug)]
pub struct Desk {
    /// The engine.
    pub engine: Engine,
    /// What each API has answered.
    pub activity: Activity,
    tallies: Arc<Tallies>,
    backlog: Arc<Backlog>,
    findings: SyncSender<Finding>,
    output: Output,
    behind: Duration,
    shelf: Shelf,
    pace: Pace,
}

/// What the engine has made of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taught {
    /// It has taken it.
    Learned,
    /// It does not remember the detection.
    Forgotten,
}

impl Gathered {
    fn add(&mut self, exchanges: impl IntoIterator<Item = Observed>, since: Instant) {
        self.exchanges.extend(exchanges);
        self.since.get_or_insert(since);
    }
}

impl Desk {
    pub(super) fn new(
        engine: Engine,
        (tallies, backlog): (Arc<Tallies>, Arc<Backlog>),
        findings: SyncSender<Finding>,
        (shelf, pace): (Shelf, Pace),
    ) -> Self {
        Self {
            engine,
            activity: Activity::default(),
            tallies,
            backlog,
            findings,
            output: Output::default(),
            behind: Duration::ZERO,
            shelf,
            pace,
        }
    }

    /// Until it is told to close. What was learned is laid down last.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.serve(messages);
        self.shelf.close(&mut self.pace, &self.engine);
    }

    fn serve(&mut self, messages: &Receiver<Message>) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match messages.recv_timeout(wait) {
                Ok(message) => match self.take_all(message, messages) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(()) => return,
                },
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.engine.tick(clock::now(), &mut self.output);
                self.hand_over();
                self.shelf.keep_up(&mut self.pace, &self.engine);
            }
            self.tallies.show(EngineState {
                counters: self.engine.counters(),
                watched: self.engine.watched(),
                behind: self.behind,
            });
        }
    }

    /// Takes a message and what comes right behind it, exchanges together and everything in its order.
    fn take_all(&mut self, first: Message, messages: &Receiver<Message>) -> ControlFlow<()> {
        let mut gathered = Gathered::default();
        if let Message::Exchange(..) = first {
            std::thread::sleep(GATHER);
        }
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Exchange(exchange, since) => gathered.add([*exchange], since),
                Message::Exchanges(exchanges, since) => gathered.add(exchanges, since),
                Message::Ask(question) => {
                    self.observe(std::mem::take(&mut gathered));
                    question(self);
                }
                Message::Close => {
                    self.observe(gathered);
                    return ControlFlow::Break(());
                }
            }
            if gathered.exchanges.len() >= MOST_GATHERED {
                break;
            }
            next = messages.try_recv().ok();
        }
        self.observe(gathered);
        ControlFlow::Continue(())
    }

    fn observe(&mut self, gathered: Gathered) {
        let Gathered { exchanges, since } = gathered;
        let Some(since) = since else {
            return;
        };
        self.behind = since.elapsed();
        self.pace.changed = true;
        for exchanges in exchanges.chunks(AT_ONCE) {
            let paths: Vec<NormalPath> = exchanges.iter().map(Observed::path).collect();
            let transactions: Vec<Transaction<'_>> = exchanges
                .iter()
                .zip(&paths)
                .map(|(exchange, path)| exchange.transaction(path))
                .collect();
            self.activity.count(&transactions);
            self.engine
                .observe(&transactions, clock::now(), &mut self.output);
            let bytes = exchanges.iter().map(Observed::bytes).sum();
            self.backlog.leave(exchanges.len(), bytes);
            self.hand_over();
        }
    }

    /// Gives what was found to the recorder; waits when that has fallen far behind, and the queue of exchanges bounds the rest.
    fn hand_over(&mut self) {
        if self.output.detections.is_empty() && self.output.proposals.is_empty() {
            return;
        }
        let output = std::mem::take(&mut self.output);
        for detection in &output.detections {
            self.tallies.detected(detection.attack);
        }
        let finding = Finding {
            output,
            at: clock::now(),
        };
        if self.findings.send(finding).is_err() {
            tracing::error!("the engine's recorder has ended: nobody is listed");
        }
    }

    /// Sets thresholds of an API, or of all, or takes them back; whether there was room for the API.
    pub fn set_thresholds(&mut self, changes: &[SetThreshold]) -> bool {
        self.pace.changed = true;
        changes.iter().all(|change| {
            let of = (change.attack, change.variable);
            let set = self
                .engine
                .set_threshold(change.api.as_ref(), of, change.to);
            set.is_some()
        })
    }

    /// Takes the last detection of an attack by a client back.
    pub fn undo(&mut self, identifier: Identifier, attack: Attack, lesson: Lesson) -> Taught {
        let id = self.engine.last_detection(&identifier, attack);
        match id.and_then(|id| self.engine.undo(id, lesson)) {
            Some(_) => {
                self.pace.changed = true;
                Taught::Learned
            }
            None => Taught::Forgotten,
        }
    }
}
