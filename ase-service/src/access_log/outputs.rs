//! Where the lines of the access log go beside its file: standard output and a syslog server.
//!
//! Each has a thread and a bounded queue of its own. The writer never waits for one: what finds a queue full is dropped there and
//! counted, so that an output that is dead or slow costs nothing but its own lines.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::complaint::Complaint;
use super::syslog::{Sender, Server};
use crate::counters::{Counter, Counters};
use crate::exchange::Line;

/// How long a stop waits for an output to send what waits.
const LAST_LINES: Duration = Duration::from_secs(1);
/// After a refusal an output is left alone for this long.
const REST: Duration = Duration::from_secs(1);
/// How often a resting output looks whether it must stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The other outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// JSON lines on standard output.
    pub stdout: Stdout,
    /// A syslog server.
    pub syslog: Option<Server>,
    /// Most lines that wait for each.
    pub queue: usize,
}

/// Whether lines go to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdout {
    /// They do not.
    #[default]
    Off,
    /// They do.
    On,
}

/// The queues to the outputs.
pub(super) struct Feeds {
    feeds: Vec<Feed>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

struct Feed {
    queue: SyncSender<Arc<[u8]>>,
    dropped: Counter,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Feeds {
    pub(super) fn start(outputs: &Outputs, counters: &Arc<Counters>) -> io::Result<Self> {
        let mut feeds = Self {
            feeds: Vec::new(),
            counters: Arc::clone(counters),
            stop: Arc::new(AtomicBool::new(false)),
        };
        match outputs.stdout {
            Stdout::Off => {}
            Stdout::On => feeds.add(
                ("log-stdout", outputs.queue, Counter::StdoutLinesDropped),
                |line| io::stdout().lock().write_all(line),
            )?,
        }
        if let Some(server) = &outputs.syslog {
            let mut sender = Sender::new(server.clone());
            feeds.add(
                ("log-syslog", outputs.queue, Counter::SyslogLinesDropped),
                move |line| sender.send(line),
            )?;
        }
        Ok(feeds)
    }

    fn add(
        &mut self,
        (name, queue, dropped): (&'static str, usize, Counter),
        send: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (sender, lines) = sync_channel(queue.max(1));
        let (ending, ended) = sync_channel(1);
        let stop = Arc::clone(&self.stop);
        let counters = Arc::clone(&self.counters);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || {
            forward(&lines, send, &stop, || counters.count(dropped));
            drop(ending);
        })?;
        self.feeds.push(Feed {
            queue: sender,
            dropped,
            ended,
        });
        Ok(())
    }

    /// Hands a line to every output that has room.
    pub(super) fn offer(&self, line: &Line) {
        if self.feeds.is_empty() {
            return;
        }
        let line: Arc<[u8]> = Arc::from(line.as_bytes());
        for feed in &self.feeds {
            if feed.queue.try_send(Arc::clone(&line)).is_err() {
                self.counters.count(feed.dropped);
            }
        }
    }

    /// Gives every output a moment to send what waits.
    pub(super) fn finish(self) {
        let ended: Vec<Receiver<()>> = self.feeds.into_iter().map(|feed| feed.ended).collect();
        self.stop.store(true, Ordering::Relaxed);
        for ended in ended {
            if ended.recv_timeout(LAST_LINES) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("an output of the access log did not take its last lines in time");
            }
        }
    }
}

/// Sends line by line until the queue ends. A line that is refused is tried once more after a rest; from the stop on nothing rests.
fn forward(
    lines: &Receiver<Arc<[u8]>>,
    mut send: impl FnMut(&[u8]) -> io::Result<()>,
    stop: &AtomicBool,
    dropped: impl Fn(),
) {
    let mut complaint = Complaint::default();
    for line in lines {
        let mut sent = send(&line);
        if sent.is_err() && !stop.load(Ordering::Relaxed) {
            rest(stop);
            sent = send(&line);
        }
        if let Err(error) = sent {
            dropped();
            if complaint.is_due() {
                tracing::error!(%error, "an output of the access log takes no lines");
            }
        }
    }
}

fn rest(stop: &AtomicBool) {
    let mut left = REST;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
        left = left.saturating_sub(LOOK_EVERY);
    }
}
