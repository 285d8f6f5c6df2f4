//! API definitions from a folder of `*.json` files; the file's name is the API's id.
//!
//! A file with faults is left out with all its faults named, and takes no other file down.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ase_core::api_id::ApiId;
use ase_core::registry::{ApiDefinition, Registry};
use thiserror::Error;

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

/// Reads every definition of `folder`.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn load(folder: &Path) -> Result<Definitions, FolderError> {
    let of_folder = |error| FolderError {
        path: folder.to_path_buf(),
        error,
    };
    let mut found = Definitions::default();
    let mut good = BTreeMap::new();
    for path in files(folder).map_err(of_folder)? {
        let name = path.display();
        match read(&path) {
            Err(faults) => found
                .faults
                .extend(faults.iter().map(|fault| format!("{name}: {fault}"))),
            Ok((api, warnings)) => {
                found
                    .warnings
                    .extend(warnings.iter().map(|warning| format!("{name}: {warning}")));
                good.insert(api.id().as_str().to_owned(), api);
            }
        }
    }
    found.registry = compile(folder, good, &mut found.faults);
    Ok(found)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
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
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
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

/// Compiles what can stand together: of two definitions of one host and path the first by id stays.
fn compile(
    folder: &Path,
    mut good: BTreeMap<String, ApiDefinition>,
    all: &mut Vec<String>,
) -> Registry {
    loop {
        let before = good.len();
        match Registry::compile(good.values().cloned()) {
            Ok(registry) => return registry,
            Err(faults) => {
                for fault in faults.iter() {
                    let file = folder.join(format!("{}.json", fault.path()));
                    all.push(format!("{}: {}", file.display(), fault.rule()));
                    good.remove(fault.path());
                }
            }
        }
        if good.len() == before {
            return Registry::default();
        }
    }
}
