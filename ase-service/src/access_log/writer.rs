//! The thread that writes: as many lines as wait go to the disk in one write, which a rotation never splits. Of a write that the
//! disk cuts off, whole pieces stay: a single line, or a batch.
//!
//! While the disk refuses lines they are counted and thrown away, and the file is opened again from time to time: space that
//! returns, or a file system that is mounted anew, is used without a restart.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use ase_core::time::UnixMillis;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::archive::Archive;
use super::backlog::Backlog;
use super::complaint::Complaint;
use super::outputs::Feeds;
use super::rotation::{Rotation, append_to, rotate};
use super::{Coming, Destination, Entry, Kept, Message, Settle};
use crate::clock;
use crate::counters::{Counter, Counters};

/// Most messages that go to the disk in one write.
const MESSAGES_PER_WRITE: usize = 1024;
/// A write is no longer than this and one message.
const BYTES_PER_WRITE: usize = 1024 * 1024;
/// A buffer that one long batch made larger than this is not kept.
const KEPT_BUFFER_BYTES: usize = 4 * BYTES_PER_WRITE;
/// How long more lines are waited for when nobody waits for these: to wake the writer costs a caller as much as its whole line.
const GATHER: Duration = Duration::from_millis(4);
/// Between two looks at the clock while no lines come, and between two attempts at what the disk refused.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    file: File,
    path: PathBuf,
    rotation: Rotation,
    /// When the file's first line was written.
    begun: UnixMillis,
    /// None for a pipe or a device: it has no end to be cut at and no name to be moved to.
    archive: Option<Archive>,
    feeds: Feeds,
    counters: Arc<Counters>,
    backlog: Arc<Backlog>,
    buffer: Vec<u8>,
    /// What the buffer consists of, in its order.
    pieces: Vec<Piece>,
    trouble: Trouble,
    rotation_refused: Option<Instant>,
    complaint: Complaint,
}

/// What is written whole or not at all.
struct Piece {
    /// Where it ends in the buffer.
    end: usize,
    lines: u64,
    settle: Option<Settle>,
}

/// Whether the disk takes lines.
enum Trouble {
    None,
    /// It has refused some; the file was opened last at this time.
    Since(Instant),
}

enum Next {
    Message(Message),
    Idle,
    Closed,
}

impl Writer {
    pub(super) fn open(
        destination: Destination,
        (counters, backlog): (&Arc<Counters>, Arc<Backlog>),
    ) -> io::Result<Self> {
        let Destination {
            path,
            queue: _,
            queue_bytes: _,
            rotation,
            outputs,
        } = destination;
        let file = append_to(&path)?;
        let mut writer = Self {
            begun: clock::now(),
            file: file.try_clone()?,
            path,
            rotation,
            archive: None,
            feeds: Feeds::start(&outputs, counters)?,
            counters: Arc::clone(counters),
            backlog,
            buffer: Vec::new(),
            pieces: Vec::new(),
            trouble: Trouble::None,
            rotation_refused: None,
            complaint: Complaint::default(),
        };
        writer.adopt(file)?;
        Ok(writer)
    }

