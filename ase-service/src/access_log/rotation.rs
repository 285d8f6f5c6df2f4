//! When the access log's file makes room for a new one, and how the old ones are called.
//!
//! A rotated file is `<name>.2026-11-22T01-02-03.004Z`, with `.gz` behind it once it is compressed, in the folder of the log: names
//! sort by time. Nothing else in that folder is ever touched.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ase_core::time::UnixMillis;

use crate::clock;

/// The end of the name of a compressed file.
pub(super) const COMPRESSED: &str = ".gz";
/// The end of the name of a file that is being compressed.
pub(super) const PART: &str = ".gz.part";

/// Who may read a log that ASE has made: its owner and its group.
const MODE: u32 = 0o640;

/// When files are rotated and how long they are kept; `None` means no such bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A write that would make the file larger goes into a new one.
    pub max_bytes: Option<u64>,
    /// At every multiple of this time since 1970 (UTC) a new file begins.
    pub every: Option<Duration>,
    /// What rotated files become.
    pub compression: Compression,
    /// How long rotated files are kept, from their last line on.
    pub keep_for: Option<Duration>,
    /// How large all rotated files may be together; the oldest go first.
    pub keep_bytes: Option<u64>,
}

/// What rotated files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// They stay as they are.
    None,
    /// gzip.
    Gzip,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_bytes: Some(256 * 1024 * 1024),
            every: Some(Duration::from_secs(86_400)),
            compression: Compression::Gzip,
            keep_for: Some(Duration::from_secs(30 * 86_400)),
            keep_bytes: Some(10 * 1024 * 1024 * 1024),
        }
    }
}

impl Rotation {
    /// Whether a file of `length` bytes that was begun at `begun` must go before `more` bytes are written at `now`. An empty
    /// file never goes.
    #[must_use]
    pub fn is_due(&self, (length, more): (u64, u64), begun: UnixMillis, now: UnixMillis) -> bool {
        let period = |at: UnixMillis, every: Duration| {
            u128::from(at.0).checked_div(every.as_millis()).unwrap_or(0)
        };
        let full = |max: u64| length.saturating_add(more) > max;
        let over = |every: Duration| period(begun, every) != period(now, every);
        length > 0 && (self.max_bytes.is_some_and(full) || self.every.is_some_and(over))
    }
}

/// Opens the log for appending; one that is not there yet is made for its owner and its group, whatever the umask. What a crash of
/// the machine may have left of a line ends there.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut file = match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, MODE)?,
        opened => opened?,
    };
    let data = file.metadata()?;
    if data.is_file() && data.len() > 0 && last_byte(path)? != b'\n' {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Makes a file with these permissions, or opens the one of that name.
fn make(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(mode)
        .open(path)?;
    // The umask took some away.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut byte = [0];
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(u8::from_be_bytes(byte))
}

/// Gives the file its rotated name and returns the new one, with the same permissions, under the old name. After an error everything is as it was.
pub(super) fn rotate(path: &Path, now: UnixMillis) -> io::Result<File> {
    let fresh_path = with_end(path, ".new");
    let mode = std::fs::metadata(path).map_or(MODE, |data| data.permissions().mode());
    let fresh = make(&fresh_path, mode & 0o777)?;
    let moved = free_name(path, now);
    if let Err(error) = std::fs::rename(path, &moved)
        // Somebody else has moved the file away: the name is free already.
        && error.kind() != io::ErrorKind::NotFound
    {
        drop(std::fs::remove_file(&fresh_path));
        return Err(error);
    }
    if let Err(error) = std::fs::rename(&fresh_path, path) {
        drop(std::fs::rename(&moved, path));
        drop(std::fs::remove_file(&fresh_path));
        return Err(error);
    }
    Ok(fresh)
}

/// Every rotated file of this log, oldest first.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if is_rotated(path, &entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The path with more text behind its name.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(end);
    text.into()
}

fn is_rotated(path: &Path, name: &str) -> bool {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let stamp = name
        .strip_prefix(&*own)
        .and_then(|rest| rest.strip_prefix('.'));
    let Some(stamp) = stamp else { return false };
    let bare = [PART, COMPRESSED]
        .iter()
        .find_map(|end| stamp.strip_suffix(end))
        .unwrap_or(stamp);
    let pattern = b"0000-00-00T00-00-00.000Z";
    bare.len() == pattern.len()
        && bare.bytes().zip(pattern).all(|(byte, expected)| {
            byte == *expected || (*expected == b'0' && byte.is_ascii_digit())
        })
}

/// A rotated name that no file has, with the time of `now` or a few milliseconds later.
fn free_name(path: &Path, now: UnixMillis) -> PathBuf {
    let mut at = now;
    loop {
        let stamp = clock::rfc3339(at).replace(':', "-");
        let candidate = with_end(path, &format!(".{stamp}"));
        if !candidate.exists() && !with_end(&candidate, COMPRESSED).exists() {
            return candidate;
        }
        at = at.after(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_when_it_is_full_or_its_time_is_over_and_never_when_it_is_empty() {
        let rotation = Rotation {
            max_bytes: Some(100),
            every: Some(Duration::from_secs(10)),
            ..Rotation::default()
        };
        let at = |millis| UnixMillis(1_000_000 + millis);
        for (length, more, now, due) in [
            (60, 40, at(9999), false),
            (60, 41, at(0), true),
            (1, 1, at(10_000), true),
            (0, 1000, at(10_000), false),
        ] {
            assert_eq!(rotation.is_due((length, more), at(0), now), due, "{now:?}");
        }
        let never = Rotation {
            max_bytes: None,
            every: None,
            ..rotation
        };
        assert!(!never.is_due((u64::MAX, u64::MAX), at(0), at(u64::MAX / 2)));
    }

    #[test]
    fn only_rotated_files_of_this_log_are_taken_for_such() {
        let path = Path::new("/var/log/access.jsonl");
        for (name, taken) in [
            ("access.jsonl.2026-11-22T01-02-03.004Z", true),
            ("access.jsonl.2026-11-22T01-02-03.004Z.gz", true),
            ("access.jsonl.2026-11-22T01-02-03.004Z.gz.part", true),
            ("access.jsonl", false),
            ("access.jsonl.1", false),
            ("access.jsonl.2026-11-22", false),
            ("access.jsonl.2026-11-22T01-02-03.004Z.bak", false),
            ("other.jsonl.2026-11-22T01-02-03.004Z", false),
        ] {
            assert_eq!(is_rotated(path, name), taken, "{name}");
        }
    }

    #[test]
    fn names_of_one_millisecond_do_not_meet_and_sort_by_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let now = UnixMillis(1_763_771_712_345);
        for text in ["1\n", "2\n", "3\n"] {
            std::fs::write(&path, text).unwrap();
            drop(rotate(&path, now).unwrap());
        }
        let texts: Vec<String> = rotated(&path)
            .unwrap()
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(texts, ["1\n", "2\n", "3\n"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn half_a_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        for (before, after) in [
            ("{\"a\":", "{\"a\":\nx\n"),
            ("{}\n", "{}\nx\n"),
            ("", "x\n"),
        ] {
            std::fs::write(&path, before).unwrap();
            append_to(&path).unwrap().write_all(b"x\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }
}
