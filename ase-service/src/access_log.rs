//! The access log: one JSON line per exchange, written by one thread through a bounded queue.
//!
//! A request never waits for the disk. Whoever gets room in the queue is written, a stop included; whoever does not is told so
//! and counts it. A line that the disk refuses is counted and never left half-written; the lines of a batch are on the disk
//! together or not at all. The writer also sees to rotation and hands every line to the other outputs, none of which it waits for.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::mpsc;

use crate::counters::{Counter, Counters};
use crate::exchange::Line;
use crate::telemetry::exchanges::Exchanges;

mod archive;
pub(crate) mod backlog;
mod complaint;
pub mod outputs;
pub mod recall;
pub mod rotation;
pub mod syslog;
mod writer;

pub use backlog::Bound;

use backlog::Backlog;
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
    /// Most bytes that they have together.
    pub queue_bytes: usize,
    /// When the file makes room for a new one, and what becomes of it then.
    pub rotation: Rotation,
    /// Where else they go.
    pub outputs: Outputs,
}

/// The queue to the writer. Its length is bounded by what may wait, not by the channel.
#[derive(Debug)]
pub struct AccessLog {
    queue: mpsc::UnboundedSender<Message>,
    backlog: Arc<Backlog>,
    writer: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    exchanges: Exchanges,
}

/// No room in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// At the moment.
    #[error("the access log's queue is full")]
    Full(Bound),
    /// Ever: it is more than the whole queue.
    #[error("more than the access log's queue holds")]
    Never,
}

/// Room in the queue for the lines of one batch.
#[derive(Debug)]
pub struct Room<'q> {
    log: &'q AccessLog,
    lines: usize,
    bytes: usize,
}

/// A line of a batch.
#[derive(Debug)]
pub struct Entry {
    /// The line.
    pub line: Line,
    /// Whether it came before.
    pub coming: Coming,
}

/// Whether a line of a batch was handed over before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// It was not.
    First,
    /// It was, and the disk refused it: it has been counted, and the other outputs have it.
    Again,
}

/// What became of the lines of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The disk has them.
    Whole,
    /// The disk has none of them.
    Nothing,
}

/// Told what became of a batch, on the writer's thread: must not wait.
type Settle = Box<dyn FnOnce(Kept) + Send>;

enum Message {
    Line(Line),
    Batch(Vec<Entry>, Settle),
    Reopen,
    Close,
}

impl AccessLog {
    /// Opens or creates the file for appending and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or a thread cannot be started.
    pub fn open(destination: Destination, counters: Arc<Counters>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let backlog = Backlog::new(destination.queue, destination.queue_bytes);
        let backlog = Arc::new(backlog);
        let writer = Writer::open(destination, (&counters, Arc::clone(&backlog)))?;
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        let thread = thread.spawn(move || writer.run(receiver))?;
        Ok(Self {
            queue: sender,
            backlog,
            writer: Mutex::new(Some(thread)),
            counters,
            exchanges: Exchanges::default(),
        })
    }

    /// Hands a line over; drops and counts it when the queue is full.
    pub fn log(&self, line: Line) {
        let (kind, bytes) = (line.kind(), line.as_bytes().len());
        match self.backlog.enter(1, bytes) {
            Ok(()) => match self.queue.send(Message::Line(line)) {
                Ok(()) => self.exchanges.count(kind),
                Err(_) => self.counters.count(Counter::LogLinesDropped),
            },
            Err(bound) => {
                self.counters.count(Counter::LogLinesDropped);
                match bound {
                    Bound::Lines => {}
                    Bound::Bytes => self.counters.count(Counter::LogLinesDroppedForBytes),
                }
            }
        }
    }

    /// Room for exactly `lines` lines of `bytes` bytes together, all or none.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&self, lines: usize, bytes: usize) -> Result<Room<'_>, NoRoom> {
        if !self.backlog.could_hold(lines, bytes) {
            return Err(NoRoom::Never);
        }
        self.backlog.enter(lines, bytes).map_err(NoRoom::Full)?;
        Ok(Room {
            log: self,
            lines,
            bytes,
        })
    }

    /// The exchanges whose lines were taken, counted by what the gateway did and how they ended.
    #[must_use]
    pub fn exchanges(&self) -> &Exchanges {
        &self.exchanges
    }

    /// Lines that wait for the writer, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.backlog.waiting()
    }

    /// Most lines that may wait, and most bytes.
    #[must_use]
    pub fn capacity(&self) -> (usize, usize) {
        self.backlog.most()
    }

    /// Lines that there is room for at the moment.
    #[must_use]
    pub fn free(&self) -> usize {
        self.capacity().0.saturating_sub(self.waiting().0)
    }

    /// Opens the file again under its name, after a rotation by someone else.
    pub fn reopen(&self) {
        if self.queue.send(Message::Reopen).is_err() {
            tracing::warn!("the access log is closed and cannot be reopened");
        }
    }

    /// Writes everything that was taken, and ends the writer. Later lines are dropped and counted.
    pub async fn close(&self) {
        let asked = self.queue.send(Message::Close);
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
    /// Hands the batch over for which this room was made. `settle` is told on the writer's thread what became of it, in the order
    /// in which batches were handed over; never when the writer has ended.
    pub fn log(mut self, batch: Vec<Entry>, settle: impl FnOnce(Kept) + Send + 'static) {
        for Entry { line, coming } in &batch {
            match coming {
                Coming::First => self.log.exchanges.count(line.kind()),
                Coming::Again => {}
            }
        }
        let message = Message::Batch(batch, Box::new(settle));
        if self.log.queue.send(message).is_ok() {
            // The writer gives the room back.
            (self.lines, self.bytes) = (0, 0);
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.log.backlog.leave(self.lines, self.bytes);
    }
}
