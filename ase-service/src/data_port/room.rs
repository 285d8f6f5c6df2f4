//! How many connections are open and how many calls are under way, over all listeners, and whether there is room for one more.
//!
//! Whoever has room gives it back by dropping it; nothing else ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The counts and their bounds.
#[derive(Debug)]
pub(super) struct Room {
    connections: Bounded,
    calls: Bounded,
    /// Connections that are told that there is no room.
    leaving: Bounded,
    /// Told when the last connection has ended.
    empty: Notify,
}

#[derive(Debug)]
struct Bounded {
    now: AtomicUsize,
    most: usize,
}

/// Room for one connection.
pub(super) struct ConnectionRoom(Arc<Room>);

/// Room for telling one client that there is none.
pub(super) struct LeavingRoom(Arc<Room>);

/// Room for one call.
pub(super) struct CallRoom<'a>(&'a Bounded);

impl Room {
    pub(super) fn new(connections: usize, calls: usize, leaving: usize) -> Self {
        let bounded = |most| Bounded {
            now: AtomicUsize::new(0),
            most,
        };
        Self {
            connections: bounded(connections),
            calls: bounded(calls),
            leaving: bounded(leaving),
            empty: Notify::new(),
        }
    }

    pub(super) fn for_connection(self: &Arc<Self>) -> Option<ConnectionRoom> {
        let enters = self.connections.enter();
        enters.then(|| ConnectionRoom(Arc::clone(self)))
    }

    pub(super) fn for_leaving(self: &Arc<Self>) -> Option<LeavingRoom> {
        let enters = self.leaving.enter();
        enters.then(|| LeavingRoom(Arc::clone(self)))
    }

    pub(super) fn for_call(&self) -> Option<CallRoom<'_>> {
        self.calls.enter().then(|| CallRoom(&self.calls))
    }

    /// Waits until no connection is open.
    pub(super) async fn emptied(&self) {
        loop {
            let told = self.empty.notified();
            tokio::pin!(told);
            // Before the look, so that an end between look and wait is heard.
            told.as_mut().enable();
            if self.connections.now.load(Ordering::Acquire) == 0 {
                return;
            }
            told.await;
        }
    }
}

impl Bounded {
    fn enter(&self) -> bool {
        if self.now.fetch_add(1, Ordering::AcqRel) < self.most {
            return true;
        }
        self.leave();
        false
    }

    /// Whether this was the last.
    fn leave(&self) -> bool {
        self.now.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for ConnectionRoom {
    fn drop(&mut self) {
        if self.0.connections.leave() {
            self.0.empty.notify_waiters();
        }
    }
}

impl Drop for LeavingRoom {
    fn drop(&mut self) {
        self.0.leaving.leave();
    }
}

impl Drop for CallRoom<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_bounded_and_comes_back_when_dropped() {
        let room = Arc::new(Room::new(1, 2, 0));
        let connection = room.for_connection();
        assert!(connection.is_some() && room.for_connection().is_none());
        let calls = (room.for_call(), room.for_call());
        assert!(calls.1.is_some() && room.for_call().is_none());
        assert!(room.for_leaving().is_none());
        drop(calls);
        assert!(room.for_call().is_some());
        let waiter = Arc::clone(&room);
        let emptied = tokio::spawn(async move { waiter.emptied().await });
        tokio::task::yield_now().await;
        assert!(!emptied.is_finished());
        drop(connection);
        emptied.await.unwrap();
        assert!(room.for_connection().is_some());
    }
}
