//! A list as a document, written while it is sent, from the list as it is when the call comes.
//!
//! However slow its reader is, no thread waits for it: a piece is written away from the threads that answer gateways, and the next one once that is taken. An
//! export keeps the list as it was in memory, so there are few at once, and a reader that takes nothing for a while is cut off: its document breaks off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ase_core::decision::Snapshot;
use ase_core::identifier_list::{Rest, Sources};
use ase_core::time::UnixMillis;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::off_path;
use super::reply::{Refusal, document};
use super::transfer::{First, Format};
use crate::lists::list_of;
use crate::state::ListName;

/// How much is written at once, in bytes, and at most a block of the list more.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for the connection.
const WAITING_PIECES: usize = 1;
/// Most exports at once.
const MAX_EXPORTS: usize = 16;
/// Longest that a reader takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for exports.
#[derive(Clone, Debug)]
pub struct Exports {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_EXPORTS)),
            patience: PATIENCE,
        }
    }
}

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

    /// The next piece, and whether it is the last.
    fn piece(&mut self) -> (String, Rest) {
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

impl Exports {
    /// The answer that is the document.
    ///
    /// # Errors
    /// When as many are under way as there may be.
    pub(super) fn begin(&self, export: Export) -> Result<Response, Refusal> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let fault = format!("{MAX_EXPORTS} exports are under way already");
            return Err(Refusal::conflict(fault));
        };
        let kind = match export.format {
            Format::Plain => "text/plain; charset=utf-8",
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
        };
        let (sender, body) = Channel::new(WAITING_PIECES);
        tokio::spawn(send(export, sender, (self.patience, place)));
        Ok(document(kind, Body::new(body)))
    }
}

async fn send(
    mut export: Export,
    mut reader: Sender<Bytes, io::Error>,
    (patience, place): (Duration, OwnedSemaphorePermit),
) {
    loop {
        let writing = off_path(move || {
            let piece = export.piece();
            Ok((export, piece))
        });
        let Ok((back, (text, rest))) = writing.await else {
            return reader.abort(io::Error::other("the rest cannot be written"));
        };
        export = back;
        match tokio::time::timeout(patience, reader.send_data(text.into())).await {
            Ok(Ok(())) => {}
            // The reader has gone away: nobody needs the rest.
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::debug!("an export whose reader took nothing for {patience:?} broke off");
                return reader.abort(io::ErrorKind::TimedOut.into());
            }
        }
        if rest == Rest::Done {
            break;
        }
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ase_core::address::ClientAddress;
    use ase_core::identifier_list::{Entry, ListedIdentifier, Source};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);
    const DEADLINE: Duration = Duration::from_secs(20);

    /// An export of a million bytes.
    fn long() -> Export {
        let mut snapshot = Snapshot::default();
        for n in 0..10_000 {
            let address = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(n)));
            let listed = ListedIdentifier::Network(address.prefixed(32));
            let entry = Entry::everywhere(Source::Manual, "", NOW);
            snapshot.attack.insert(listed, entry);
        }
        let list = (Arc::new(snapshot), ListName::Deny);
        Export::new(list, (Format::Json, Sources::All), NOW)
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_sees_that_the_document_is_not_whole() {
        let exports = Exports {
            patience: Duration::from_millis(1),
            ..Exports::default()
        };
        let answer = exports.begin(long()).unwrap();
        let room = exports.places.acquire_many(MAX_EXPORTS as u32);
        let room = tokio::time::timeout(DEADLINE, room).await;
        assert!(room.is_ok(), "it keeps its place");
        let read = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        assert!(read.is_err(), "it ends as if it were whole");
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_the_reader_has_everything_or_leaves() {
        let exports = Exports::default();
        let whole = exports.begin(long()).unwrap();
        let left = exports.begin(long()).unwrap();
        drop(left);
        let whole = axum::body::to_bytes(whole.into_body(), usize::MAX).await;
        let entries: Vec<serde_json::Value> = serde_json::from_slice(&whole.unwrap()).unwrap();
        assert_eq!(entries.len(), 10_000);
        let room = exports.places.acquire_many(MAX_EXPORTS as u32);
        let room = tokio::time::timeout(DEADLINE, room).await;
        assert!(room.is_ok(), "a place is lost");
    }
}
