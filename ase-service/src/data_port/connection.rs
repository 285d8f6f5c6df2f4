//! One connection from its first byte to its last.
//!
//! The protocol is told by ALPN or by the first bytes. A connection that is slow with its headers is told so and left, an idle one
//! is closed, and one that a stop finds is closed when its calls are answered.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::activity::{Activity, Patience, Timeouts};
use super::call::{self, Caller};
use super::farewell::Farewell;
use super::fast_path::{self, Left};
use super::lookout::{AbortOnDrop, Lookout, Order, Orders, SlowHead};
use super::stream::{Socket, Watched};
use super::{Newcomer, Port};
use crate::config::KeepAlive;
use crate::counters::PortEvent;

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take to hear the last words and to stop sending.
const LINGER: Duration = Duration::from_secs(1);
/// Most that is read and thrown away meanwhile, in bytes.
const LINGER_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// How the serving of a connection ended.
enum Ended<T> {
    /// By itself.
    Done(T),
    /// The rest of a header section did not come.
    SlowHead,
    /// It was asked to end and did not.
    Cut,
}

/// Serves one connection to its end.
pub(super) async fn serve(port: Arc<Port>, newcomer: Newcomer, mut stop: watch::Receiver<bool>) {
    let opened = tokio::select! {
        opened = open(&port, newcomer) => opened,
        // Nothing has been asked yet.
        _ = stop.wait_for(|stopped| *stopped) => return,
    };
    let Some((mut socket, first, protocol)) = opened else {
        return;
    };
    let activity = Arc::new(Activity::default());
    let caller = Arc::new(Caller {
        ase: Arc::clone(&port.ase),
        room: Arc::clone(&port.room),
        activity: Arc::clone(&activity),
    });
    let first = match protocol {
        Protocol::Http1 if port.keep_alive == KeepAlive::On => {
            let read = Vec::from(first);
            match fast(&port, (&caller, &mut socket), read, stop.clone()).await {
                Ended::Done(Left::ForHyper(read)) => {
                    port.count(PortEvent::FastPathLeft);
                    Bytes::from(read)
                }
                Ended::Done(Left::Closed) => {
                    if activity.hurried() {
                        linger(socket).await;
                    }
                    return;
                }
                Ended::SlowHead => {
                    port.count(PortEvent::HeadTooSlow);
                    return say(socket, Farewell::TimedOut).await;
                }
                Ended::Cut => return,
            }
        }
        Protocol::Http1 | Protocol::Http2 => first,
    };
    let service = service_fn(move |request| call::answer(Arc::clone(&caller), request));
    let io = TokioIo::new(Watched::new(socket, first, Arc::clone(&activity)));
    match protocol {
        Protocol::Http1 => {
            let mut connection = port.http1.serve_connection(io, service);
            let shut = http1::Connection::graceful_shutdown;
            let timeouts = Timeouts::http1(port.limits());
            let ended = drive(
                &port,
                (Pin::new(&mut connection), timeouts, SlowHead::GivenUp),
                shut,
                &activity,
                stop,
            )
            .await;
            let watched = connection.into_parts().io.into_inner();
            end_http1(&port, watched, &activity, ended).await;
        }
        Protocol::Http2 => {
            let connection = pin!(port.http2.serve_connection(io, service));
            let shut = http2::Connection::graceful_shutdown;
            let timeouts = Timeouts::http2(port.limits());
            match drive(
                &port,
                (connection, timeouts, SlowHead::Idle),
                shut,
                &activity,
                stop,
            )
            .await
            {
                Ended::Done(Ok(())) | Ended::Cut | Ended::SlowHead => {}
                Ended::Done(Err(error)) => broke_off(&error),
            }
        }
    }
}

/// Serves the usual calls, until something else comes.
async fn fast(
    port: &Port,
    (caller, socket): (&Caller, &mut Socket),
    read: Vec<u8>,
    stop: watch::Receiver<bool>,
) -> Ended<Left> {
    let leaving = AtomicBool::new(false);
    let calls = pin!(fast_path::serve(caller, socket, read, &leaving));
    let timeouts = Timeouts::http1(port.limits());
    drive(
        port,
        (calls, timeouts, SlowHead::GivenUp),
        |_| leaving.store(true, Ordering::Relaxed),
        &caller.activity,
        stop,
    )
    .await
}

