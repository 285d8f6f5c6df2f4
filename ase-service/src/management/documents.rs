//! Long documents, written while they are sent.
//!
//! However slow its reader is, no thread waits for it: a piece is written away from the threads that answer gateways, and the next one once that is taken. A
//! document keeps the list as it was in memory, so there are few at once, and a reader that takes nothing for a while is cut off: its document breaks off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ase_core::identifier_list::Rest;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::off_path;
use super::reply::{Refusal, document};

/// How much is to be written at once, in bytes.
pub(super) const PIECE: usize = 64 * 1024;
/// Pieces that wait for the connection.
const WAITING_PIECES: usize = 1;
/// Most documents at once.
const MAX_DOCUMENTS: usize = 16;
/// Longest that a reader takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A document that is written piece by piece.
pub(super) trait Pieces: Send + 'static {
    /// Its media type.
    fn media_type(&self) -> &'static str;
    /// The next piece, of about [`PIECE`], and whether there are more.
    fn next(&mut self) -> (String, Rest);
}

/// Room for long documents.
#[derive(Clone, Debug)]
pub struct Documents {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_DOCUMENTS)),
            patience: PATIENCE,
        }
    }
}

impl Documents {
    /// The answer that is the document; one of a single piece is sent with its length and needs no room.
    ///
    /// # Errors
    /// When as many long ones are under way as there may be, or the first piece cannot be written.
    pub(super) async fn begin(&self, pieces: impl Pieces) -> Result<Response, Refusal> {
        let media_type = pieces.media_type();
        let (pieces, first) = written(pieces).await?;
        if let (text, Rest::Done) = first {
            return Ok(document(media_type, Body::from(text)));
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let fault = format!("{MAX_DOCUMENTS} long answers are under way already");
            return Err(Refusal::conflict(fault));
        };
        let (sender, body) = Channel::new(WAITING_PIECES);
        tokio::spawn(send((pieces, first), sender, (self.patience, place)));
        Ok(document(media_type, Body::new(body)))
    }
}

/// The next piece, away from the threads that answer gateways.
async fn written<P: Pieces>(mut pieces: P) -> Result<(P, (String, Rest)), Refusal> {
    off_path(move || {
        let piece = pieces.next();
        Ok((pieces, piece))
    })
    .await
}

async fn send(
    (mut pieces, (mut text, mut rest)): (impl Pieces, (String, Rest)),
    mut reader: Sender<Bytes, io::Error>,
    (patience, place): (Duration, OwnedSemaphorePermit),
) {
    loop {
        match tokio::time::timeout(patience, reader.send_data(text.into())).await {
            Ok(Ok(())) => {}
            // The reader has gone away: nobody needs the rest.
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::debug!(
                    "a long answer whose reader took nothing for {patience:?} broke off"
                );
                return reader.abort(io::ErrorKind::TimedOut.into());
            }
        }
        if rest == Rest::Done {
            break;
        }
        let Ok((back, next)) = written(pieces).await else {
            return reader.abort(io::Error::other("the rest cannot be written"));
        };
        pieces = back;
        (text, rest) = next;
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);
    /// Pieces of a document that is longer than what waits for a connection.
    const MANY: usize = 1_000;

    /// So many pieces to come.
    struct Long(usize);

    impl Pieces for Long {
        fn media_type(&self) -> &'static str {
            "text/plain"
        }

        fn next(&mut self) -> (String, Rest) {
            self.0 -= 1;
            let rest = if self.0 == 0 { Rest::Done } else { Rest::More };
            ("piece\n".to_owned(), rest)
        }
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_sees_that_the_document_is_not_whole() {
        let documents = Documents {
            patience: Duration::from_millis(1),
            ..Documents::default()
        };
        let answer = documents.begin(Long(MANY)).await.unwrap();
        let room = documents.places.acquire_many(MAX_DOCUMENTS as u32);
        let room = tokio::time::timeout(DEADLINE, room).await;
        assert!(room.is_ok(), "it keeps its place");
        let read = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        assert!(read.is_err(), "it ends as if it were whole");
    }

    #[tokio::test]
    async fn a_short_document_is_sent_with_its_length_however_many_long_ones_are_under_way() {
        let documents = Documents::default();
        let mut under_way = Vec::new();
        for _ in 0..MAX_DOCUMENTS {
            under_way.push(documents.begin(Long(MANY)).await.unwrap());
        }
        assert!(documents.begin(Long(MANY)).await.is_err());
        let short = documents.begin(Long(1)).await.unwrap().into_body();
        let length = axum::body::HttpBody::size_hint(&short).exact();
        assert_eq!(length, Some("piece\n".len() as u64));
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_the_reader_has_everything_or_leaves() {
        let documents = Documents::default();
        let whole = documents.begin(Long(MANY)).await.unwrap();
        let left = documents.begin(Long(MANY)).await.unwrap();
        drop(left);
        let whole = axum::body::to_bytes(whole.into_body(), usize::MAX).await;
        let whole = String::from_utf8(whole.unwrap().to_vec()).unwrap();
        assert_eq!(whole.lines().count(), MANY);
        let room = documents.places.acquire_many(MAX_DOCUMENTS as u32);
        let room = tokio::time::timeout(DEADLINE, room).await;
        assert!(room.is_ok(), "a place is lost");
    }
}
