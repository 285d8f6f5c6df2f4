//! Reads from the end of the access log which records it holds, so that a start knows what was logged shortly before.
//!
//! Bounded in bytes, and never a reason not to start: what cannot be read is not recalled.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::rotation::{COMPRESSED, PART, rotated};

/// Most that is read of a file, from its end; some 90,000 records.
const TAIL_BYTES: u64 = 64 * 1024 * 1024;
/// Most that is read of a compressed file, which has no end to begin at.
const UNPACKED_BYTES: u64 = 512 * 1024 * 1024;
/// Rotated files older than this hold nothing that a gateway still sends: it gives a batch up long before.
const LATELY: Duration = Duration::from_secs(600);
/// Longest line that is read; the log writes none as long.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// What makes a line of the log a record.
#[derive(Deserialize)]
struct Logged<'l> {
    #[serde(borrow)]
    id: Cow<'l, str>,
    #[serde(borrow)]
    gateway: Cow<'l, str>,
    #[serde(borrow)]
    mode: Cow<'l, str>,
}

/// Calls `found` with gateway and id of the records at the end of the log, the latest last. Blocks on the disk.
pub fn records(path: &Path, mut found: impl FnMut(&str, &str)) {
    let mut files = lately_rotated(path);
    files.push(path.to_path_buf());
    for file in files {
        if let Err(error) = records_of(&file, &mut found)
            && error.kind() != io::ErrorKind::NotFound
        {
            let file = file.display();
            tracing::warn!(%file, %error, "what this access log holds is not known: a batch that comes again may be logged again");
        }
    }
}

fn lately_rotated(path: &Path) -> Vec<std::path::PathBuf> {
    let now = SystemTime::now();
    let late = |file: &Path| {
        let modified = std::fs::metadata(file).and_then(|data| data.modified());
        // A file from the future is young.
        modified.is_ok_and(|at| now.duration_since(at).unwrap_or_default() <= LATELY)
    };
    let mut files = rotated(path).unwrap_or_default();
    files.retain(|file| !file.to_string_lossy().ends_with(PART) && late(file));
    files
}

fn records_of(path: &Path, found: &mut impl FnMut(&str, &str)) -> io::Result<()> {
    let mut file = File::open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        // A pipe or a device has no end to read from.
        return Ok(());
    }
    if path.to_string_lossy().ends_with(COMPRESSED) {
        return read(GzDecoder::new(file).take(UNPACKED_BYTES), found);
    }
    if let Some(start) = data.len().checked_sub(TAIL_BYTES) {
        // The line that is begun in the middle is no JSON.
        file.seek(SeekFrom::Start(start))?;
    }
    read(file.take(TAIL_BYTES), found)
}

fn read(text: impl Read, found: &mut impl FnMut(&str, &str)) -> io::Result<()> {
    let mut text = BufReader::with_capacity(256 * 1024, text);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut text)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        // What a crash cut off has no newline and is no record, and a gateway gets no second answer for half of one.
        if let Ok(Logged { id, gateway, mode }) = serde_json::from_slice(&line)
            && mode != "sideband"
        {
            found(&gateway, &id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn recalled(path: &Path) -> Vec<String> {
        let mut all = Vec::new();
        records(path, |gateway, id| all.push(format!("{gateway}/{id}")));
        all
    }

    fn line(id: &str, mode: &str) -> String {
        format!(
            "{{\"time\":\"t\",\"id\":\"{id}\",\"gateway\":\"g\",\"mode\":\"{mode}\",\"x\":[1]}}\n"
        )
    }

    #[test]
    fn whole_records_are_recalled_and_neither_old_calls_nor_half_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        assert!(recalled(&path).is_empty());
        let text = [
            line("1", "sync"),
            line("2", "sideband"),
            line("3", "async"),
            line("4", "sync").replace("\"x\":[1]}\n", "\"x\":"),
        ];
        std::fs::write(&path, text.concat()).unwrap();
        assert_eq!(recalled(&path), ["g/1", "g/3"]);
    }

    #[test]
    fn a_file_that_was_rotated_lately_is_read_too_compressed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let old = |stamp: &str| folder.path().join(format!("a.jsonl.{stamp}"));
        let gone = old("2026-01-02T03-04-05.005Z");
        std::fs::write(&gone, line("0", "sync")).unwrap();
        let long_ago = SystemTime::now() - 2 * LATELY;
        let file = File::options().append(true).open(&gone).unwrap();
        file.set_modified(long_ago).unwrap();
        let packed = File::create(old("2026-01-02T03-04-05.006Z.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(line("1", "sync").as_bytes()).unwrap();
        packed.finish().unwrap();
        std::fs::write(old("2026-01-02T03-04-05.007Z"), line("2", "sync")).unwrap();
        std::fs::write(&path, line("3", "sync")).unwrap();
        assert_eq!(recalled(&path), ["g/1", "g/2", "g/3"]);
    }
}
