//! The network side of the gateway: hyper in front, hyper behind, and between them only messages to and from the VM.
//!
//! Each request has an upstream task and, with a body, a pump; both end with the exchange, whichever side ends it. Must never decide
//! anything that a filter could see differently; what Envoy decides before its filters is in `heads.rs`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::event::Event;
use super::exchange;
use super::heads::{self, RequestHead};
use super::stream::{Ack, ContextId, Direction, End, Peer, Piece};
use super::{HeadLimits, RemoteAddress};

/// hyper's own limit, above Envoy's: the refusal is ours.
const PARSED_HEADERS: usize = 2048;

/// The gateway's listener and its way to the VM.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) upstream: SocketAddr,
    pub(super) remote: RemoteAddress,
    pub(super) limits: HeadLimits,
    pub(super) local: SocketAddr,
    /// The next context's number, shared with the VM.
    pub(super) contexts: Arc<AtomicU32>,
    pub(super) connections: AtomicU64,
}

/// The exchange broke before its end; the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the exchange was broken off")]
pub(super) struct BrokenOff;

impl Front {
    /// Serves until it is dropped.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, peer)) = accepted {
                        connections.spawn(Arc::clone(&self).connection(stream, peer));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, source: SocketAddr) {
        // Without it replies are late, not wrong.
        stream.set_nodelay(true).ok();
        let peer = Peer {
            source,
            local: self.local,
            connection: self.connections.fetch_add(1, Ordering::Relaxed),
        };
        let service = service_fn(|request| Arc::clone(&self).serve(request, peer.clone()));
        let served = http1::Builder::new()
            .max_headers(PARSED_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served
            && error.is_parse()
        {
            let code = if error.is_parse_too_large() {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            self.rejected(
                peer,
                heads::Rejection {
                    code,
                    details: "http1.codec_error",
                    head: super::pairs::Pairs::default(),
                },
            );
        }
    }

    async fn serve(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: Peer,
    ) -> Result<Response<ChannelBody>, BrokenOff> {
        let RequestHead { pairs, source } =
            match heads::request_head(&request, peer.source, self.remote, self.limits) {
                Ok(head) => head,
                Err(rejection) => return Ok(self.rejected(peer, rejection)),
            };
        let client_upgrade =
            heads::is_upgrade(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (to_upstream, from_filter) = mpsc::unbounded_channel();
        let (to_client, mut reply) = mpsc::unbounded_channel();
        let id = ContextId(self.contexts.fetch_add(1, Ordering::Relaxed));
        let body = request.into_body();
        let end = End::of(&body);
        let peer = Peer { source, ..peer };
        self.send(Event::Open {
            id,
            peer,
            head: pairs,
            end,
            to_upstream,
            to_client,
        });
        let upstream_upgrade = UpgradeSlot::default();
        let forward =
            tokio::spawn(Arc::clone(&self).forward(id, from_filter, Arc::clone(&upstream_upgrade)));
        let mut guard = StreamGuard {
            id,
            events: self.events.clone(),
            tasks: vec![forward.abort_handle()],
        };
        if end == End::More {
            let events = self.events.clone();
            // A request body that breaks off is seen as the end of the client's connection.
            let pump =
                tokio::spawn(async move { pump(body, id, Direction::Request, &events).await.ok() });
            guard.tasks.push(pump.abort_handle());
        }
        let Some(Piece::Head(head, end)) = reply.recv().await else {
            return Err(BrokenOff);
        };
        if head.get(b":status") == Some(b"101") {
            return switch_protocols(&head, client_upgrade, &upstream_upgrade, guard);
        }
        let body = ChannelBody {
            pieces: Some(reply),
            ended: end == End::Last,
            guard: Some(guard),
        };
        heads::to_response(&head, body).ok_or(BrokenOff)
    }

    /// Answers in Envoy's place and has the access log written.
    fn rejected(&self, peer: Peer, rejection: heads::Rejection) -> Response<ChannelBody> {
        let id = ContextId(self.contexts.fetch_add(1, Ordering::Relaxed));
        let code = rejection.code;
        self.send(Event::Rejected {
            id,
            peer,
            head: rejection.head,
            code: code.as_u16(),
            details: rejection.details,
        });
        let mut response = Response::new(ChannelBody {
            pieces: None,
            ended: true,
            guard: None,
        });
        *response.status_mut() = code;
        response.headers_mut().insert(
            "connection",
            hyper::header::HeaderValue::from_static("close"),
        );
        response
            .headers_mut()
            .insert("server", hyper::header::HeaderValue::from_static("envoy"));
        response
    }

    /// Takes what the filter lets go to the upstream, and brings the reply back to the filter.
    async fn forward(
        self: Arc<Self>,
        id: ContextId,
        mut pieces: mpsc::UnboundedReceiver<Piece>,
        upgrade: UpgradeSlot,
    ) {
        let Some(Piece::Head(head, end)) = pieces.recv().await else {
            return;
        };
        let body = ChannelBody {
            pieces: Some(pieces),
            ended: end == End::Last,
            guard: None,
        };
        let Some(request) = heads::to_request(&head, body) else {
            self.send(Event::UpstreamFailed {
                id,
                failure: exchange::Failure::NotHttp,
            });
            return;
        };
        let started = Instant::now();
        let (mut response, _connection) = match exchange::send(self.upstream, request).await {
            Ok(exchange) => exchange,
            Err(failure) => {
                self.send(Event::UpstreamFailed { id, failure });
                return;
            }
        };
        let mut head = heads::response_pairs(&response);
        head.add(
            b"x-envoy-upstream-service-time",
            started.elapsed().as_millis().to_string().as_bytes(),
        );
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            *upgrade.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(hyper::upgrade::on(&mut response));
            self.send(Event::ResponseHead {
                id,
                head,
                end: End::More,
            });
            // The connection's task hands the socket over and is kept for that long; the exchange's end aborts this task.
            std::future::pending::<Infallible>().await;
            return;
        }
        let body = response.into_body();
        let end = End::of(&body);
        self.send(Event::ResponseHead { id, head, end });
        if end == End::More
            && let Err(error) = pump(body, id, Direction::Response, &self.events).await
        {
            self.send(Event::UpstreamFailed {
                id,
                failure: error.into(),
            });
        }
    }

    fn send(&self, event: Event) {
        // A VM that has gone takes the listener with it.
        self.events.send(event).ok();
    }
}

/// Where the upstream's side of a protocol switch waits for the client's.
type UpgradeSlot = Arc<Mutex<Option<OnUpgrade>>>;

fn switch_protocols(
    head: &super::pairs::Pairs,
    client: Option<OnUpgrade>,
    upstream: &UpgradeSlot,
    guard: StreamGuard,
) -> Result<Response<ChannelBody>, BrokenOff> {
    let upstream = upstream
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let (Some(client), Some(upstream)) = (client, upstream) else {
        return Err(BrokenOff);
    };
    tokio::spawn(async move {
        let _until_the_end = guard;
        if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
            // Either side may end the tunnel in any way.
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream))
                .await
                .ok();
        }
    });
    heads::to_response(
        head,
        ChannelBody {
            pieces: None,
            ended: true,
            guard: None,
        },
    )
    .ok_or(BrokenOff)
}

