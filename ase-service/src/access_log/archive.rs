//! What becomes of rotated files: one thread compresses them and removes those that are too old or too many.
//!
//! It works through whatever it finds in the folder, so a file that a stop or a crash left uncompressed is taken up by the next
//! start. A file is removed only after its compressed copy is on the disk.

use std::fs::{File, FileTimes};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use flate2::write::GzEncoder;

use super::complaint::Complaint;
use super::rotation::{COMPRESSED, Compression, PART, Rotation, rotated, with_end};
use crate::background;
use crate::counters::{Counter, Counters};

/// Between two rounds when nothing is rotated: files grow too old by themselves.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// Bytes that are compressed at a time.
const CHUNK: usize = 64 * 1024;

/// The thread.
#[derive(Debug)]
pub(super) struct Archive {
    wake: Option<SyncSender<()>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Archive {
    /// Starts with a first round.
    pub(super) fn start(
        path: &Path,
        rotation: &Rotation,
        counters: &Arc<Counters>,
    ) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut rounds = Rounds {
            path: path.to_path_buf(),
            rotation: rotation.clone(),
            counters: Arc::clone(counters),
            stop: Arc::clone(&stop),
            complaint: Complaint::default(),
        };
        let thread = std::thread::Builder::new().name("log-archive".to_owned());
        let thread = thread.spawn(move || {
            background::stand_back();
            rounds.run(&woken);
        })?;
        Ok(Self {
            wake: Some(wake),
            stop,
            thread: Some(thread),
        })
    }

    /// There is a rotated file more.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _due_anyway = wake.try_send(());
        }
    }
}

impl Drop for Archive {
    /// Breaks off what is being compressed; the next start takes it up.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that archives access logs broke off");
        }
    }
}

struct Rounds {
    path: PathBuf,
    rotation: Rotation,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    complaint: Complaint,
}

impl Rounds {
    fn run(&mut self, woken: &Receiver<()>) {
        loop {
            if let Err(error) = self.round() {
                self.failed(&error);
            }
            match woken.recv_timeout(ROUND_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Removal comes first too: it may be what makes room for a compressed copy.
    fn round(&mut self) -> io::Result<()> {
        self.remove_superfluous()?;
        let ends = |file: &Path, end| file.to_string_lossy().ends_with(end);
        let (parts, files): (Vec<PathBuf>, Vec<PathBuf>) = rotated(&self.path)?
            .into_iter()
            .partition(|file| ends(file, PART));
        for part in parts {
            std::fs::remove_file(part)?;
        }
        for file in files {
            if self.rotation.compression == Compression::None || ends(&file, COMPRESSED) {
                continue;
            }
            match compress(&file, &self.stop) {
                Ok(Done::Compressed) => {}
                Ok(Done::Stopped) => return Ok(()),
                Err(error) => self.failed(&error),
            }
        }
        self.remove_superfluous()
    }

    fn remove_superfluous(&self) -> io::Result<()> {
        let now = SystemTime::now();
        let mut kept = 0_u64;
        for file in rotated(&self.path)?.iter().rev() {
            let data = std::fs::metadata(file)?;
            kept = kept.saturating_add(data.len());
            // A file from the future is young.
            let age = now.duration_since(data.modified()?).unwrap_or_default();
            let too_old = self.rotation.keep_for.is_some_and(|most| age > most);
            let too_much = self.rotation.keep_bytes.is_some_and(|most| kept > most);
            if too_old || too_much {
                std::fs::remove_file(file)?;
                self.counters.count(Counter::LogFilesRemoved);
                tracing::info!(file = %file.display(), "a rotated access log was removed");
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        self.counters.count(Counter::LogArchiveFailures);
        let what = "rotated access logs cannot be archived";
        self.complaint.about(&self.path, what, error);
    }
}

enum Done {
    Compressed,
    Stopped,
}

/// Puts a compressed copy in place of a file; it keeps its permissions and the time of the last line.
fn compress(path: &Path, stop: &AtomicBool) -> io::Result<Done> {
    let part = with_end(path, PART);
    let mut from = File::open(path)?;
    let copy = File::create(&part)?;
    copy.set_permissions(from.metadata()?.permissions())?;
    let mut to = GzEncoder::new(copy, flate2::Compression::default());
    let mut chunk = vec![0; CHUNK];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Done::Stopped);
        }
        let length = from.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        to.write_all(chunk.get(..length).unwrap_or_default())?;
    }
    let copy = to.finish()?;
    let modified = from.metadata()?.modified()?;
    copy.set_times(FileTimes::new().set_modified(modified))?;
    copy.sync_all()?;
    std::fs::rename(&part, with_end(path, COMPRESSED))?;
    std::fs::remove_file(path)?;
    Ok(Done::Compressed)
}
