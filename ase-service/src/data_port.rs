//! The data port: what gateways call, over HTTP/1.1 and HTTP/2, plain, with TLS or through a Unix socket, without a framework.
//!
//! Two tasks per connection, one of which only looks at it from time to time, and no more per call on HTTP/1.1. A connection's bug ends that connection only. What is over a limit
//! is answered where the protocol allows it, and counted always.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use crate::ase::{Ase, Delivery};
use crate::config::KeepAlive;
use crate::config::transport::{TransportLimits, UnixListen};
use crate::counters::{Counter, PortEvent};
use crate::telemetry::connections;
use crate::tls::Tls;

mod activity;
mod body;
mod call;
mod connection;
mod farewell;
mod fast_path;
mod lookout;
mod room;
mod stream;
mod unix;

use farewell::Farewell;
use room::Room;
use stream::Socket;

/// What TLS listeners offer by ALPN.
pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Pause after a failed accept: the usual cause is that all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most clients at a time that are told that there is no room; the others are only closed.
const MOST_LEAVING: usize = 256;
/// Headers that hyper takes by default.
const HYPER_HEADERS: usize = 100;
/// Of a call's header section over HTTP/2, what one header line costs beside its text (RFC 9113 §6.5.2).
const H2_LINE_BYTES: usize = 32;

/// What all listeners share.
pub struct Port {
    ase: Arc<Ase>,
    room: Arc<Room>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    keep_alive: KeepAlive,
}

/// One way to reach the data port.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    /// Given back when the listener is dropped.
    _name: Option<unix::Name>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<Tls>),
    Unix(UnixListener),
}

/// A connection before its first byte.
enum Newcomer {
    Tcp(TcpStream),
    Tls(TcpStream, Arc<Tls>),
    Unix(UnixStream),
}

/// A connection that shows in the metrics until it is dropped.
struct Shown {
    port: Arc<Port>,
    by: connections::Listener,
}

impl Port {
    /// The port of `ase`, without a listener yet.
    #[must_use]
    pub fn new(ase: Arc<Ase>, keep_alive: KeepAlive) -> Arc<Self> {
        let limits = &ase.limits.transport;
        let mut http1 = http1::Builder::new();
        // No timer: the connection's own looks cost nothing per call.
        http1
            .keep_alive(keep_alive == KeepAlive::On)
            .header_read_timeout(None)
            // One write of a short answer in one piece costs less than a gathering one.
            .writev(false)
            // Of trailers; the buffer bounds the headers.
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes);
        // Hyper keeps room for its default number on the stack, and for any other on the heap.
        if limits.headers != HYPER_HEADERS {
            http1.max_headers(limits.headers);
        }
        let lines = limits.headers.saturating_mul(H2_LINE_BYTES);
        let header_list = limits.header_bytes.saturating_add(lines);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        // Against rapid resets hyper's own bounds stay: 20 streams that were reset before they were accepted, 1024 that had to be
        // reset for the client's errors.
        http2
            .max_concurrent_streams(limits.h2_streams)
            .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX));
        Arc::new(Self {
            room: Arc::new(Room::new(
                limits.connections,
                limits.in_flight,
                MOST_LEAVING,
            )),
            ase,
            http1,
            http2,
            keep_alive,
        })
    }

    fn limits(&self) -> &TransportLimits {
        &self.ase.limits.transport
    }

    fn count(&self, event: PortEvent) {
        self.ase.counters.count(Counter::DataPort(event));
    }
}

impl Listener {
    /// Plain HTTP.
    #[must_use]
    pub fn plain(listener: TcpListener) -> Self {
        Self::of(Kind::Tcp(listener))
    }

    /// HTTP over TLS.
    #[must_use]
    pub fn tls(listener: TcpListener, tls: Arc<Tls>) -> Self {
        Self::of(Kind::Tls(listener, tls))
    }

    /// Plain HTTP through a Unix socket, whose name is given back when this is dropped.
    ///
    /// # Errors
    /// When the name is in use or cannot be had.
    pub fn unix(listen: &UnixListen) -> io::Result<Self> {
        let (listener, name) = unix::bind(listen)?;
        Ok(Self {
            _name: Some(name),
            ..Self::of(Kind::Unix(listener))
        })
    }

    fn of(kind: Kind) -> Self {
        Self { kind, _name: None }
    }

    async fn accept(&self) -> io::Result<Newcomer> {
        match &self.kind {
            Kind::Tcp(listener) => Ok(Newcomer::Tcp(undelayed(listener.accept().await?.0))),
            Kind::Tls(listener, tls) => {
                let stream = undelayed(listener.accept().await?.0);
                Ok(Newcomer::Tls(stream, Arc::clone(tls)))
            }
            Kind::Unix(listener) => Ok(Newcomer::Unix(listener.accept().await?.0)),
        }
    }
}

/// How the rest of an exchange will come. Said in the call's own target: some policies let headers of their clients ride along.
fn delivery(query: Option<&str>) -> Delivery {
    let mut parameters = query.unwrap_or_default().split('&');
    if parameters.any(|parameter| parameter == "delivery=batch") {
        Delivery::Batch
    } else {
        Delivery::PerCall
    }
}

fn undelayed(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection of the data port is gone before its first call");
    }
    stream
}

/// Serves until `stop` changes, then finishes what is under way within `drain`.
pub async fn serve(
    listener: Listener,
    port: Arc<Port>,
    drain: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok(newcomer) => {
                failing = false;
                welcome(&port, newcomer, &stop);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                port.count(PortEvent::AcceptFailed);
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the data port cannot accept a connection and tries on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(drain, port.room.emptied())
        .await
        .is_err()
    {
        tracing::warn!("connections of the data port were cut off at the end of the drain time");
    }
}

impl Newcomer {
    fn listener(&self) -> connections::Listener {
        match self {
            Self::Tcp(_) => connections::Listener::Plain,
            Self::Tls(..) => connections::Listener::Tls,
            Self::Unix(_) => connections::Listener::Unix,
        }
    }
}

impl Shown {
    fn new(port: &Arc<Port>, newcomer: &Newcomer) -> Self {
        let (port, by) = (Arc::clone(port), newcomer.listener());
        port.ase.telemetry.connections.opened(by);
        Self { port, by }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.port.ase.telemetry.connections.closed(self.by);
    }
}

fn welcome(port: &Arc<Port>, newcomer: Newcomer, stop: &watch::Receiver<bool>) {
    if let Some(room) = port.room.for_connection() {
        let (port, stop) = (Arc::clone(port), stop.clone());
        let shown = Shown::new(&port, &newcomer);
        tokio::spawn(async move {
            connection::serve(port, newcomer, stop).await;
            drop(shown);
            drop(room);
        });
        return;
    }
    port.count(PortEvent::ConnectionsRefused);
    let socket = match newcomer {
        Newcomer::Tcp(stream) => Socket::Tcp(stream),
        Newcomer::Unix(stream) => Socket::Unix(stream),
        // A handshake costs more than the call that there is no room for.
        Newcomer::Tls(..) => return,
    };
    if let Some(room) = port.room.for_leaving() {
        tokio::spawn(async move {
            connection::say(socket, Farewell::Overloaded).await;
            drop(room);
        });
    }
}
