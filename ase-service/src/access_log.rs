//! The access log: one JSON line per exchange, written by one thread through a bounded queue.
//!
//! A request never waits for the disk. Whoever gets room in the queue is written, a stop included; whoever does not is told so
//! and counts it. A line that the disk refuses is counted and never left half-written. The writer also sees to rotation and hands
//! every line to the other outputs, none of which it waits for.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::counters::{Counter, Counters};
use crate::exchange::Line;
use crate::telemetry::exchanges::Exchanges;

mod archive;
mod complaint;
pub mod outputs;
pub mod rotation;
pub mod syslog;
mod writer;

use outputs::Outputs;
use rotation::Rotation;
use writer::Writer;

/// Where lines go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The file.
    pub path: PathBuf,
    /// Most lines that wait for the writer.
    pub queue: usize,
    /// When the file makes room for a new one, and what becomes of it then.
    pub rotation: Rotation,
    /// Where else they go.
    pub outputs: Outputs,
}

/// The queue to the writer.
#[derive(Debug)]
pub struct AccessLog {
    queue: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    exchanges: Exchanges,
}

/// No room in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// At the moment.
    #[error("the access log's queue is full")]
    Full,
    /// Ever: it is more than the whole queue.
    #[error("more lines than the access log's queue holds")]
    Never,
}

/// Room in the queue for lines to come.
#[derive(Debug)]
pub struct Room<'q> {
    permits: mpsc::PermitIterator<'q, Message>,
    exchanges: &'q Exchanges,
}

#[derive(Debug)]
enum Message {
    Line(Line),
    Written(oneshot::Sender<()>),
    Reopen,
    Close,
}

impl AccessLog {
    /// Opens or creates the file for appending and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or a thread cannot be started.
    pub fn open(destination: Destination, counters: Arc<Counters>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(destination.queue);
        let writer = Writer::open(destination, &counters)?;
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let thread = thread.spawn(move || writer.run(receiver))?;
        Ok(Self {
            queue: sender,
            writer: Mutex::new(Some(thread)),
            counters,
            exchanges: Exchanges::default(),
        })
    }

    /// Hands a line over; drops and counts it when the queue is full.
    pub fn log(&self, line: Line) {
        let kind = line.kind();
        match self.queue.try_send(Message::Line(line)) {
            Ok(()) => self.exchanges.count(kind),
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.counters.count(Counter::LogLinesDropped);
            }
        }
    }

    /// Room for exactly `lines` lines, all or none.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&self, lines: usize) -> Result<Room<'_>, NoRoom> {
        if lines > self.queue.max_capacity() {
            return Err(NoRoom::Never);
        }
        let permits = self.queue.try_reserve_many(lines);
        let room = |permits| Room {
            permits,
            exchanges: &self.exchanges,
        };
        permits.map(room).map_err(|_| NoRoom::Full)
    }

    /// The exchanges whose lines were taken, counted by what the gateway did and how they ended.
    #[must_use]
    pub fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// Lines that wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.capacity().saturating_sub(self.free())
    }

    /// Most lines that may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.max_capacity()
    }

    /// Lines that there is room for at the moment.
    #[must_use]
    pub fn free(&self) -> usize {
        self.queue.capacity()
    }

    /// Waits until every line that was handed over before has been given to the disk, or refused by it and counted.
    pub async fn written(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.queue.send(Message::Written(sender)).await.is_ok() {
            // An error means that the writer broke off, which the stop reports.
            drop(receiver.await);
        }
    }

    /// Opens the file again under its name, after a rotation by someone else. Waits for room in the queue.
    pub async fn reopen(&self) {
        if self.queue.send(Message::Reopen).await.is_err() {
            tracing::warn!("the access log is closed and cannot be reopened");
        }
    }

    /// Writes everything that was taken, and ends the writer. Later lines are dropped and counted.
    pub async fn close(&self) {
        let asked = self.queue.send(Message::Close).await;
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if asked.is_err() {
            tracing::warn!("the access log's writer had ended before");
        }
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(|| writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the access log's writer broke off");
            }
        }
    }
}

impl Room<'_> {
    /// Hands one line over; the number of lines is the one that was reserved.
    pub fn log(&mut self, line: Line) {
        if let Some(permit) = self.permits.next() {
            self.exchanges.count(line.kind());
            permit.send(Message::Line(line));
        }
    }
}
