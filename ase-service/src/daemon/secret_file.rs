//! The file that a management secret is kept in: read at a start, made at the first one.
//!
//! A secret is told to the caller only when it was drawn here; one that was given or found is known already.

use std::io;
use std::path::Path;

use super::start_error::{StartError, of_file};
use super::write_whole;
use crate::secret::Secret;

/// The management secret, and the same again when this start has drawn it. `given` counts only where there is none yet.
pub(super) fn admin_secret(
    path: &Path,
    given: Option<&Secret>,
) -> Result<(Secret, Option<Secret>), StartError> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok((Secret::new(text.trim().to_owned()), None)),
        Ok(_) => make_secret(path, given),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path, given),
        Err(error) => Err(of_file(path, error)),
    }
}

fn make_secret(
    path: &Path,
    given: Option<&Secret>,
) -> Result<(Secret, Option<Secret>), StartError> {
    let (secret, drawn) = match given {
        Some(given) => (given.clone(), None),
        None => {
            let drawn = Secret::random().map_err(|error| of_file(path, error))?;
            (drawn.clone(), Some(drawn))
        }
    };
    write_whole(path, &format!("{}\n", secret.reveal()))?;
    Ok((secret, drawn))
}
