//! What becomes of rotated files: one thread compresses them and removes those that are too old or too many.
//!
//! It works through whatever it finds in the folder, so a file that a stop or a crash left uncompressed is taken up by the next
//! start. A file is removed only after its compressed copy is on the disk, or because there are too many.
//!
//! Nobody waits for it, so it takes only what others leave of the cores. Under a load that leaves little it compresses slowly; what is too
//! much is removed in time even so, at each rotation.

use std::fs::{File, FileTimes};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use flate2::write::GzEncoder;

use super::complaint::Complaint;
use super::rotation::{COMPRESSED, Compression, PART, Rotation, rotated, with_end};
use crate::background::{self, Place};
use crate::counters::{Counter, Counters};

/// Between two rounds when nothing is rotated: files grow too old by themselves.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// Bytes that are compressed at a time: a tenth of a millisecond or two, for which an answer may have to wait for this core.
const CHUNK: usize = 16 * 1024;
/// After each of them it rests for so many times as long as they took: a tenth of a core is enough for a file a minute.
const REST: u32 = 9;
/// But no longer than this.
const LONGEST_REST: Duration = Duration::from_millis(20);

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
            background::stand_back(Place::Last);
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
            if let Err(error) = self.round(woken) {
                self.failed(&error);
            }
            match woken.recv_timeout(ROUND_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Removal comes first too: it may be what makes room for a compressed copy.
    fn round(&mut self, woken: &Receiver<()>) -> io::Result<()> {
        self.remove_superfluous()?;
        for part in self.rotated_and(|end| end == End::Part)? {
            std::fs::remove_file(part)?;
        }
        let mut failed = Vec::new();
        while let Some(file) = self.next_but(&failed)? {
            match self.compress(&file, woken) {
                Ok(Done::Compressed | Done::Gone) => {}
                Ok(Done::Stopped) => return Ok(()),
                Err(error) => {
                    self.failed(&error);
                    failed.push(file);
                }
            }
            self.remove_superfluous()?;
        }
        Ok(())
    }

    /// The oldest file that is to be compressed, those aside with which it did not go well.
    fn next_but(&self, failed: &[PathBuf]) -> io::Result<Option<PathBuf>> {
        if self.rotation.compression == Compression::None {
            return Ok(None);
        }
        let mut files = self.rotated_and(|end| end == End::Plain)?.into_iter();
        Ok(files.find(|file| !failed.contains(file)))
    }

    fn rotated_and(&self, is_wanted: impl Fn(End) -> bool) -> io::Result<Vec<PathBuf>> {
        let mut files = rotated(&self.path)?;
        files.retain(|file| is_wanted(End::of(file)));
        Ok(files)
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

    /// Puts a compressed copy in place of a file; it keeps its permissions and the time of the last line.
    fn compress(&self, path: &Path, woken: &Receiver<()>) -> io::Result<Done> {
        let part = with_end(path, PART);
        let mut from = File::open(path)?;
        let copy = File::create(&part)?;
        copy.set_permissions(from.metadata()?.permissions())?;
        // The usual level makes copies a fifth smaller in twice the time.
        let mut to = GzEncoder::new(copy, flate2::Compression::fast());
        let mut chunk = vec![0; CHUNK];
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Done::Stopped);
            }
            if woken.try_recv().is_ok() {
                self.remove_superfluous()?;
            }
            let began = Instant::now();
            let length = from.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            to.write_all(chunk.get(..length).unwrap_or_default())?;
            let rest = began.elapsed().saturating_mul(REST);
            std::thread::sleep(rest.min(LONGEST_REST));
        }
        let copy = to.finish()?;
        if !path.exists() {
            return match std::fs::remove_file(part) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(Done::Gone),
            };
        }
        let modified = from.metadata()?.modified()?;
        copy.set_times(FileTimes::new().set_modified(modified))?;
        copy.sync_all()?;
        std::fs::rename(&part, with_end(path, COMPRESSED))?;
        std::fs::remove_file(path)?;
        Ok(Done::Compressed)
    }

    fn failed(&mut self, error: &io::Error) {
        self.counters.count(Counter::LogArchiveFailures);
        let what = "rotated access logs cannot be archived";
        self.complaint.about(&self.path, what, error);
    }
}

/// What becomes of a file that is to be compressed.
enum Done {
    Compressed,
    /// It was removed meanwhile: there was too much.
    Gone,
    Stopped,
}

/// What a rotated file is, by the end of its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Plain,
    Compressed,
    Part,
}

impl End {
    fn of(file: &Path) -> Self {
        let name = file.to_string_lossy();
        if name.ends_with(PART) {
            Self::Part
        } else if name.ends_with(COMPRESSED) {
            Self::Compressed
        } else {
            Self::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_removed_while_a_file_is_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let named = |day| with_end(&path, &format!(".2026-11-{day}T00-00-00.000Z"));
        let (old, young) = (named(21), named(22));
        for file in [&old, &young] {
            std::fs::write(file, vec![b'x'; 1000]).unwrap();
        }
        let rounds = Rounds {
            path,
            rotation: Rotation {
                keep_bytes: Some(1500),
                ..Rotation::default()
            },
            counters: Arc::default(),
            stop: Arc::default(),
            complaint: Complaint::default(),
        };
        let (wake, woken) = sync_channel(1);
        wake.send(()).unwrap();
        let done = rounds.compress(&old, &woken).unwrap();
        assert!(matches!(done, Done::Gone));
        assert_eq!(rotated(&rounds.path).unwrap(), [young]);
    }
}
