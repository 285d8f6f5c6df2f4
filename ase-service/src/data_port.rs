//! The data port: what gateways call, over HTTP/1.1, without a framework.
//!
//! One task per connection. A body is never held beyond its limit, and a connection's bug ends that connection only.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ase_core::transaction::VerdictLabel;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, EXPECT, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ase::answer::Answer;
use crate::ase::{Ase, Call, Delivery};
use crate::clock;
use crate::config::KeepAlive;
use crate::counters::Counter;

/// Longest wait for the rest of a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait of a batch for the disk; a gateway waits 5 s for the answer by default.
const DISK_PATIENCE: Duration = Duration::from_secs(2);
/// Pause after a failed accept: the usual cause is that all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Of a body over its limit, as many times the limit is read and thrown away, so that the answer reaches a client that is still sending.
const DISCARD_FACTOR: usize = 8;

/// What a body may be used for.
enum Target {
    Request,
    Response,
    Batch,
}

/// Serves until `stop` changes, then finishes what is under way within `drain`.
pub async fn serve(
    listener: TcpListener,
    ase: Arc<Ase>,
    (keep_alive, drain): (KeepAlive, Duration),
    mut stop: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(keep_alive == KeepAlive::On);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the data port cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection of the data port is gone before its first call");
        }
        let ase = Arc::clone(&ase);
        let service = service_fn(move |request| answer(Arc::clone(&ase), request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the data port broke off");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections of the data port were cut off at the end of the drain time");
    }
}

async fn answer(
    ase: Arc<Ase>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let tone = ase.leniency.tone(&ase.tokens, &request);
    let answer = match (request.uri().path(), request.method()) {
        ("/ase/request", &Method::POST) => take(Arc::clone(&ase), request, Target::Request).await,
        ("/ase/response", &Method::POST) => take(Arc::clone(&ase), request, Target::Response).await,
        ("/ase/batch", &Method::POST) => take(Arc::clone(&ase), request, Target::Batch).await,
        ("/ase", &Method::GET | &Method::HEAD) => Answer::Alive,
        (path, _) => {
            ase.counters.count(Counter::UnknownCalls);
            match path {
                "/ase/request" | "/ase/response" | "/ase/batch" => Answer::MethodNotAllowed("POST"),
                "/ase" => Answer::MethodNotAllowed("GET, HEAD"),
                _ => Answer::NotFound,
            }
        }
    };
    Ok(tone.respond(answer, &ase.counters))
}

async fn take(ase: Arc<Ase>, request: Request<Incoming>, target: Target) -> Answer {
    let Some(gateway) = ase.tokens.check(request.headers()) else {
        count_unauthorized(&ase, &target);
        return Answer::Unauthorized;
    };
    let headers = request.headers();
    let call = Call {
        gateway,
        correlation_id: correlation_id(headers),
        delivery: delivery(request.uri()),
        at: Instant::now(),
        now: clock::now(),
    };
    let origin = headers.get(ORIGIN).cloned();
    let limit = match target {
        Target::Request | Target::Response => ase.limits.body_bytes,
        Target::Batch => ase.limits.batch_bytes,
    };
    let body = match read(request, limit).await {
        Ok(body) => body,
        Err(BodyFault::TooLarge) => {
            count_refused(&ase, &target);
            return Answer::TooLarge;
        }
        Err(BodyFault::BrokenOff) => {
            count_refused(&ase, &target);
            return Answer::Malformed(String::new());
        }
    };
    let began = Instant::now();
    match target {
        Target::Request => {
            let answer = ase.request(&call, &body).await;
            ase.telemetry.question_time.record(began.elapsed());
            answer
        }
        Target::Response => ase.response(&call, &body),
        // A large batch keeps a core busy for a while; questions must not wait behind it.
        Target::Batch if origin.is_some() => {
            // Only our filter sends batches, and it is no page in a browser.
            ase.counters.count(Counter::BatchesRefused);
            Answer::Malformed("\na batch does not come from a browser".to_owned())
        }
        Target::Batch => {
            let taker = Arc::clone(&ase);
            let answer = match tokio::task::spawn_blocking(move || taker.batch(&call, &body)).await
            {
                Ok(Answer::Batch(report)) => acknowledged(&ase, report).await,
                Ok(refused) => refused,
                Err(error) => {
                    tracing::error!(%error, "a batch could not be read to its end");
                    Answer::Overloaded
                }
            };
            ase.telemetry.batch_time.record(began.elapsed());
            answer
        }
    }
}

/// What is acknowledged survives the end of this process. A gateway that is told to come again sends the same ids, so
/// nothing is doubled.
async fn acknowledged(ase: &Ase, report: Vec<u8>) -> Answer {
    match tokio::time::timeout(DISK_PATIENCE, ase.log.written()).await {
        Ok(()) => Answer::Batch(report),
        Err(_) => {
            ase.counters.count(Counter::BatchesOverloaded);
            Answer::Overloaded
        }
    }
}

fn correlation_id(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get("x-correlationid")?.as_bytes().trim_ascii();
    (!value.is_empty()).then(|| value.to_vec())
}

/// Said in the call's own target: some policies let headers of their clients ride along.
pub(crate) fn delivery(target: &Uri) -> Delivery {
    let mut parameters = target.query().unwrap_or_default().split('&');
    if parameters.any(|parameter| parameter == "delivery=batch") {
        Delivery::Batch
    } else {
        Delivery::PerCall
    }
}

fn count_unauthorized(ase: &Ase, target: &Target) {
    match target {
        Target::Request => {
            ase.counters.count(Counter::RequestsFailed);
            ase.counters.count(Counter::RequestAuthentication);
            ase.counters.count(Counter::Verdict(VerdictLabel::Rejected));
        }
        Target::Response => {
            ase.counters.count(Counter::ResponsesFailed);
            ase.counters.count(Counter::ResponseAuthentication);
        }
        Target::Batch => ase.counters.count(Counter::BatchAuthentication),
    }
}

fn count_refused(ase: &Ase, target: &Target) {
    match target {
        Target::Request => {
            ase.counters.count(Counter::RequestsFailed);
            ase.counters.count(Counter::RequestUnknown);
            ase.counters.count(Counter::Verdict(VerdictLabel::Rejected));
        }
        Target::Response => {
            ase.counters.count(Counter::ResponsesFailed);
            ase.counters.count(Counter::ResponseUnknown);
        }
        Target::Batch => ase.counters.count(Counter::BatchesRefused),
    }
}

enum BodyFault {
    TooLarge,
    BrokenOff,
}

/// The whole body, of at most `limit` bytes.
async fn read(request: Request<Incoming>, limit: usize) -> Result<Bytes, BodyFault> {
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
