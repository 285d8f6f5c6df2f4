//! The audit log: who changed what and when, one line each, in the documented format
//! `YYYY-MM-DD hh:mm:ss | subject | action | resources` (UTC).
//!
//! A line is on the disk before the change is acknowledged. No secret is ever part of one: callers name resources, never
//! values of credentials, and a text cannot forge a second line or a second column.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ase_core::time::UnixMillis;
use thiserror::Error;

use crate::clock;

/// The file in the state folder.
pub const FILE: &str = "audit.log";
/// Longest value of a resource, in characters.
const MAX_VALUE_CHARS: usize = 400;

/// Through what a change came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The command line, by its own word.
    Cli,
    /// Any other caller of the management port.
    Rest,
    /// The daemon itself, from its files.
    Daemon,
}

/// The open log.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    file: Mutex<File>,
}

/// A line that was not written.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct AuditError {
    path: PathBuf,
    error: io::Error,
}

impl Subject {
    /// Its name in a line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Rest => "rest_api",
            Self::Daemon => "ase",
        }
    }
}

impl Audit {
    /// Opens the log of a state folder for appending, and makes it for the owner's eyes only.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn open(folder: &Path) -> Result<Self, AuditError> {
        let path = folder.join(FILE);
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        match opened {
            Ok(file) => Ok(Self {
                path,
                file: Mutex::new(file),
            }),
            Err(error) => Err(AuditError { path, error }),
        }
    }

    /// Appends a line and waits until the disk has it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn record(
        &self,
        at: UnixMillis,
        subject: Subject,
        action: &str,
        resources: &[(&str, &str)],
    ) -> Result<(), AuditError> {
        let line = line(at, subject, action, resources);
        // A panic under the lock leaves at most a part of a line.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_data());
        written.map_err(|error| AuditError {
            path: self.path.clone(),
            error,
        })
    }
}

fn line(at: UnixMillis, subject: Subject, action: &str, resources: &[(&str, &str)]) -> String {
    let time = clock::rfc3339(at);
    let (date, rest) = time.split_once('T').unwrap_or((&time, ""));
    let second = rest.split('.').next().unwrap_or_default();
    let mut line = format!("{date} {second} | {} | {action} | ", subject.as_str());
    let mut separator = "";
    for (key, value) in resources {
        line.push_str(separator);
        line.push_str(key);
        line.push('=');
        push_plain(&mut line, value);
        separator = ", ";
    }
    line.push('\n');
    line
}

/// Writes a value without what separates columns, resources and lines.
fn push_plain(line: &mut String, value: &str) {
    for character in value.chars().take(MAX_VALUE_CHARS) {
        if character.is_control() || matches!(character, '|' | ',' | '%') {
            line.push_str(&format!("%{:02x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_documented_format_and_lines_are_appended() {
        let folder = tempfile::tempdir().unwrap();
        let at = UnixMillis(1_560_422_712_345);
        for action in ["delete_api", "enable_firewall"] {
            let audit = Audit::open(folder.path()).unwrap();
            let resources = [("username", "admin"), ("api_id", "cart")];
            audit.record(at, Subject::Cli, action, &resources).unwrap();
        }
        let written = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(
            written,
            "2019-06-13 10:45:12 | cli | delete_api | username=admin, api_id=cart\n\
             2019-06-13 10:45:12 | cli | enable_firewall | username=admin, api_id=cart\n"
        );
    }

    #[test]
    fn no_value_forges_a_line_a_column_or_a_resource() {
        let value = "a\n2026-01-01 00:00:00 | cli | x | y, api_id=\u{85}z%";
        let line = line(UnixMillis(0), Subject::Rest, "add", &[("reason", value)]);
        assert_eq!(
            line,
            "1970-01-01 00:00:00 | rest_api | add | reason=a%0a2026-01-01 00:00:00 %7c cli %7c x %7c y%2c api_id=%85z%25\n"
        );
    }
}
