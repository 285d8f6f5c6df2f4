//! The engine's own thread: takes exchanges as they come, asks the engine, and hands on what it finds at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use ase_core::path::NormalPath;
use ase_engine::{Attack, Engine, Identifier, Lesson, Output, Transaction};

use super::activity::Activity;
use super::memory::{Pace, Shelf};
use super::recorder::Finding;
use super::tallies::{EngineState, Tallies};
use super::{Message, Observed};
use crate::access_log::backlog::Backlog;
use crate::background::Answering;
use crate::clock;
use crate::state::SetThreshold;

/// Between two looks of the engine at the clock.
const TICK: Duration = Duration::from_secs(1);
/// Most exchanges that the engine gets at once: what it finds in a large batch does not wait for the end of it.
const AT_ONCE: usize = 16;
/// And while none has waited for long: an answer that needs this core gets it within some hundredths of a millisecond.
const A_FEW: usize = 4;
/// How old an exchange may get while the engine looks at a few at a time: each time it steps back, the system puts it behind whoever waits for the
/// core, for as long as its turn would have been. Half of the time in which an attacker is to be listed.
const HURRY: Duration = Duration::from_millis(100);
/// How often it steps back for answers under way before it naps: nearly all of them end sooner than a nap.
const STEPS_BACK: usize = 3;
/// How long more exchanges are waited for: to wake the engine costs a caller more than the engine's whole look.
const GATHER: Duration = Duration::from_millis(5);
/// How old an exchange may get while answers to gateways take every core: a part of the time in which an attacker is to be listed.
const GIVE_WAY: Duration = Duration::from_millis(50);
/// Between two looks at whether a core is left.
const NAP: Duration = Duration::from_millis(1);

/// Exchanges on their way from the queue to the engine.
#[derive(Debug)]
struct Gathered<T> {
    /// Each with the time when it was handed over.
    exchanges: VecDeque<(T, Instant)>,
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
    messages: Receiver<Message>,
    answering: Answering,
    gathered: Gathered<Observed>,
    next_tick: Instant,
    is_closed: bool,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Exchanges were looked at; more may wait.
    Worked,
    /// Nothing waits.
    Idle,
    /// It was told to close, and nothing is left.
    Closed,
}

/// What the engine has made of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taught {
    /// It has taken it.
    Learned,
    /// It does not remember the detection.
    Forgotten,
}

impl<T> Gathered<T> {
    fn add(&mut self, exchanges: impl IntoIterator<Item = T>, since: Instant) {
        let timed = exchanges.into_iter().map(|exchange| (exchange, since));
        self.exchanges.extend(timed);
    }

    /// How long the first of them has waited.
    fn waited(&self) -> Option<Duration> {
        self.exchanges.front().map(|(_, since)| since.elapsed())
    }

    /// Takes some out, the first ones.
    fn some(&mut self) -> Vec<T> {
        let most = at_once(self.waited().unwrap_or_default());
        let some = self.exchanges.drain(..self.exchanges.len().min(most));
        some.map(|(exchange, _)| exchange).collect()
    }
}

impl Desk {
    pub(super) fn new(
        engine: Engine,
        (tallies, backlog): (Arc<Tallies>, Arc<Backlog>),
        findings: SyncSender<Finding>,
        (shelf, pace): (Shelf, Pace),
        (messages, answering): (Receiver<Message>, Answering),
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
            messages,
            answering,
            gathered: Gathered {
                exchanges: VecDeque::new(),
            },
            next_tick: Instant::now() + TICK,
            is_closed: false,
        }
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        loop {
            match self.turn() {
                Turn::Worked => self.give_way(),
                Turn::Idle => std::thread::sleep(self.wait()),
                Turn::Closed => return self.close(),
            }
        }
    }

    /// Lets answers go first, those that wait for this core and, for a while, those that take all cores.
    fn give_way(&mut self) {
        std::thread::yield_now();
        self.gather();
        let mut steps = 1;
        while self.answering.fill_the_cores()
            && self
                .gathered
                .waited()
                .is_some_and(|waited| waited < GIVE_WAY)
        {
            if steps < STEPS_BACK {
                std::thread::yield_now();
            } else {
                std::thread::sleep(NAP);
            }
            steps += 1;
        }
    }

    /// Looks at some of what waits: exchanges together, and everything in its order.
    fn turn(&mut self) -> Turn {
        self.gather();
        let turn = self.observe_some();
        self.look_at_the_clock();
        turn
    }

    /// Waits for something to do, but no longer than to the next look at the clock. Returns for how long more is worth waiting for.
    fn wait(&mut self) -> Duration {
        let wait = self.next_tick.saturating_duration_since(Instant::now());
        let message = match self.messages.recv_timeout(wait) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => return Duration::ZERO,
            Err(RecvTimeoutError::Disconnected) => Message::Close,
        };
        let more = match message {
            Message::Exchange(..) => GATHER,
            Message::Exchanges(..) | Message::Ask(_) | Message::Close => Duration::ZERO,
        };
        self.take(message);
        more
    }

    /// What was learned is laid down last.
    fn close(&mut self) {
        self.shelf.close(&mut self.pace, &self.engine);
    }

    fn gather(&mut self) {
        while self.gathered.exchanges.len() < AT_ONCE && !self.is_closed {
            match self.messages.try_recv() {
                Ok(message) => self.take(message),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.is_closed = true,
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Exchange(exchange, since) => self.gathered.add([*exchange], since),
            Message::Exchanges(exchanges, since) => self.gathered.add(exchanges, since),
            Message::Ask(question) => {
                while self.observe_some() == Turn::Worked {}
                question(self);
            }
            Message::Close => self.is_closed = true,
        }
    }

    fn observe_some(&mut self) -> Turn {
        if let Some(waited) = self.gathered.waited() {
            self.behind = waited;
        }
        let some = self.gathered.some();
        match (some.is_empty(), self.is_closed) {
            (false, _) => self.observe(&some),
            (true, false) => return Turn::Idle,
            (true, true) => return Turn::Closed,
        }
        Turn::Worked
    }

    fn observe(&mut self, exchanges: &[Observed]) {
        self.pace.changed = true;
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

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
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

/// How many exchanges the engine gets at once when the first of them has waited for so long.
fn at_once(waited: Duration) -> usize {
    if waited < HURRY { A_FEW } else { AT_ONCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_has_not_waited_since_the_first_came() {
        let long_ago = Instant::now() - HURRY;
        let mut gathered = Gathered {
            exchanges: VecDeque::new(),
        };
        gathered.add(0..AT_ONCE, long_ago);
        gathered.add(AT_ONCE..AT_ONCE + A_FEW + 1, Instant::now());
        assert!(gathered.waited().unwrap() >= HURRY);
        assert_eq!(gathered.some().len(), AT_ONCE);
        assert!(gathered.waited().unwrap() < HURRY);
        assert_eq!(gathered.some().len(), A_FEW);
        assert_eq!(gathered.some(), [AT_ONCE + A_FEW]);
        assert_eq!(gathered.waited(), None);
    }

    #[test]
    fn who_has_waited_for_long_is_not_looked_at_in_small_groups() {
        assert_eq!(at_once(GIVE_WAY), A_FEW);
        assert_eq!(at_once(HURRY), AT_ONCE);
    }
}