    pub(super) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Message>) {
        loop {
            match next(&mut queue) {
                Next::Message(message) => {
                    self.take(message, &mut queue);
                    self.take_waiting(&mut queue);
                    if self.pieces.iter().all(|piece| piece.settle.is_none()) {
                        std::thread::sleep(GATHER);
                        self.take_waiting(&mut queue);
                    }
                }
                Next::Idle => {}
                Next::Closed => break,
            }
            self.recover();
            self.write();
        }
        if let Err(error) = self.file.sync_all() {
            // A pipe or a device cannot be synced.
            if self.archive.is_some() {
                self.report(&error);
            }
        }
        self.feeds.finish();
    }

    fn take_waiting(&mut self, queue: &mut mpsc::UnboundedReceiver<Message>) {
        for _ in 1..MESSAGES_PER_WRITE {
            if self.buffer.len() >= BYTES_PER_WRITE {
                break;
            }
            match queue.try_recv() {
                Ok(message) => self.take(message, queue),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
    }

    fn take(&mut self, message: Message, queue: &mut mpsc::UnboundedReceiver<Message>) {
        match message {
            Message::Line(line) => {
                let coming = Coming::First;
                self.piece(std::iter::once(Entry { line, coming }), None);
            }
            Message::Batch(batch, settle) => self.piece(batch.into_iter(), Some(settle)),
            Message::Reopen => {
                self.write();
                self.reopen();
            }
            Message::Close => queue.close(),
        }
    }

    fn piece(&mut self, entries: impl Iterator<Item = Entry>, settle: Option<Settle>) {
        let start = self.buffer.len();
        let mut lines = 0_usize;
        for Entry { line, coming } in entries {
            self.buffer.extend_from_slice(line.as_bytes());
            lines = lines.saturating_add(1);
            match coming {
                Coming::First => self.feeds.offer(&line),
                Coming::Again => {}
            }
        }
        let end = self.buffer.len();
        self.backlog.leave(lines, end.saturating_sub(start));
        self.pieces.push(Piece {
            end,
            lines: u64::try_from(lines).unwrap_or(u64::MAX),
            settle,
        });
    }

    fn write(&mut self) {
        self.rotate_when_due();
        let mut kept = self.buffer.len();
        if kept > 0 {
            let before = self.file.metadata().map_or(0, |data| data.len());
            if before == 0 {
                self.begun = clock::now();
            }
            match self.file.write_all(&self.buffer) {
                Ok(()) => self.trouble = Trouble::None,
                Err(error) => kept = self.refused(before, &error),
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        for Piece { end, lines, settle } in self.pieces.drain(..) {
            let (counter, kept) = if end <= kept {
                (Counter::LogLinesWritten, Kept::Whole)
            } else {
                (Counter::LogLinesFailed, Kept::Nothing)
            };
            self.counters.add(counter, lines);
            if let Some(settle) = settle {
                settle(kept);
            }
        }
    }

    /// Whole pieces that the disk took stay, the others go. Returns how much of the buffer stays.
    fn refused(&mut self, before: u64, error: &io::Error) -> usize {
        let taken = self.file.metadata().map_or(0, |data| data.len());
        let taken = usize::try_from(taken.saturating_sub(before)).unwrap_or(0);
        let ends = self.pieces.iter().map(|piece| piece.end);
        let kept = ends.take_while(|end| *end <= taken).last().unwrap_or(0);
        let length = before.saturating_add(u64::try_from(kept).unwrap_or(0));
        self.trouble = match self.trouble {
            Trouble::None => Trouble::Since(Instant::now()),
            Trouble::Since(opened) => Trouble::Since(opened),
        };
        self.report(error);
        if self.archive.is_some()
            && let Err(error) = self.file.set_len(length)
        {
            self.report(&error);
        }
        kept
    }

    /// Opens the file again when the disk has refused lines a while ago.
    fn recover(&mut self) {
        if let Trouble::Since(last) = self.trouble
            && last.elapsed() >= LOOK_EVERY
        {
            self.trouble = Trouble::Since(Instant::now());
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = append_to(&self.path).and_then(|file| self.adopt(file)) {
            self.report(&error);
        }
    }

    /// Goes on in this file, which may hold lines of an earlier time.
    fn adopt(&mut self, file: File) -> io::Result<()> {
        let data = file.metadata()?;
        self.begun = data.modified().map_or_else(|_| clock::now(), clock::of);
        self.file = file;
        if !data.is_file() {
            self.archive = None;
        } else if self.archive.is_none() {
            let archive = Archive::start(&self.path, &self.rotation, &self.counters)?;
            self.archive = Some(archive);
        }
        Ok(())
    }

    fn rotate_when_due(&mut self) {
        let Some(archive) = &self.archive else {
            return;
        };
        if self
            .rotation_refused
            .is_some_and(|last| last.elapsed() < LOOK_EVERY)
        {
            return;
        }
        let length = self.file.metadata().map_or(0, |data| data.len());
        let more = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        let now = clock::now();
        if !self.rotation.is_due((length, more), self.begun, now) {
            return;
        }
        match rotate(&self.path, now) {
            Ok(file) => {
                self.file = file;
                self.begun = now;
                self.rotation_refused = None;
                self.counters.count(Counter::LogFilesRotated);
                archive.wake();
            }
            Err(error) => {
                self.rotation_refused = Some(Instant::now());
                self.counters.count(Counter::LogRotationsFailed);
                let what = "the access log cannot be rotated and grows on";
                self.complaint.about(&self.path, what, &error);
            }
        }
    }

    fn report(&mut self, error: &io::Error) {
        let what = "the access log cannot be written: single lines are lost, batches are sent away, verdicts go on";
        self.complaint.about(&self.path, what, error);
    }
}

/// The next message, or nothing for a while. The channel itself can only wait without end from a thread.
fn next(queue: &mut mpsc::UnboundedReceiver<Message>) -> Next {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now() + LOOK_EVERY;
    loop {
        let polled = {
            let receiving = pin!(queue.recv());
            receiving.poll(&mut context)
        };
        match polled {
            Poll::Ready(Some(message)) => return Next::Message(message),
            Poll::Ready(None) => return Next::Closed,
            Poll::Pending => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Next::Idle;
        }
        std::thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
