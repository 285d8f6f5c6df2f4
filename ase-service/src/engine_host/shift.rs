//! Who works at the engine's desk: a thread that comes last, and a second one when too much waits.
//!
//! The first works in what the threads that answer gateways leave of the cores, so that an answer never waits for the engine. Under a load
//! that leaves nothing it would never get its turn, and attacks in a flood would go unseen: from a part of the queue on the second takes over,
//! whose share of a busy core is what the engine needs. They take turns at a lock that nobody else takes.

use std::sync::{Arc, Mutex, Weak};
use std::thread::{JoinHandle, Thread};

use super::desk::{Desk, Turn};
use crate::access_log::backlog::Backlog;
use crate::background::{self, Place};

/// The second thread comes when one in so many places of the queue is taken: some tens of milliseconds of a full load.
const TOO_MUCH: usize = 32;
/// It leaves when no more than one in so many is.
const ENOUGH: usize = 2 * TOO_MUCH;

/// Wakes the second thread.
#[derive(Debug)]
pub(super) struct Helper(Thread);

impl Helper {
    /// Lets it see to what waits, if that is too much.
    pub(super) fn called_for(&self, backlog: &Backlog) {
        if backlog.holds_one_in(TOO_MUCH) {
            self.0.unpark();
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
) -> std::io::Result<([JoinHandle<()>; 2], Helper)> {
    let desk = Arc::new(Mutex::new(desk));
    let shared = Arc::downgrade(&desk);
    let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let helper = named("engine-help").spawn(move || {
        background::stand_back(Place::Behind);
        help(&shared, &backlog);
    })?;
    let handle = Helper(helper.thread().clone());
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

fn help(desk: &Weak<Mutex<Desk>>, backlog: &Backlog) {
    loop {
        std::thread::park();
        let Some(desk) = desk.upgrade() else { return };
        let Ok(mut at_work) = desk.lock() else { return };
        while backlog.holds_one_in(ENOUGH) && at_work.turn() == Turn::Worked {}
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
            let desk = Desk::new(
                Engine::new(Settings::default(), 7),
                (tallies, Arc::clone(&backlog)),
                recorder::channel().0,
                (shelf, Pace::every(Duration::from_secs(3600))),
                messages,
            );
            Self {
                desk: Arc::new(Mutex::new(desk)),
                queue,
                backlog,
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

    #[test]
    fn when_the_first_thread_gets_no_turn_the_second_works_until_little_waits_and_ends_with_the_desk()
     {
        let office = Office::open();
        let (shared, backlog) = (Arc::downgrade(&office.desk), Arc::clone(&office.backlog));
        let second = std::thread::spawn(move || help(&shared, &backlog));
        let helper = Helper(second.thread().clone());
        office.hand_over(QUEUE);
        helper.called_for(&office.backlog);
        wait_until("too much waits", || office.waiting() <= QUEUE / ENOUGH);
        drop(office);
        wait_until("the second does not end", || {
            second.thread().unpark();
            second.is_finished()
        });
    }
}
