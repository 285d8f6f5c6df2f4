//! Carries out a guest's callout: a real HTTP/1.1 exchange, or the reply that Envoy makes up when there is none.
//!
//! A made-up reply has exactly `:status`, `content-length` and `content-type`; a real one has `x-envoy-upstream-service-time`. A reply that breaks
//! after its headers has no headers at all. The retry headers are obeyed as far as a filter can tell the difference: `connect-failure`, `reset` and `5xx`,
//! without back-off. Must never end without a reply.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::time::{Instant, timeout_at};

use super::exchange::{self, Failure};
use super::heads;
use super::host::{Callout, CalloutReply};
use super::pairs::Pairs;
use super::{HostKind, nginx};

/// What became of one try.
pub(super) enum Tried {
    /// It ended with this reply.
    Reply(CalloutReply),
    /// There was no reply.
    Failed(Failure),
    /// There was none in time.
    TimedOut,
}

/// Waits for the reply to a callout.
pub(super) async fn carry_out(
    callout: Callout,
    address: SocketAddr,
    host: HostKind,
) -> CalloutReply {
    let started = Instant::now();
    let deadline = (callout.timeout_ms > 0)
        .then(|| started + Duration::from_millis(callout.timeout_ms.into()));
    let number = |name: &str| -> Option<u64> {
        let value = callout.headers.get(name.as_bytes())?;
        std::str::from_utf8(value).ok()?.parse().ok()
    };
    let per_try = number("x-envoy-upstream-rq-per-try-timeout-ms").map(Duration::from_millis);
    let mut retries = number("x-envoy-max-retries").unwrap_or(0);
    loop {
        let try_ends = match (per_try, deadline) {
            (Some(per_try), Some(deadline)) => Some(deadline.min(Instant::now() + per_try)),
            (None, deadline) => deadline,
            (Some(per_try), None) => Some(Instant::now() + per_try),
        };
        let tried = try_once(&callout, address, try_ends).await;
        let time_left = deadline.is_none_or(|deadline| Instant::now() < deadline);
        if retries > 0 && time_left && is_retriable(&callout.headers, &tried) {
            retries -= 1;
            continue;
        }
        if host == HostKind::Nginx {
            return nginx::reply(tried);
        }
        return match tried {
            Tried::Reply(reply) => reply,
            Tried::Failed(failure) => made_up(failure.code(), &failure.body()),
            Tried::TimedOut => made_up(504, "upstream request timeout"),
        };
    }
}

fn is_retriable(headers: &Pairs, tried: &Tried) -> bool {
    let on = headers.get(b"x-envoy-retry-on").unwrap_or_default();
    let listed = |word: &str| {
        on.split(|byte| *byte == b',')
            .any(|known| known == word.as_bytes())
    };
    match tried {
        Tried::Reply(reply) => {
            listed("5xx")
                && reply
                    .headers
                    .get(b":status")
                    .is_some_and(|status| status.starts_with(b"5"))
        }
        Tried::Failed(Failure::Refused) => listed("connect-failure") || listed("reset"),
        Tried::Failed(Failure::Terminated | Failure::NotHttp) | Tried::TimedOut => listed("reset"),
    }
}

async fn try_once(callout: &Callout, address: SocketAddr, ends: Option<Instant>) -> Tried {
    let body = Full::new(Bytes::from(callout.body.clone()));
    let Some(request) = heads::to_request(&request_headers(callout), body) else {
        return Tried::Failed(Failure::NotHttp);
    };
    let started = Instant::now();
    let exchange = within(ends, exchange::send(address, request)).await;
    let (response, _connection) = match exchange {
        None => return Tried::TimedOut,
        Some(Err(failure)) => return Tried::Failed(failure),
        Some(Ok(answered)) => answered,
    };
    let reply = within(ends, read(response, started)).await.flatten();
    Tried::Reply(reply.unwrap_or_default())
}

/// `None` when it takes longer.
async fn within<T>(ends: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match ends {
        Some(ends) => timeout_at(ends, work).await.ok(),
        None => Some(work.await),
    }
}

fn request_headers(callout: &Callout) -> Pairs {
    let mut headers = callout.headers.clone();
    for name in [
        "x-envoy-max-retries",
        "x-envoy-retry-on",
        "x-envoy-upstream-rq-per-try-timeout-ms",
    ] {
        headers.remove(name.as_bytes());
    }
    headers.set(b"content-length", callout.body.len().to_string().as_bytes());
    if callout.body.is_empty()
        && headers
            .get(b":method")
            .is_some_and(|method| method == b"GET" || method == b"HEAD")
    {
        headers.remove(b"content-length");
    }
    headers.set(b"x-envoy-internal", b"true");
    if callout.timeout_ms > 0 {
        headers.set(
            b"x-envoy-expected-rq-timeout-ms",
            callout.timeout_ms.to_string().as_bytes(),
        );
    }
    headers
}

/// The whole reply; none if it breaks.
async fn read(response: hyper::Response<Incoming>, started: Instant) -> Option<CalloutReply> {
    let mut headers = heads::response_pairs(&response);
    headers.add(
        b"x-envoy-upstream-service-time",
        started.elapsed().as_millis().to_string().as_bytes(),
    );
    let body = response
        .into_body()
        .collect()
        .await
        .ok()?
        .to_bytes()
        .to_vec();
    Some(CalloutReply { headers, body })
}

fn made_up(code: u16, body: &str) -> CalloutReply {
    let (code, length) = (code.to_string(), body.len().to_string());
    let headers = [
        (":status", code.as_str()),
        ("content-length", &length),
        ("content-type", "text/plain"),
    ];
    CalloutReply {
        headers: headers.into_iter().collect(),
        body: body.as_bytes().to_vec(),
    }
}