/// Feeds a body to the VM, piece by piece, each when the one before has been let in.
async fn pump(
    mut body: Incoming,
    id: ContextId,
    direction: Direction,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), hyper::Error> {
    loop {
        let (bytes, end) = match body.frame().await {
            None => (Bytes::new(), End::Last),
            Some(frame) => match frame?.into_data() {
                Ok(bytes) => (bytes, End::of(&body)),
                // Trailers: dropped, as by Envoy's HTTP/1 codec with default settings.
                Err(_) => continue,
            },
        };
        let (ack, let_in) = oneshot::channel();
        events
            .send(Event::Data {
                id,
                direction,
                bytes,
                end,
                ack: Ack(Some(ack)),
            })
            .ok();
        // An exchange that has ended takes this task with it.
        let_in.await.ok();
        if end == End::Last {
            return Ok(());
        }
    }
}

/// Tells the VM when the exchange is over, and ends its tasks.
#[derive(Debug)]
struct StreamGuard {
    id: ContextId,
    events: mpsc::UnboundedSender<Event>,
    tasks: Vec<AbortHandle>,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // A VM that has gone has no streams.
        self.events.send(Event::Closed { id: self.id }).ok();
    }
}

/// A body whose pieces the VM lets go.
#[derive(Debug)]
pub(super) struct ChannelBody {
    pieces: Option<mpsc::UnboundedReceiver<Piece>>,
    ended: bool,
    #[expect(dead_code, reason = "acts when it is dropped")]
    guard: Option<StreamGuard>,
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        let Some(pieces) = this.pieces.as_mut().filter(|_| !this.ended) else {
            return Poll::Ready(None);
        };
        match pieces.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Piece::Data(bytes, end))) => {
                this.ended = end == End::Last;
                Poll::Ready(if bytes.is_empty() && this.ended {
                    None
                } else {
                    Some(Ok(Frame::data(bytes)))
                })
            }
            Poll::Ready(Some(Piece::Head(..)) | None) => Poll::Ready(Some(Err(BrokenOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
