//! The exporter of spans: OTLP over HTTP in its JSON form (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! A collector that is dead or slow costs its spans, which are counted, and nothing else.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::trace::{Operation, Span};
use crate::config::otel::{Endpoint, OtelSettings};

/// Most spans of one export.
const SPANS_PER_EXPORT: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// Longest wait for the collector.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two reports of a collector that takes nothing.
const REPORT_PAUSE: Duration = Duration::from_secs(60);
/// A server's span, by the number that OTLP gives the kind.
const KIND_SERVER: u8 = 2;

/// For the exporter.
#[derive(Debug)]
pub(super) enum Message {
    /// To be exported.
    Span(Span),
    /// Tell when everything before has been.
    Flush(oneshot::Sender<()>),
}

/// What became of the spans.
#[derive(Debug, Default)]
pub struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    reported: Mutex<Option<Instant>>,
}

impl Counts {
    /// Spans that the collector took.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self, spans: usize) {
        let spans = u64::try_from(spans).unwrap_or(u64::MAX);
        self.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    fn report(&self, endpoint: &Endpoint, error: &io::Error) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|last| last.elapsed() >= REPORT_PAUSE) {
            *reported = Some(Instant::now());
            tracing::warn!(%endpoint, %error, "the collector takes no spans");
        }
    }
}

/// Exports until the queue ends.
pub(super) async fn export(
    settings: OtelSettings,
    mut queue: mpsc::Receiver<Message>,
    counts: Arc<Counts>,
) {
    while let Some(first) = queue.recv().await {
        let (spans, flushed) = gather(first, &mut queue).await;
        if !spans.is_empty() {
            let body = body(&settings.service_name, &spans);
            let sent = tokio::time::timeout(PATIENCE, post(&settings.endpoint, body));
            let sent = sent
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match sent {
                Ok(()) => {
                    let exported = u64::try_from(spans.len()).unwrap_or(u64::MAX);
                    counts.exported.fetch_add(exported, Ordering::Relaxed);
                }
                Err(error) => {
                    counts.dropped(spans.len());
                    counts.report(&settings.endpoint, &error);
                }
            }
        }
        if let Some(flushed) = flushed {
            // Whoever waited may have left.
            let _left = flushed.send(());
        }
    }
}

async fn gather(
    first: Message,
    queue: &mut mpsc::Receiver<Message>,
) -> (Vec<Span>, Option<oneshot::Sender<()>>) {
    let mut spans = Vec::new();
    let deadline = tokio::time::Instant::now() + GATHER;
    let mut next = Some(first);
    loop {
        match next {
            None => return (spans, None),
            Some(Message::Flush(flushed)) => return (spans, Some(flushed)),
            Some(Message::Span(span)) => spans.push(span),
        }
        if spans.len() >= SPANS_PER_EXPORT {
            return (spans, None);
        }
        // The end of the time gathers no more, just as the end of the queue.
        let received = tokio::time::timeout_at(deadline, queue.recv()).await;
        next = received.unwrap_or_default();
    }
}

async fn post(endpoint: &Endpoint, body: String) -> io::Result<()> {
    let stream = TcpStream::connect(endpoint.authority()).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.path())
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other);
    let status = match response {
        Ok(response) => {
            let status = response.status();
            // The answer is read so that the collector sees its end; what it says about single spans is not used.
            drop(
                http_body_util::Limited::new(response.into_body(), 65_536)
                    .collect()
                    .await,
            );
            Ok(status)
        }
        Err(error) => Err(error),
    };
    connection.abort();
    match status? {
        StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
        other => Err(io::Error::other(format!("it answers {other}"))),
    }
}

fn body(service: &str, spans: &[Span]) -> String {
    let spans: Vec<Value> = spans.iter().map(span_json).collect();
    let resource = [
        attribute("service.name", service),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "ase"}, "spans": spans}],
    }]})
    .to_string()
}

fn span_json(span: &Span) -> Value {
    let start = u128::from(span.started.0) * 1_000_000;
    let end = start + span.took.as_nanos();
    let (name, path, verdict) = match span.operation {
        Operation::Question(verdict) => ("POST /ase/request", "/ase/request", verdict),
        Operation::Batch => ("POST /ase/batch", "/ase/batch", None),
    };
    let mut attributes = vec![
        attribute("http.request.method", "POST"),
        attribute("url.path", path),
        attribute("ase.gateway", &span.gateway),
    ];
    attributes.extend(verdict.map(|verdict| attribute("ase.verdict", verdict.as_str())));
    let mut json = json!({
        "traceId": format!("{:032x}", span.trace), "spanId": format!("{:016x}", span.id),
        "name": name, "kind": KIND_SERVER,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": attributes, "status": {},
    });
    if let (Some(parent), Some(object)) = (span.parent, json.as_object_mut()) {
        object.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    json
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
