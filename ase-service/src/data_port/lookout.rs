//! Who looks at a connection from time to time, and what the connection is then told to do.
//!
//! A connection is polled for every call; what it is told is one relaxed load there. The looks, their timer and the stop of the
//! daemon belong to a task beside it, which wakes it when there is an order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::activity::{Activity, Look, Patience};

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// End when the calls under way are answered: the daemon stops.
    Shut,
    /// The same, for nothing has been asked for too long.
    CloseIdle,
    /// The rest of a header section does not come.
    GiveHeadUp,
    /// The rest of a body does not come.
    GiveBodyUp,
    /// It was asked to end and has not.
    Cut,
}

/// The orders on their way to a connection.
#[derive(Debug, Default)]
pub(super) struct Orders {
    given: AtomicBool,
    rest: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    orders: VecDeque<Order>,
    waker: Option<Waker>,
}

/// The task beside a connection.
#[derive(Debug)]
pub(super) struct Lookout {
    pub(super) activity: Arc<Activity>,
    pub(super) orders: Arc<Orders>,
    pub(super) patience: Patience,
    /// What is told when something came that is no call: on HTTP/2 frames come between calls too.
    pub(super) slow_head: SlowHead,
    /// How long a connection may take to end when it is asked to.
    pub(super) leave_within: Duration,
}

/// What a connection that stays in its head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlowHead {
    /// Given up.
    GivenUp,
    /// As idle as one that says nothing.
    Idle,
}

/// A task that ends with this value.
#[derive(Debug)]
pub(super) struct AbortOnDrop(pub(super) JoinHandle<()>);

impl Orders {
    /// Who is woken by the next order. `known` is who was told last, so that a poll by the same task takes no lock.
    pub(super) fn reach(&self, waker: &Waker, known: &mut Option<Waker>) {
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
            self.lock().waker = Some(waker.clone());
        }
    }

    /// The next order.
    pub(super) fn take(&self) -> Option<Order> {
        if !self.given.load(Ordering::Acquire) {
            return None;
        }
        let mut waiting = self.lock();
        let order = waiting.orders.pop_front();
        self.given
            .store(!waiting.orders.is_empty(), Ordering::Release);
        order
    }

    fn give(&self, order: Order) {
        let mut waiting = self.lock();
        waiting.orders.push_back(order);
        self.given.store(true, Ordering::Release);
        if let Some(waker) = &waiting.waker {
            waker.wake_by_ref();
        }
    }

    /// A panic while the lock was held leaves the queue whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lookout {
    /// Looks until it has told the connection to end at once, or is dropped with it.
    pub(super) async fn watch(mut self, mut stop: watch::Receiver<bool>) {
        let mut stopping = false;
        let mut leaving = None;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stopped| *stopped), if !stopping => {
                    stopping = true;
                    self.orders.give(Order::Shut);
                }
                () = tokio::time::sleep(self.patience.pause()) => {
                    let now = Instant::now();
                    match (leaving, self.patience.look(&self.activity, now)) {
                        (Some(since), _) if now.duration_since(since) >= self.leave_within => {
                            return self.orders.give(Order::Cut);
                        }
                        (None, Look::SlowHead) if self.slow_head == SlowHead::GivenUp => {
                            return self.orders.give(Order::GiveHeadUp);
                        }
                        (None, Look::SlowHead | Look::TooIdle) => {
                            leaving = Some(now);
                            self.orders.give(Order::CloseIdle);
                        }
                        (None, Look::SlowBody) => {
                            self.activity.give_body_up();
                            self.orders.give(Order::GiveBodyUp);
                        }
                        (_, Look::Wait | Look::SlowHead | Look::SlowBody | Look::TooIdle) => {}
                    }
                }
            }
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
