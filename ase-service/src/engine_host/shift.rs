//! Who works at the engine's desk: a thread that comes last, and a second one when too much waits.
//!
//! The first works in what the threads that answer gateways leave of the cores, so that an answer never waits for the engine. Under a load
//! that leaves nothing it would never get its turn, and attacks would go unseen: once a part of the queue is taken, or nothing has been looked at
//! for some time, the second takes over, whose share of a busy core is what the engine needs. They take turns at a lock that nobody else takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::desk::{Desk, Turn};
use crate::access_log::backlog::Backlog;
use crate::background::{self, Place};

/// The second thread comes when one in so many places of the queue is taken: some tens of milliseconds of a full load.
const TOO_MUCH: usize = 32;
/// It leaves when no more than one in so many is.
const ENOUGH: usize = 2 * TOO_MUCH;
/// It also comes when something has waited for so long without a look at anything: whoever attacks is to be listed within 200 ms. Then it leaves
/// when nothing waits.
const TOO_LONG: Duration = Duration::from_millis(30);

/// Since when nothing that waits has been looked at.
#[derive(Debug)]
pub(super) struct Standstill {
    started: Instant,
    /// Microseconds after the start.
    since: AtomicU64,
}

/// Wakes the second thread.
#[derive(Debug)]
pub(super) struct Helper {
    thread: Thread,
    standstill: Arc<Standstill>,
}

impl Standstill {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            since: AtomicU64::new(0),
        }
    }

    /// Something was looked at, or begins to wait.
    pub(super) fn begins(&self, at: Instant) {
        let since = at.saturating_duration_since(self.started).as_micros();
        self.since
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_too_long(&self, at: Instant) -> bool {
        let since = Duration::from_micros(self.since.load(Ordering::Relaxed));
        at.saturating_duration_since(self.started)
            .saturating_sub(since)
            > TOO_LONG
    }
}

impl Helper {
    /// Lets it see to what waits, if that is too much or waits for too long. `was_empty`: nothing waited before what is handed over at `at`.
    pub(super) fn called_for(&self, backlog: &Backlog, was_empty: bool, at: Instant) {
        if was_empty {
            self.standstill.begins(at);
        }
        if backlog.holds_one_in(TOO_MUCH) || self.standstill.is_too_long(at) {
            self.thread.unpark();
        }
    }
}

/// Starts both. The first ends when the desk is told to close, the second when it is told that the first has.
///
/// # Errors
/// When the system has no threads to give.
pub(super) fn start(
    desk: Desk,
    backlog: Arc<Backlog>,
    standstill: Arc<Standstill>,
) -> std::io::Result<([JoinHandle<()>; 2], Helper)> {
    let desk = Arc::new(Mutex::new(desk));
    let (shared, moves) = (Arc::downgrade(&desk), Arc::clone(&standstill));
    let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let helper = named("engine-help").spawn(move || {
        background::stand_back(Place::Behind);
        help(&shared, &backlog, &moves);
    })?;
    let handle = Helper {
        thread: helper.thread().clone(),
        standstill,
    };
    let first = named("engine").spawn(move || {
        background::stand_back(Place::Last);
        work(&desk);
    })?;
    Ok(([first, helper], handle))
}

/// Ends too when the other has broken off in the middle of a look: the engine is in no known state then.
fn work(desk: &Mutex<Desk>) {
    while let Ok(mut at_work) = desk.lock() {
        match at_work.turn() {
            Turn::Worked => {
                drop(at_work);
                // Its share may have grown while it got no turn: without this it would keep an answer waiting for a tick of the scheduler's clock.
                std::thread::yield_now();
            }
            Turn::Idle => {
                let more = at_work.wait();
                drop(at_work);
                std::thread::sleep(more);
            }
            Turn::Closed => return at_work.close(),
        }
    }
}