/// What the connection speaks, with the bytes that told it. `None` when it is not to be served.
async fn open(port: &Port, newcomer: Newcomer) -> Option<(Socket, Bytes, Protocol)> {
    let patience = port.limits().header_timeout;
    let mut socket = match newcomer {
        Newcomer::Tcp(stream) => Socket::Tcp(stream),
        Newcomer::Unix(stream) => Socket::Unix(stream),
        Newcomer::Tls(stream, tls) => {
            let shaken = tokio::time::timeout(patience, tls.acceptor().accept(stream)).await;
            let stream = match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    port.count(PortEvent::TlsFailed);
                    tracing::debug!(%error, "a TLS handshake failed");
                    return None;
                }
                Err(_) => {
                    port.count(PortEvent::TlsFailed);
                    return None;
                }
            };
            let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let socket = Socket::Tls(Box::new(stream));
            if chosen {
                return Some((socket, Bytes::new(), Protocol::Http2));
            }
            socket
        }
    };
    let mut first = BytesMut::with_capacity(fast_path::READ_BYTES);
    let idle = port.limits().idle_timeout;
    let read = tokio::time::timeout(idle, socket.read_buf(&mut first)).await;
    if !matches!(read, Ok(Ok(1..))) {
        return None;
    }
    match tokio::time::timeout(patience, tell(&mut socket, &mut first)).await {
        Ok(Ok(protocol)) => Some((socket, first.freeze(), protocol)),
        Ok(Err(_)) => None,
        Err(_) => {
            port.count(PortEvent::HeadTooSlow);
            say(socket, Farewell::TimedOut).await;
            None
        }
    }
}

/// Reads on while the bytes could be an HTTP/2 preface.
async fn tell(socket: &mut Socket, first: &mut BytesMut) -> io::Result<Protocol> {
    loop {
        if first.starts_with(PREFACE) {
            return Ok(Protocol::Http2);
        }
        if !PREFACE.starts_with(first) || socket.read_buf(first).await? == 0 {
            return Ok(Protocol::Http1);
        }
    }
}

/// Polls a connection until it ends, is left, or has to be. The looks at it are a task of their own: polled here, their
/// timer would cost as much as hyper's own work on a call.
async fn drive<C: Future>(
    port: &Port,
    (mut connection, timeouts, slow_head): (Pin<&mut C>, Timeouts, SlowHead),
    shut: impl Fn(Pin<&mut C>),
    activity: &Arc<Activity>,
    stop: watch::Receiver<bool>,
) -> Ended<C::Output> {
    let orders = Arc::new(Orders::default());
    let lookout = Lookout {
        activity: Arc::clone(activity),
        orders: Arc::clone(&orders),
        patience: Patience::new(timeouts, Instant::now()),
        slow_head,
        leave_within: port.limits().header_timeout,
    };
    let lookout = AbortOnDrop(tokio::spawn(lookout.watch(stop)));
    let mut waker = None;
    let ended = poll_fn(|cx| {
        orders.reach(cx.waker(), &mut waker);
        while let Some(order) = orders.take() {
            match order {
                Order::Shut => shut(connection.as_mut()),
                Order::CloseIdle => {
                    port.count(PortEvent::IdleClosed);
                    shut(connection.as_mut());
                }
                // The call that waits for it looks for itself.
                Order::GiveBodyUp => {}
                Order::GiveHeadUp => return Poll::Ready(Ended::SlowHead),
                Order::Cut => return Poll::Ready(Ended::Cut),
            }
        }
        connection.as_mut().poll(cx).map(Ended::Done)
    })
    .await;
    drop(lookout);
    ended
}

async fn end_http1(
    port: &Port,
    watched: Watched,
    activity: &Activity,
    ended: Ended<hyper::Result<()>>,
) {
    match ended {
        Ended::Done(Ok(())) => {
            if activity.hurried() {
                linger(watched.into_socket()).await;
            }
        }
        Ended::Done(Err(error)) => {
            broke_off(&error);
            match watched.farewell() {
                Some(Farewell::HeadersTooLarge) => port.count(PortEvent::HeadersTooLarge),
                Some(Farewell::NotHttp) => port.count(PortEvent::NotHttp),
                Some(Farewell::Overloaded | Farewell::TimedOut) | None => return,
            }
            linger(watched.into_socket()).await;
        }
        Ended::SlowHead => {
            port.count(PortEvent::HeadTooSlow);
            say(watched.into_socket(), Farewell::TimedOut).await;
        }
        Ended::Cut => {}
    }
}

fn broke_off(error: &hyper::Error) {
    tracing::debug!(%error, "a connection of the data port broke off");
}

/// Says the last words and closes.
pub(super) async fn say(mut socket: Socket, farewell: Farewell) {
    let said = async {
        socket.write_all(farewell.bytes()).await?;
        socket.shutdown().await
    };
    if matches!(tokio::time::timeout(LINGER, said).await, Ok(Ok(()))) {
        linger(socket).await;
    }
}

/// Reads what the client still sends: to close at once would reset the connection, and the client would not hear the answer.
async fn linger(mut socket: Socket) {
    let mut thrown_away = vec![0; 8192];
    let reading = async {
        let mut seen = 0_usize;
        while seen < LINGER_BYTES {
            match socket.read(&mut thrown_away).await {
                Ok(0) | Err(_) => break,
                Ok(amount) => seen = seen.saturating_add(amount),
            }
        }
    };
    // Whoever still sends after that has had the time to hear.
    drop(tokio::time::timeout(LINGER, reading).await);
}
