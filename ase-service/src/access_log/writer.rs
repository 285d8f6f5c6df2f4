//! The thread that writes: as many lines as wait go to the disk in one write, which a rotation never splits.
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
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::archive::Archive;
use super::complaint::Complaint;
use super::outputs::Feeds;
use super::rotation::{Rotation, append_to, rotate};
use super::{Destination, Message};
use crate::clock;
use crate::counters::{Counter, Counters};

/// Most lines that go to the disk in one write.
const LINES_PER_WRITE: usize = 1024;
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
    buffer: Vec<u8>,
    lines: u64,
    waiting: Vec<oneshot::Sender<()>>,
    trouble: Trouble,
    rotation_refused: Option<Instant>,
    complaint: Complaint,
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
    pub(super) fn open(destination: Destination, counters: &Arc<Counters>) -> io::Result<Self> {
        let Destination {
            path,
            queue: _,
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
            buffer: Vec::new(),
            lines: 0,
            waiting: Vec::new(),
            trouble: Trouble::None,
            rotation_refused: None,
            complaint: Complaint::default(),
        };
        writer.adopt(file)?;
        Ok(writer)
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        loop {
            match next(&mut queue) {
                Next::Message(message) => self.take_waiting(message, &mut queue),
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

    fn take_waiting(&mut self, first: Message, queue: &mut mpsc::Receiver<Message>) {
        self.take(first, queue);
        for _ in 1..LINES_PER_WRITE {
            match queue.try_recv() {
                Ok(message) => self.take(message, queue),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
    }

    fn take(&mut self, message: Message, queue: &mut mpsc::Receiver<Message>) {
        match message {
            Message::Line(line) => {
                self.buffer.extend_from_slice(line.as_bytes());
                self.lines = self.lines.saturating_add(1);
                self.feeds.offer(&line);
            }
            Message::Written(waiting) => self.waiting.push(waiting),
            Message::Reopen => {
                self.write();
                self.reopen();
            }
            Message::Close => queue.close(),
        }
    }

    fn write(&mut self) {
        self.rotate_when_due();
        if !self.buffer.is_empty() {
            let before = self.file.metadata().map_or(0, |data| data.len());
            if before == 0 {
                self.begun = clock::now();
            }
            match self.file.write_all(&self.buffer) {
                Ok(()) => {
                    self.counters.add(Counter::LogLinesWritten, self.lines);
                    self.trouble = Trouble::None;
                }
                Err(error) => self.refused(before, &error),
            }
            self.buffer.clear();
            self.lines = 0;
        }
        for waiting in self.waiting.drain(..) {
            // Whoever waited may have left.
            let _left = waiting.send(());
        }
    }

    /// Whole lines that the disk took stay; a part of one goes.
    fn refused(&mut self, before: u64, error: &io::Error) {
        let taken = self.file.metadata().map_or(0, |data| data.len());
        let taken = usize::try_from(taken.saturating_sub(before)).unwrap_or(0);
        let taken = self.buffer.get(..taken).unwrap_or_default();
        let whole = taken.iter().rposition(|byte| *byte == b'\n');
        let whole = taken
            .get(..whole.map_or(0, |at| at + 1))
            .unwrap_or_default();
        let lines = whole.iter().filter(|byte| **byte == b'\n').count();
        let lines = u64::try_from(lines).unwrap_or(u64::MAX).min(self.lines);
        let length = before.saturating_add(u64::try_from(whole.len()).unwrap_or(0));
        self.counters.add(Counter::LogLinesWritten, lines);
        let failed = self.lines.saturating_sub(lines);
        self.counters.add(Counter::LogLinesFailed, failed);
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
        let what = "the access log cannot be written: lines are lost, verdicts go on";
        self.complaint.about(&self.path, what, error);
    }
}

/// The next message, or nothing for a while. The channel itself can only wait without end from a thread.
fn next(queue: &mut mpsc::Receiver<Message>) -> Next {
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
