//! One definition file: what was last seen of it, and the versions that it gave.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ase_core::api_id::ApiId;
use ase_core::registry::ApiDefinition;

use super::Change;

/// After a change a file is read so many times more: a write within the clock's grain leaves no other trace.
const MORE_LOOKS: u8 = 2;

/// A file and its versions.
#[derive(Debug, Default)]
pub(super) struct File {
    stamp: Option<Stamp>,
    looks_left: u8,
    missing: bool,
    told: Vec<String>,
    /// The version in use.
    pub(super) live: Option<ApiDefinition>,
    /// A newer good version that is not in use.
    pub(super) candidate: Option<ApiDefinition>,
}

/// Whether a file may just be being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// ASE starts: what is there counts.
    First,
    /// ASE runs.
    Later,
}

/// What changes with a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl File {
    /// Reads the file if it may have changed. Returns whether there is something to settle.
    pub(super) fn look(&mut self, path: &Path, sight: Sight, change: &mut Change) -> bool {
        self.missing = false;
        let stamp = stamp(path).ok();
        if stamp.is_none() || stamp != self.stamp {
            self.stamp = stamp;
            self.looks_left = MORE_LOOKS;
        } else if self.looks_left == 0 {
            return false;
        } else {
            self.looks_left -= 1;
        }
        match read(path) {
            Ok((api, warnings)) => self.found(path, api, warnings, change),
            Err(faults) => {
                if (sight == Sight::First || self.looks_left == 0) && self.told != faults {
                    let named = |fault: &String| format!("{}: {fault}", path.display());
                    change.faults.extend(faults.iter().map(named));
                    self.told = faults;
                    self.candidate = None;
                }
                false
            }
        }
    }

    /// Notes that the file is not there. Returns whether it was not there before.
    pub(super) fn is_gone(&mut self) -> bool {
        std::mem::replace(&mut self.missing, true)
    }

    fn found(
        &mut self,
        path: &Path,
        api: ApiDefinition,
        warnings: Vec<String>,
        change: &mut Change,
    ) -> bool {
        self.told.clear();
        if self.candidate.as_ref() == Some(&api) {
            return false;
        }
        if self.live.as_ref() == Some(&api) {
            self.candidate = None;
            return false;
        }
        let named = |warning| format!("{}: {warning}", path.display());
        change.warnings.extend(warnings.into_iter().map(named));
        self.candidate = Some(api);
        true
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::metadata(path)?;
    Ok(Stamp {
        place: (metadata.dev(), metadata.ino()),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn read(path: &Path) -> Result<(ApiDefinition, Vec<String>), Vec<String>> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let id = ApiId::parse(&name)
        .map_err(|error| vec![format!("the file's name is the API's id: {error}")])?;
    let document = std::fs::read(path).map_err(|error| vec![error.to_string()])?;
    match ApiDefinition::from_json(id, &document) {
        Ok((api, warnings)) => Ok((api, warnings.iter().map(ToString::to_string).collect())),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}
