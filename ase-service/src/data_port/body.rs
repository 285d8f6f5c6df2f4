//! The body of a call, never held beyond its limit and never waited for beyond its time.
//!
//! One that comes in one piece is not copied.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, EXPECT};

use super::activity::Activity;

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

/// What ends the wait for a body.
#[derive(Clone, Copy)]
pub(super) enum Clock<'a> {
    /// The looks at its connection, which cost nothing when the body is there already.
    Looks(&'a Activity),
    /// One of its own.
    Own(Duration),
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn read(
    (headers, body): (&HeaderMap, Incoming),
    limit: usize,
    clock: Clock<'_>,
) -> Result<Bytes, BodyFault> {
    let reading = read_within(headers, body, limit);
    match clock {
        Clock::Looks(activity) => {
            let _awaited = activity.await_body();
            let mut reading = pin!(reading);
            poll_fn(|cx| {
                let polled = reading.as_mut().poll(cx);
                if polled.is_pending() && activity.body_given_up() {
                    return Poll::Ready(Err(BodyFault::TooSlow));
                }
                polled
            })
            .await
        }
        Clock::Own(patience) => Box::pin(tokio::time::timeout(patience, reading))
            .await
            .unwrap_or(Err(BodyFault::TooSlow)),
    }
}

/// Reads a body of at most `limit` bytes and keeps nothing of it, so that the connection can go on.
pub(super) async fn pass_over(mut body: Incoming, limit: usize) {
    // Whoever has not sent it by then finds the connection closed.
    drop(tokio::time::timeout(PASS_OVER_PATIENCE, discard(&mut body, limit)).await);
}

async fn read_within(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: usize,
) -> Result<Bytes, BodyFault> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let declared: usize = declared.and_then(|length| length.parse().ok()).unwrap_or(0);
    if declared > limit {
        // Such a client waits for the answer before it sends anything.
        if !headers.contains_key(EXPECT) {
            Box::pin(discard(&mut body, limit.saturating_mul(DISCARD_FACTOR))).await;
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
            Box::pin(discard(&mut body, limit.saturating_mul(DISCARD_FACTOR))).await;
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
