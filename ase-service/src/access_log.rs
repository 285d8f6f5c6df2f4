//! The access log: one JSON line per exchange, written by one thread through a bounded queue.
//!
//! A request never waits for the disk. Whoever gets room in the queue is written, a stop included; whoever does not is told so
//! and counts it. A line that the disk refuses is counted and never left half-written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{mpsc, oneshot};

use crate::counters::{Counter, Counters};
use crate::exchange::Line;
use crate::telemetry::exchanges::Exchanges;

/// Most lines that go to the disk in one write.
const LINES_PER_WRITE: usize = 1024;

/// Between two reports of a disk that refuses lines.
const REPORT_PAUSE: Duration = Duration::from_secs(10);

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
    /// Opens or creates the file for appending and starts the writer. `queue` bounds the lines that wait.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be started.
    pub fn open(path: &Path, queue: usize, counters: Arc<Counters>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(queue);
        let writer = Writer {
            file: append_to(path)?,
            path: path.to_path_buf(),
            counters: Arc::clone(&counters),
            buffer: Vec::new(),
            lines: 0,
            waiting: Vec::new(),
            reported: None,
        };
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

struct Writer {
    file: File,
    path: PathBuf,
    counters: Arc<Counters>,
    buffer: Vec<u8>,
    lines: u64,
    waiting: Vec<oneshot::Sender<()>>,
    reported: Option<Instant>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.blocking_recv() {
            self.take(message, &mut queue);
            for _ in 1..LINES_PER_WRITE {
                match queue.try_recv() {
                    Ok(message) => self.take(message, &mut queue),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.write();
        }
        if let Err(error) = self.file.sync_all() {
            self.report(&error);
        }
    }

    fn take(&mut self, message: Message, queue: &mut mpsc::Receiver<Message>) {
        match message {
            Message::Line(line) => {
                self.buffer.extend_from_slice(line.as_bytes());
                self.lines = self.lines.saturating_add(1);
            }
            Message::Written(waiting) => self.waiting.push(waiting),
            Message::Reopen => {
                self.write();
                match append_to(&self.path) {
                    Ok(file) => self.file = file,
                    Err(error) => self.report(&error),
                }
            }
            Message::Close => queue.close(),
        }
    }

    fn write(&mut self) {
        let before = self.file.metadata().map(|data| data.len());
        match self.file.write_all(&self.buffer) {
            Ok(()) => self.counters.add(Counter::LogLinesWritten, self.lines),
            Err(error) => {
                self.counters.add(Counter::LogLinesFailed, self.lines);
                self.report(&error);
                if let Err(error) = before.and_then(|length| self.file.set_len(length)) {
                    self.report(&error);
                }
            }
        }
        self.buffer.clear();
        self.lines = 0;
        for waiting in self.waiting.drain(..) {
            // Whoever waited may have left.
            let _left = waiting.send(());
        }
    }

    fn report(&mut self, error: &io::Error) {
        let now = Instant::now();
        let due = self
            .reported
            .is_none_or(|last| now.duration_since(last) >= REPORT_PAUSE);
        if due {
            self.reported = Some(now);
            tracing::error!(path = %self.path.display(), %error, "the access log cannot be written");
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
