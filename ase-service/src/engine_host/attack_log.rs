//! The attack log: one JSON line per detection for a SIEM, with the documented members first.
//!
//! Opened for each write, so that whoever rotates it just moves it away; beyond a size it makes room itself and keeps one old file.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ase_core::decision::Snapshot;
use ase_core::json;
use ase_core::registry::Protocol;
use ase_engine::{Detection, Threshold};

use crate::clock;
use crate::lifetimes::IdentifierType;
use crate::state::detections::Sighting;

/// From this size on the file makes room for a new one.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The log's file.
#[derive(Debug)]
pub(super) struct AttackLog {
    path: PathBuf,
    complained: bool,
}

impl AttackLog {
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            complained: false,
        }
    }

    /// Adds the line of a detection to `lines`.
    pub(super) fn line(
        &self,
        (detection, sighting): (&Detection, &Sighting),
        snapshot: &Snapshot,
        lines: &mut Vec<u8>,
    ) {
        let api = detection.api.as_ref();
        let protocol = api
            .and_then(|api| snapshot.registry.get(api))
            .map_or("unknown", |api| protocol(api.protocol()));
        let kind = IdentifierType::of(&detection.identifier);
        json::object(lines, |o| {
            let mut text = |key: &'static str, value: &str| o.text(key, value.as_bytes());
            text("timestamp", &clock::rfc3339(detection.at));
            text("protocol", protocol);
            o.number("attack_id", u64::from(detection.catalogue_id));
            let mut text = |key: &'static str, value: &str| o.text(key, value.as_bytes());
            text("description", detection.attack.title());
            text("attack_bucket", detection.attack.as_str());
            text("attack_scope", if api.is_some() { "api" } else { "all" });
            text("attacked_api", api.map_or("", |api| api.as_str()));
            text("attack_identifier_type", kind.as_str());
            // ASE keeps no names of cookies and keys, only the ids of their values.
            text("attack_key", "");
            text("attack_value", &detection.identifier.to_string());
            text("attack_code", &codes(detection));
            text("reason", &detection.reason());
            text("outcome", sighting.outcome.as_str());
            if let Some(ttl) = sighting.ttl {
                o.number("ttl_s", ttl.as_secs());
            }
            o.number("requests", u64::from(detection.requests));
        });
        lines.push(b'\n');
    }

    /// Appends lines and says whether the disk took them.
    pub(super) fn write(&mut self, lines: &[u8]) -> bool {
        match self.append(lines) {
            Ok(()) => {
                self.complained = false;
                true
            }
            Err(error) => {
                if !self.complained {
                    tracing::error!(path = %self.path.display(), %error, "the attack log is not written");
                }
                self.complained = true;
                false
            }
        }
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o640);
        let mut file = options.open(&self.path)?;
        if file.metadata()?.len() >= MAX_BYTES {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            file = options.open(&self.path)?;
        }
        file.write_all(lines)
    }
}

/// The documented form: `varA(Tx, 26)`.
fn codes(detection: &Detection) -> String {
    let reached = detection.variables.iter().filter_map(|measured| {
        let threshold = match measured.reached {
            Threshold::Below => return None,
            Threshold::Normal | Threshold::Extreme => measured.reached.as_str(),
        };
        let letter = measured.variable.as_str();
        Some(format!("var{letter}({threshold}, {:.0})", measured.value))
    });
    reached.collect::<Vec<_>>().join(", ")
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Https => "https",
        Protocol::Ws => "ws",
        Protocol::Wss => "wss",
    }
}
