//! API definitions from a folder of `*.json` files, followed while ASE runs; the file's name is the API's id.
//!
//! A file with faults takes no other file down and never replaces its good version: that one stays until a good one comes
//! or the file is removed. Of two definitions of one host and path the one that was there first stays.
//!
//! The folder is looked at four times a second rather than watched: a look is one `stat` per file, and it means the same on every
//! file system, over symbolic links and on mounted configuration, where notices of changes get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ase_core::registry::{ApiDefinition, Registry};
use thiserror::Error;

use crate::lists::Lists;

mod file;

use file::{File, Sight};

/// Between two looks at the folder.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a folder held.
#[derive(Debug, Default)]
pub struct Definitions {
    /// The good ones, compiled.
    pub registry: Registry,
    /// What is wrong, with the file that it is in.
    pub faults: Vec<String>,
    /// What an operator should look at, with the file that it is in.
    pub warnings: Vec<String>,
}

/// A folder that cannot be read.
#[derive(Debug, Error)]
#[error("API definitions in {}: {error}", path.display())]
pub struct FolderError {
    path: PathBuf,
    error: io::Error,
}

/// A folder and the definitions that it has given so far.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// By path. Compared as text, for paths are compared piece by piece, and there are looks all the time.
    files: BTreeMap<OsString, File>,
}

/// What a look at the folder has brought.
#[derive(Debug, Default)]
pub struct Change {
    /// The new set, when it is another than before.
    pub registry: Option<Registry>,
    /// What is wrong with the files that have changed.
    pub faults: Vec<String>,
    /// What an operator should look at in them.
    pub warnings: Vec<String>,
}

/// The folder in use: what it gives is published.
#[derive(Debug)]
pub struct Followed {
    folder: Mutex<Folder>,
    lists: Arc<Lists>,
}

/// Reads every definition of `folder` once.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn load(folder: &Path) -> Result<Definitions, FolderError> {
    Folder::open(folder).map(|(_, definitions)| definitions)
}

impl Folder {
    /// Reads every definition.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn open(path: &Path) -> Result<(Self, Definitions), FolderError> {
        let mut folder = Self {
            path: path.to_path_buf(),
            files: BTreeMap::new(),
        };
        let change = folder.look(Sight::First)?;
        let definitions = Definitions {
            registry: change.registry.unwrap_or_default(),
            faults: change.faults,
            warnings: change.warnings,
        };
        Ok((folder, definitions))
    }

    /// Reads what has changed. A file that is faulty or missing is looked at again before that counts: it may just be being written.
    ///
    /// # Errors
    /// When the folder itself cannot be read; then everything stays as it was.
    pub fn look_again(&mut self) -> Result<Change, FolderError> {
        self.look(Sight::Later)
    }

    /// Spares a file that was removed on purpose the second look.
    fn forget_if_gone(&mut self, path: &Path) {
        if !path.exists()
            && let Some(file) = self.files.get_mut(path.as_os_str())
        {
            file.is_gone();
        }
    }

    fn look(&mut self, sight: Sight) -> Result<Change, FolderError> {
        let present = present(&self.path).map_err(|error| FolderError {
            path: self.path.clone(),
            error,
        })?;
        let mut change = Change::default();
        let before = self.files.len();
        self.files
            .retain(|path, file| present.contains(path) || !file.is_gone());
        let mut moved = self.files.len() != before;
        for path in &present {
            let known = self.files.get_mut(path);
            let file = match known {
                Some(file) => file,
                None => self.files.entry(path.clone()).or_default(),
            };
            moved |= file.look(Path::new(path), sight, &mut change);
            // Hundreds of looks on end would keep an answer from this core for milliseconds.
            std::thread::yield_now();
        }
        if moved {
            self.settle(&mut change.faults);
            change.registry = compile(&self.files, &mut change.faults);
        }
        Ok(change)
    }

    /// Lets each new version in whose place is free; what has not changed keeps its place.
    fn settle(&mut self, faults: &mut Vec<String>) {
        let mut taken: Vec<ApiDefinition> = self
            .files
            .values()
            .filter(|file| file.candidate.is_none())
            .filter_map(|file| file.live.clone())
            .collect();
        for (path, file) in &mut self.files {
            let Some(candidate) = file.candidate.take() else {
                continue;
            };
            match occupant(&taken, &candidate) {
                None => file.live = Some(candidate),
                Some(first) => {
                    faults.push(format!(
                        "{}: {}",
                        Path::new(path).display(),
                        occupied(&candidate, first)
                    ));
                    file.candidate = Some(candidate);
                    file.live = file
                        .live
                        .take()
                        .filter(|old| occupant(&taken, old).is_none());
                }
            }
            taken.extend(file.live.clone());
        }
    }
}