fn help(desk: &Weak<Mutex<Desk>>, backlog: &Backlog, standstill: &Standstill) {
    loop {
        std::thread::park();
        let all = standstill.is_too_long(Instant::now());
        let Some(desk) = desk.upgrade() else { return };
        let Ok(mut at_work) = desk.lock() else { return };
        while (all || backlog.holds_one_in(ENOUGH)) && at_work.turn() == Turn::Worked {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::{Duration, Instant};

    use ase_core::address::ClientAddress;
    use ase_engine::{Engine, Settings};

    use super::super::memory::{self, Pace};
    use super::super::{Message, Observed, Tallies, recorder};
    use super::*;
    use crate::state::{SharedState, State};

    /// Places of the queue.
    const QUEUE: usize = 64 * TOO_MUCH;

    /// A desk, the way to it, and what waits there.
    struct Office {
        desk: Arc<Mutex<Desk>>,
        queue: Sender<Message>,
        backlog: Arc<Backlog>,
        standstill: Arc<Standstill>,
        _folder: tempfile::TempDir,
    }

    impl Office {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = SharedState::new(State::open(folder.path()).unwrap());
            let tallies = Arc::<Tallies>::default();
            let (_, shelf) = memory::open(state, Arc::clone(&tallies));
            let backlog = Arc::new(Backlog::new(QUEUE, usize::MAX));
            let (queue, messages) = channel();
            let standstill = Arc::new(Standstill::new());
            let desk = Desk::new(
                Engine::new(Settings::default(), 7),
                (tallies, Arc::clone(&backlog)),
                recorder::channel().0,
                (shelf, Pace::every(Duration::from_secs(3600))),
                (messages, Arc::clone(&standstill)),
            );
            Self {
                desk: Arc::new(Mutex::new(desk)),
                queue,
                backlog,
                standstill,
                _folder: folder,
            }
        }

        fn hand_over(&self, count: usize) {
            for _ in 0..count {
                let client = ClientAddress::parse("192.0.2.1").unwrap();
                let exchange = Box::new(Observed::usual(client));
                self.backlog.enter(1, exchange.bytes()).unwrap();
                let message = Message::Exchange(exchange, Instant::now());
                self.queue.send(message).unwrap();
            }
        }

        fn waiting(&self) -> usize {
            self.backlog.waiting().0
        }
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::yield_now();
        }
    }

    /// A second thread at a desk whose first one gets no turn.
    fn second(office: &Office) -> (JoinHandle<()>, Helper) {
        let (shared, backlog) = (Arc::downgrade(&office.desk), Arc::clone(&office.backlog));
        let moves = Arc::clone(&office.standstill);
        let second = std::thread::spawn(move || help(&shared, &backlog, &moves));
        let helper = Helper {
            thread: second.thread().clone(),
            standstill: Arc::clone(&office.standstill),
        };
        (second, helper)
    }

    #[test]
    fn when_the_first_thread_gets_no_turn_the_second_works_until_little_waits_and_ends_with_the_desk()
     {
        let office = Office::open();
        let (second, helper) = second(&office);
        office.hand_over(QUEUE);
        helper.called_for(&office.backlog, true, Instant::now());
        wait_until("too much waits", || office.waiting() <= QUEUE / ENOUGH);
        drop(office);
        wait_until("the second does not end", || {
            second.thread().unpark();
            second.is_finished()
        });
    }

    #[test]
    fn the_second_also_looks_at_the_few_exchanges_that_nobody_has_looked_at_for_long() {
        let office = Office::open();
        let (_second, helper) = second(&office);
        office.hand_over(3);
        let now = Instant::now();
        helper.called_for(&office.backlog, true, now);
        let margin = Duration::from_millis(1);
        assert!(!office.standstill.is_too_long(now + TOO_LONG - margin));
        let late = now + TOO_LONG + margin;
        assert!(office.standstill.is_too_long(late));
        wait_until("three wait", || {
            helper.called_for(&office.backlog, false, late);
            office.waiting() == 0
        });
    }
}
