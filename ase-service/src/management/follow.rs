//! `GET /v1/log/follow`: the access log as it grows, for as long as the caller reads.
//!
//! The file is read, not the writer's queue: a slow reader slows nobody down, and what it sees is what is on the disk. A rotation
//! is followed; lines that are rotated away between two looks are not shown.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::Management;
use super::openapi::Schema;
use super::reply::Refusal;
use super::route::{Route, Verb};

/// Between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most bytes of one look.
const STEP_BYTES: u64 = 262_144;
/// Most followers at once.
pub(super) const MAX_FOLLOWERS: usize = 16;

pub(super) fn routes() -> [Route; 1] {
    [Route::new(
        Verb::Get,
        "/v1/log/follow",
        (
            "followLog",
            "The lines of the access log from now on, as they are written",
        ),
        Schema::LogLines,
        follow,
    )]
}

/// What a follower needs.
pub struct Followers {
    /// The access log.
    pub log: PathBuf,
    /// Ends every follower.
    pub stop: watch::Receiver<bool>,
    /// Room for followers.
    pub places: Arc<tokio::sync::Semaphore>,
}

impl Followers {
    /// Followers of a log, until `stop` changes.
    #[must_use]
    pub fn new(log: PathBuf, stop: watch::Receiver<bool>) -> Self {
        Self {
            log,
            stop,
            places: Arc::new(tokio::sync::Semaphore::new(MAX_FOLLOWERS)),
        }
    }
}

struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = self.0.poll_recv(context);
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn follow(State(management): State<Arc<Management>>) -> Response {
    let followers = &management.followers;
    let Ok(place) = Arc::clone(&followers.places).try_acquire_owned() else {
        let fault = format!("{MAX_FOLLOWERS} callers follow the log already");
        return Refusal::conflict(fault).plain();
    };
    let (lines, receiver) = mpsc::channel(4);
    let tail = match Tail::at_end(&followers.log) {
        Ok(tail) => tail,
        Err(error) => return Refusal::broken(&error).plain(),
    };
    tokio::spawn(send(tail, lines, (followers.stop.clone(), place)));
    let mut response = Response::new(Body::new(Lines(receiver)));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn send(
    mut tail: Tail,
    lines: mpsc::Sender<Bytes>,
    (mut stop, place): (watch::Receiver<bool>, OwnedSemaphorePermit),
) {
    let ended = async {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let read = tail.read();
                (tail, read)
            });
            let Ok((back, Ok(bytes))) = read.await else {
                return;
            };
            tail = back;
            if bytes.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = lines.closed() => return,
                }
            } else if lines.send(bytes.into()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = ended => {}
        _ = stop.changed() => {}
    }
    drop(place);
}

/// A file that grows and may be replaced.
struct Tail {
    path: PathBuf,
    file: File,
}

impl Tail {
    fn at_end(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    /// What has come since the last look.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.file).take(STEP_BYTES).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            self.look_for_another()?;
        }
        Ok(bytes)
    }

    fn look_for_another(&mut self) -> io::Result<()> {
        let (own, Ok(named)) = (self.file.metadata()?, std::fs::metadata(&self.path)) else {
            return Ok(());
        };
        let replaced = (own.dev(), own.ino()) != (named.dev(), named.ino());
        if replaced {
            self.file = File::open(&self.path)?;
        } else if named.len() < self.file.stream_position()? {
            self.file.seek(SeekFrom::Start(0))?;
        }
        Ok(())
    }
}