impl Followed {
    /// Publishes through `lists` what `folder` gives from now on.
    #[must_use]
    pub fn new(folder: Folder, lists: Arc<Lists>) -> Self {
        Self {
            folder: Mutex::new(folder),
            lists,
        }
    }

    /// Looks at the folder, publishes what has changed, and logs every fault. A change to a good file holds when this returns.
    /// Reads files: run it off the request path.
    ///
    /// # Errors
    /// When the folder cannot be read; then everything stays as it was.
    pub fn reload(&self) -> Result<Vec<String>, FolderError> {
        self.look(&mut self.folder())
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        // A panic under the lock leaves whole files, each with its last good version.
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, folder: &mut Folder) -> Result<Vec<String>, FolderError> {
        let change = folder.look_again()?;
        for warning in &change.warnings {
            tracing::warn!("{warning}");
        }
        for fault in &change.faults {
            tracing::error!("{fault}");
        }
        if let Some(registry) = change.registry {
            let apis = registry.len();
            self.lists.set_registry(Arc::new(registry));
            tracing::info!(apis, "API definitions changed");
        }
        Ok(change.faults)
    }

    /// Runs a change of one file, and of what is published, while nobody looks at the folder, and then looks: what the
    /// change has published stays published.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn change<T, E>(&self, path: &Path, change: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut folder = self.folder();
        let done = change()?;
        folder.forget_if_gone(path);
        if let Err(error) = self.look(&mut folder) {
            tracing::error!(%error, "the API definitions stay as they are");
        }
        Ok(done)
    }

    /// Reloads again and again.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut readable = true;
        loop {
            ticks.tick().await;
            let followed = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || followed.reload()).await {
                Ok(Ok(_)) => readable = true,
                Ok(Err(error)) if readable => {
                    readable = false;
                    tracing::error!(%error, "the API definitions stay as they are");
                }
                Ok(Err(_)) => {}
                Err(error) => tracing::error!(%error, "a look at the API definitions broke off"),
            }
        }
    }
}

/// The definition files of a folder.
fn present(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Editors leave hidden files beside the real ones.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && !hidden
        {
            files.insert(path.into_os_string());
        }
    }
    Ok(files)
}

fn occupant<'a>(taken: &'a [ApiDefinition], api: &ApiDefinition) -> Option<&'a ApiDefinition> {
    taken
        .iter()
        .find(|other| other.host() == api.host() && other.base_path() == api.base_path())
}

fn occupied(api: &ApiDefinition, first: &ApiDefinition) -> String {
    let (host, path, first) = (api.host(), api.base_path(), first.id().as_str());
    format!("hostname {host} and url {path} are those of {first:?} already")
}

/// Never fails: files have names of their own, and [`Folder::settle`] lets nobody into a taken place.
fn compile(files: &BTreeMap<OsString, File>, faults: &mut Vec<String>) -> Option<Registry> {
    match Registry::compile(files.values().filter_map(|file| file.live.clone())) {
        Ok(registry) => Some(registry),
        Err(conflicts) => {
            faults.extend(conflicts.iter().map(ToString::to_string));
            None
        }
    }
}

#[cfg(test)]
mod tests;
