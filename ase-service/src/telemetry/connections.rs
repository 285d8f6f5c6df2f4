//! How many connections to the data port are open, by the listener that accepted them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A listener of the data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Plain HTTP.
    Plain,
    /// HTTP over TLS.
    Tls,
    /// The Unix socket.
    Unix,
}

/// The counts.
#[derive(Debug, Default)]
pub struct Connections {
    plain: AtomicUsize,
    tls: AtomicUsize,
    unix: AtomicUsize,
}

impl Listener {
    const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::Unix];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Unix => "unix",
        }
    }
}

impl Connections {
    /// There is one more; [`Self::closed`] must follow.
    pub fn opened(&self, by: Listener) {
        self.of(by).fetch_add(1, Ordering::Relaxed);
    }

    /// There is one less.
    pub fn closed(&self, by: Listener) {
        self.of(by).fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are open, by the name of their listener.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, usize)> {
        Listener::ALL
            .into_iter()
            .map(|by| (by.as_str(), self.of(by).load(Ordering::Relaxed)))
    }

    fn of(&self, by: Listener) -> &AtomicUsize {
        match by {
            Listener::Plain => &self.plain,
            Listener::Tls => &self.tls,
            Listener::Unix => &self.unix,
        }
    }
}
