//! Files that are written whole: a reader finds the old content or the new one, never a part, and a crash leaves one of both.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that was not written; what was there before is untouched.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Its owner alone.
    Owner,
    /// Everybody whom the process's mask lets.
    Everybody,
}

/// Writes `content` to `path` and waits until the disk has it.
///
/// # Errors
/// When the disk does not take it.
pub fn write(path: &Path, content: &[u8], audience: Audience) -> Result<(), WriteError> {
    write_beside(path, content, audience).map_err(|error| of(path, error))
}

/// Removes `path` and waits until the disk knows.
///
/// # Errors
/// When it is not there, or cannot be removed.
pub fn remove(path: &Path) -> Result<(), WriteError> {
    std::fs::remove_file(path)
        .and_then(|()| sync_folder(path))
        .map_err(|error| of(path, error))
}

fn write_beside(path: &Path, content: &[u8], audience: Audience) -> io::Result<()> {
    let new = path.with_extension("new");
    let mode = match audience {
        Audience::Owner => 0o600,
        Audience::Everybody => 0o666,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(mode)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path)
}

/// A name is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

fn of(path: &Path, error: io::Error) -> WriteError {
    WriteError {
        path: path.to_path_buf(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_content_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old", Audience::Owner).unwrap();
        write(&path, b"new", Audience::Owner).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        assert!(remove(&path).is_err());
    }
}
