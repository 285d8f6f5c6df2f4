//! A list as an import reads it, as it is when the call comes.

use std::sync::Arc;

use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Rest, Sources};
use ase_core::time::UnixMillis;

use super::documents::{PIECE, Pieces};
use super::transfer::{First, Format};
use crate::lists::list_of;
use crate::state::ListName;

/// An export under way.
pub(super) struct Export {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) list: ListName,
    pub(super) format: Format,
    pub(super) sources: Sources,
    /// Entries that have expired by then are left out.
    pub(super) now: UnixMillis,
    /// How many blocks of the list are written.
    written: usize,
    first: First,
}

impl Export {
    /// Of the entries of some sources.
    pub(super) fn new(
        (snapshot, list): (Arc<Snapshot>, ListName),
        (format, sources): (Format, Sources),
        now: UnixMillis,
    ) -> Self {
        Self {
            snapshot,
            list,
            format,
            sources,
            now,
            written: 0,
            first: First::Yes,
        }
    }
}

impl Pieces for Export {
    fn media_type(&self) -> &'static str {
        match self.format {
            Format::Plain => "text/plain; charset=utf-8",
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }

    fn next(&mut self) -> (String, Rest) {
        let head = if self.written == 0 {
            self.format.head()
        } else {
            ""
        };
        let mut text = head.to_owned();
        for block in list_of(&self.snapshot, self.list)
            .blocks()
            .skip(self.written)
        {
            self.written += 1;
            for (identifier, entry) in block.entries() {
                if entry.is_expired(self.now) || !self.sources.include(entry.source) {
                    continue;
                }
                self.format
                    .write(&mut text, (&identifier, &entry), self.first);
                self.first = First::No;
            }
            if text.len() >= PIECE {
                return (text, Rest::More);
            }
        }
        text.push_str(self.format.foot());
        (text, Rest::Done)
    }
}
