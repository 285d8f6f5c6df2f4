//! Every kind of body that a management call takes, read as the calls read it and thrown away: what fuzz targets run.
//!
//! Touches nothing but memory. API definitions are read by `ase_core::registry::ApiDefinition` and have a target of their own.

use ase_core::address::Ipv6Width;
use ase_core::credential::{CredentialKey, KeyRing};
use ase_core::identifier_list::{Entry, ListedIdentifier};
use ase_core::time::UnixMillis;

use super::change::{Addition, Removal};
use super::reply::Refusal;
use super::transfer::{First, Format, Reader};
use super::{apis, keys, lifetimes, settings, switches, thresholds, tokens};
use crate::lifetimes::Lifetimes;

/// What a change of one thing is read as.
pub const CHANGES: usize = 13;

/// Reads a body as the change of this number, below [`CHANGES`]: its faults when it is refused, one text each.
///
/// # Errors
/// When the body is refused.
pub fn change(number: usize, body: &[u8], key: &CredentialKey) -> Result<(), Vec<String>> {
    let (width, now) = (Ipv6Width::default(), UnixMillis(1));
    let read = match number {
        0 => Addition::read(body, key, (width, &Lifetimes::default()), now)
            .map(drop)
            .map_err(Refusal::from),
        1 => Removal::read(body, key, width)
            .map(drop)
            .map_err(Refusal::from),
        2 => tokens::wanted(body).map(drop),
        3 => tokens::which(body).map(drop),
        4 => settings::wanted_level(body).map(drop),
        5 => settings::wanted_secret(body).map(drop),
        6 => switches::turns(body).map(drop),
        7 => keys::wanted_credential(body).map(drop),
        8 => keys::wanted_orphans(body).map(drop),
        9 => lifetimes::settings(body).map(drop),
        10 => thresholds::wanted(body).map(drop),
        11 => thresholds::unwanted(body).map(drop),
        _ => apis::wanted_blocking(body).map(drop),
    };
    read.map_err(|refusal| refusal.faults)
}

/// What came out of an import.
#[derive(Debug)]
pub struct Import {
    /// Its entries.
    pub entries: Vec<(ListedIdentifier, Entry)>,
    /// Its faults, those that are only counted included.
    pub faults: usize,
}

/// Reads an import of the format of this name: `plain`, `json` or `csv`. `None` for another name.
#[must_use]
pub fn import(format: &str, body: &[u8], keys: &KeyRing) -> Option<Import> {
    let format = Format::parse(format).ok()?;
    let reader = Reader::new(keys, Ipv6Width::default(), UnixMillis(1));
    let read = reader.read(format, body);
    Some(Import {
        faults: read.faults.len().saturating_add(read.more_faults),
        entries: read.entries,
    })
}

/// Writes entries as an export of this format; `None` for another name.
#[must_use]
pub fn export(format: &str, entries: &[(ListedIdentifier, Entry)]) -> Option<String> {
    let format = Format::parse(format).ok()?;
    let mut text = format.head().to_owned();
    for (number, (identifier, entry)) in entries.iter().enumerate() {
        let first = if number == 0 { First::Yes } else { First::No };
        format.write(&mut text, (identifier, &entry.as_ref()), first);
    }
    text.push_str(format.foot());
    Some(text)
}
