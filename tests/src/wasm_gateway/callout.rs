//! Carries out a guest's callout: a real HTTP/1.1 exchange, or the reply that Envoy makes up when there is none.
//!
//! A made-up reply has exactly `:status`, `content-length` and `content-type`; a real one has `x-envoy-upstream-service-time`. A reply that breaks
//! after its headers has no headers at all. Must never end without a reply.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::time::{Instant, timeout_at};

use super::exchange::{self, Failure};
use super::heads;
use super::host::{Callout, CalloutReply};
use super::pairs::Pairs;

/// Waits for the reply to a callout.
pub(super) async fn carry_out(callout: Callout, address: SocketAddr) -> CalloutReply {
    let Some(request) = heads::to_request(
        &request_headers(&callout),
        Full::new(Bytes::from(callout.body)),
    ) else {
        return made_up(Failure::NotHttp.code(), &Failure::NotHttp.body());
    };
    let started = Instant::now();
    let exchange = exchange::send(address, request);
    if callout.timeout_ms == 0 {
        return match exchange.await {
            Ok((response, _connection)) => read(response, started).await.unwrap_or_default(),
            Err(failure) => made_up(failure.code(), &failure.body()),
        };
    }
    let deadline = started + Duration::from_millis(callout.timeout_ms.into());
    match timeout_at(deadline, exchange).await {
        Err(_) => made_up(504, "upstream request timeout"),
        Ok(Err(failure)) => made_up(failure.code(), &failure.body()),
        Ok(Ok((response, _connection))) => {
            match timeout_at(deadline, read(response, started)).await {
                Ok(Some(reply)) => reply,
                Ok(None) | Err(_) => CalloutReply::default(),
            }
        }
    }
}

fn request_headers(callout: &Callout) -> Pairs {
    let mut headers = callout.headers.clone();
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
