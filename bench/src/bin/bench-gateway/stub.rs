//! One native stub that answers every variant's check and log at equal cost, and the API behind the gateway.
//!
//! All of it runs on the thread of the load, which never sleeps: no variant pays for waking anybody. A question is answered 200, or 403 for a listed client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, SERVER};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::grpc::Service;
use crate::requests::LISTED_PREFIX;

/// How late the slow stub is.
pub(crate) const SLOW: Duration = Duration::from_millis(20);

/// What the stub has been asked so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    questions: AtomicU64,
    records: AtomicU64,
}

impl Seen {
    /// One more question.
    pub(crate) fn question(&self) {
        self.0.questions.fetch_add(1, Ordering::Relaxed);
    }

    /// One more call with records.
    pub(crate) fn records(&self) {
        self.0.records.fetch_add(1, Ordering::Relaxed);
    }

    /// Questions, and calls with records.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let Counts { questions, records } = &*self.0;
        (
            questions.load(Ordering::Relaxed),
            records.load(Ordering::Relaxed),
        )
    }
}

/// How calls to ASE are answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// So late.
    pub(crate) late: Duration,
    /// A real ASE's image of its lists and APIs, for mode `local`.
    pub(crate) image: Option<Bytes>,
}

/// Where the stub and the API are.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    pub(crate) ase: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) seen: Seen,
}

impl Stub {
    /// Serves on free ports of loopback for as long as the runtime runs.
    pub(crate) async fn start(manner: Manner) -> Result<Self> {
        let seen = Seen::default();
        Ok(Self {
            ase: serve(Role::Ase(manner), &seen).await?,
            grpc: serve(Role::Grpc, &seen).await?,
            upstream: serve(Role::Api, &seen).await?,
            seen,
        })
    }
}

#[derive(Clone, Debug)]
enum Role {
    Ase(Manner),
    Grpc,
    Api,
}

async fn serve(role: Role, seen: &Seen) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let seen = seen.clone();
    tokio::spawn(async move {
        // An error of `accept` ends the listener, and with it the run: the next call fails.
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(role.clone(), stream, seen.clone()));
        }
    });
    Ok(address)
}

async fn connection(role: Role, stream: TcpStream, seen: Seen) {
    // Without it answers are late, which the tables would show.
    drop(stream.set_nodelay(true));
    let stream = TokioIo::new(stream);
    // Envoy leaves by closing.
    match role {
        Role::Ase(manner) => {
            let answer = service_fn(|request| answer(request, manner.clone(), seen.clone()));
            let http = http1::Builder::new();
            drop(http.serve_connection(stream, answer).await);
        }
        Role::Api => {
            let http = http1::Builder::new();
            drop(http.serve_connection(stream, service_fn(api)).await);
        }
        Role::Grpc => {
            let answer = service_fn(|request| grpc(request, seen.clone()));
            let mut http = http2::Builder::new(TokioExecutor::new());
            // A log may have as much under way as it likes.
            http.initial_stream_window_size(1 << 20)
                .initial_connection_window_size(1 << 22);
            drop(http.serve_connection(stream, answer).await);
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    manner: Manner,
    seen: Seen,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    if !manner.late.is_zero() {
        tokio::time::sleep(manner.late).await;
    }
    let response = match head.uri.path() {
        "/ase/batch" => {
            seen.records();
            // Nothing is ever listed while it runs.
            let names_its_image = head
                .uri
                .query()
                .is_some_and(|query| query.contains("image="));
            let receipt: &'static [u8] = if names_its_image {
                br#"{"accepted":1,"duplicates":0,"image":"current"}"#
            } else {
                br#"{"accepted":1,"duplicates":0}"#
            };
            said(StatusCode::OK, "allowed", receipt)
        }
        "/ase/response" => {
            seen.records();
            said(StatusCode::OK, "allowed", b"OK")
        }
        "/ase/image" => image(head.uri.query(), manner.image),
        // A health check.
        "/ase" => said(StatusCode::OK, "allowed", b"OK"),
        _ => {
            seen.question();
            let told = head
                .headers
                .get("x-forwarded-for")
                .map(HeaderValue::as_bytes);
            if told.is_some_and(is_listed) || body.is_ok_and(|body| asks_for_listed(&body)) {
                said(StatusCode::FORBIDDEN, "blocked", b"Error: Unauthorized")
            } else {
                said(StatusCode::OK, "allowed", b"OK")
            }
        }
    };
    Ok(response)
}

/// The image, or that the gateway has it: it never changes here.
fn image(query: Option<&str>, image: Option<Bytes>) -> Response<Full<Bytes>> {
    let have = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("have="));
    match (image, have) {
        (None, _) => said(StatusCode::NOT_FOUND, "rejected", b""),
        (Some(_), Some(have)) if !have.is_empty() => said(StatusCode::NO_CONTENT, "allowed", b""),
        (Some(image), _) => {
            let mut response = said(StatusCode::OK, "allowed", b"").map(|_| Full::new(image));
            let kind = HeaderValue::from_static("application/vnd.ase.image");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
    }
}

/// Whether the address of the client in the question, which comes first in it, is a listed one.
fn asks_for_listed(body: &[u8]) -> bool {
    body.strip_prefix(br#"{"source_ip":""#)
        .is_some_and(is_listed)
}

fn is_listed(address: &[u8]) -> bool {
    address.starts_with(LISTED_PREFIX.as_bytes())
}

fn said(status: StatusCode, verdict: &'static str, body: &'static [u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("ASE"));
    headers.insert(
        HeaderName::from_static("x-ase-verdict"),
        HeaderValue::from_static(verdict),
    );
    response
}

async fn api(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _body = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(&[b'x'; 512])));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=60"),
    );
    headers.insert(ETAG, HeaderValue::from_static("\"5f0c9a3be1d24c77\""));
    headers.insert(SERVER, HeaderValue::from_static("shop"));
    Ok(response)
}

async fn grpc(
    request: Request<Incoming>,
    seen: Seen,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let (head, body) = request.into_parts();
    Ok(match Service::at(head.uri.path()) {
        Some(service) => service.answer(body, seen).map(BoxBody::new),
        None => {
            let nothing = Full::new(Bytes::new()).map_err(|never| match never {});
            let mut response = Response::new(BoxBody::new(nothing));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_client_of_a_question_makes_it_one_of_a_listed_client() {
        assert!(asks_for_listed(
            br#"{"source_ip":"203.0.113.7","method":"GET"}"#
        ));
        assert!(!asks_for_listed(
            br#"{"source_ip":"10.0.0.1","headers":[{"x-forwarded-for":"203.0.113.7"}]}"#
        ));
    }
}
