//! A recorded log, line by line: a file as it is or compressed with gzip, or standard input. Shows how far it is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ReplayError;

/// Longest line that is read, in bytes; the rest of a longer one is skipped.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
/// What a file begins with that is compressed (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// See the module's text.
pub(super) struct Log {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    /// Bytes of the file that were read, before they are unpacked.
    read: Arc<AtomicU64>,
    bar: ProgressBar,
}

/// Counts what goes through.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl Log {
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, ReplayError> {
        Self::opened(path).map_err(|error| unreadable(path, error))
    }

    fn opened(path: &Path) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let (bytes, inner): (Option<u64>, Box<dyn Read + Send>) =
            if path == Path::new(STANDARD_INPUT) {
                (None, Box::new(io::stdin()))
            } else {
                let file = File::open(path)?;
                (Some(file.metadata()?.len()), Box::new(file))
            };
        let counted = Counted {
            inner,
            read: Arc::clone(&read),
        };
        let mut plain = BufReader::new(counted);
        let lines: Box<dyn BufRead + Send> = if plain.fill_buf()?.starts_with(&GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self {
            path: path.to_path_buf(),
            lines,
            read,
            bar: progress(bytes),
        })
    }

    /// Reads the next line, of at most [`MAX_LINE_BYTES`], into `line`; false at the end.
    ///
    /// # Errors
    /// When the rest cannot be read.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, ReplayError> {
        line.clear();
        let found = next_line(&mut *self.lines, line);
        let found = found.map_err(|error| unreadable(&self.path, error))?;
        self.bar.set_position(self.read.load(Ordering::Relaxed));
        if !found {
            self.bar.finish_and_clear();
        }
        Ok(found)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.read.fetch_add(count, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn unreadable(path: &Path, error: io::Error) -> ReplayError {
    ReplayError::Unreadable {
        path: path.to_path_buf(),
        error,
    }
}

fn next_line(lines: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut is_first = true;
    let mut part = Vec::new();
    loop {
        part.clear();
        let bytes = lines.take(MAX_LINE_BYTES).read_until(b'\n', &mut part)?;
        let is_end = bytes == 0 || part.ends_with(b"\n");
        if is_first {
            std::mem::swap(line, &mut part);
        }
        if is_end {
            return Ok(!is_first || bytes > 0);
        }
        is_first = false;
    }
}

/// A bar over the bytes of the file, or a count where nobody knows how many there are; nothing where nobody looks.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
    let template = match bytes {
        Some(_) => "{bar:40} {percent:>3} %  {elapsed} elapsed, {eta} to go",
        None => "{bytes} read, {elapsed} elapsed",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines_of(content: &[u8]) -> Vec<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let mut log = Log::open(file.path()).unwrap();
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        while log.next(&mut line).unwrap() {
            lines.push(line.clone());
        }
        lines
    }

    #[test]
    fn a_compressed_log_has_the_lines_of_the_plain_one() {
        let plain = b"one\n\nthree";
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(plain).unwrap();
        let lines = lines_of(plain);
        assert_eq!(lines, [&b"one\n"[..], b"\n", b"three"]);
        assert_eq!(lines_of(&packed.finish().unwrap()), lines);
        assert_eq!(lines_of(b""), [] as [Vec<u8>; 0]);
    }

    #[test]
    fn the_rest_of_a_very_long_line_is_skipped() {
        let mut log = vec![b'x'; 3 * 1024 * 1024];
        log.extend_from_slice(b"\nnext\n");
        let lines = lines_of(&log);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].len(), &*lines[1]), (1024 * 1024, &b"next\n"[..]));
    }
}
