//! The accept loop of the management port.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::server::TlsStream;

use super::caller::Peer;
use crate::tls::Tls;

/// Pause after a failed accept: the usual cause is that all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What connections of the port may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest wait for the headers of a request, from the end of the one before on.
    pub header_timeout: Duration,
    /// Longest wait for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Most connections at once; more wait to be accepted.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            connections: 256,
        }
    }
}

/// Serves until `stop` changes, then finishes what is under way within `drain`.
pub async fn serve(
    listener: TcpListener,
    (router, tls): (Router, Option<Arc<Tls>>),
    (bounds, drain): (Bounds, Duration),
    mut stop: watch::Receiver<bool>,
) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.changed() => break,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let router = router.clone().layer(axum::Extension(peer));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(bounds.header_timeout);
        let service = TowerToHyperService::new(router);
        let watcher = connections.watcher();
        let tls = tls.clone();
        tokio::spawn(async move {
            let served = match tls {
                None => {
                    let connection = http.serve_connection(TokioIo::new(stream), service);
                    watcher.watch(connection).await
                }
                Some(tls) => {
                    let Some(stream) = shaken(&tls, stream, bounds.handshake_timeout).await else {
                        return;
                    };
                    let connection = http.serve_connection(TokioIo::new(stream), service);
                    watcher.watch(connection).await
                }
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of the management port broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "connections of the management port were cut off at the end of the drain time"
        );
    }
}

async fn shaken(tls: &Tls, stream: TcpStream, patience: Duration) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(patience, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake of the management port failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake of the management port took too long");
            None
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, Peer(peer), place)),
        Err(error) => {
            tracing::warn!(%error, "the management port cannot accept a connection");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PATIENCE: Duration = Duration::from_secs(20);
    const CALL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// A port with these bounds; it serves as long as the sender is kept.
    async fn port(bounds: Bounds) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(
            listener,
            (router, None),
            (bounds, Duration::ZERO),
            stopped,
        ));
        (address, stop)
    }

    async fn connected(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    /// What comes until the other end closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
        // A reset is an end too.
        drop(read.await.expect("the connection stays open"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        let mut bytes = [0; 1024];
        stream.write_all(CALL).await.unwrap();
        let read = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..read]).contains("here")
    }

    #[tokio::test]
    async fn headers_that_do_not_come_and_idle_connections_are_cut_off() {
        let bounds = Bounds {
            header_timeout: Duration::from_millis(200),
            ..Bounds::default()
        };
        let (address, _stop) = port(bounds).await;
        let mut silent = connected(address).await;
        let mut slow = connected(address).await;
        slow.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
        let mut idle = connected(address).await;
        assert!(answered(&mut idle).await);
        for stream in [&mut silent, &mut slow, &mut idle] {
            let said = rest(stream).await;
            assert!(!said.contains(" 200 "), "{said}");
        }
    }

    #[tokio::test]
    async fn a_connection_over_the_bound_waits_until_another_ends() {
        let bounds = Bounds {
            connections: 2,
            ..Bounds::default()
        };
        let (address, _stop) = port(bounds).await;
        let (mut first, mut second) = (connected(address).await, connected(address).await);
        assert!(answered(&mut first).await && answered(&mut second).await);
        let mut third = connected(address).await;
        let early = tokio::time::timeout(Duration::from_millis(300), answered(&mut third)).await;
        assert!(early.is_err(), "a third connection is served");
        drop(first);
        let mut bytes = [0; 1024];
        let read = tokio::time::timeout(PATIENCE, third.read(&mut bytes)).await;
        let read = read.expect("the place is not given on").unwrap();
        assert!(String::from_utf8_lossy(&bytes[..read]).contains("here"));
    }
}
