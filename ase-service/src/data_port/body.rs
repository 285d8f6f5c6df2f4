//! The body of a call, never held beyond its limit and never waited for beyond its time.
//!
//! One that comes in one piece is not copied.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, EXPECT};

/// Of a body over its limit, as many times the limit is read and thrown away, so that the answer reaches a client that is still sending.
const DISCARD_FACTOR: usize = 8;

/// Longest wait for a body that nobody wants.
const PASS_OVER_PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// It is over the limit.
    TooLarge,
    /// Its sender broke off.
    BrokenOff,
    /// It did not come in time.
    TooSlow,
}

/// The whole body, of at most `limit` bytes, within `patience`.
pub(super) async fn read(
    request: Request<Incoming>,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, BodyFault> {
    tokio::time::timeout(patience, read_within(request, limit))
        .await
        .unwrap_or(Err(BodyFault::TooSlow))
}

/// Reads a body of at most `limit` bytes and keeps nothing of it, so that the connection can go on.
pub(super) async fn pass_over(request: Request<Incoming>, limit: usize) {
    let mut body = request.into_body();
    // Whoever has not sent it by then finds the connection closed.
    drop(tokio::time::timeout(PASS_OVER_PATIENCE, discard(&mut body, limit)).await);
}

async fn read_within(request: Request<Incoming>, limit: usize) -> Result<Bytes, BodyFault> {
    let (head, mut body) = request.into_parts();
    let declared = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let declared: usize = declared.and_then(|length| length.parse().ok()).unwrap_or(0);
    if declared > limit {
        // Such a client waits for the answer before it sends anything.
        if !head.headers.contains_key(EXPECT) {
            discard(&mut body, limit.saturating_mul(DISCARD_FACTOR)).await;
        }
        return Err(BodyFault::TooLarge);
    }
    let Some(first) = next_data(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(BodyFault::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(declared.max(first.len()));
    whole.extend_from_slice(&first);
    while let Some(data) = next_data(&mut body).await? {
        if whole.len().saturating_add(data.len()) > limit {
            drop(whole);
            discard(&mut body, limit.saturating_mul(DISCARD_FACTOR)).await;
            return Err(BodyFault::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, BodyFault> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyFault::BrokenOff),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn discard(body: &mut Incoming, most: usize) {
    let mut seen = 0_usize;
    while seen < most {
        match next_data(body).await {
            Ok(Some(data)) => seen = seen.saturating_add(data.len()),
            Ok(None) | Err(_) => break,
        }
    }
}
