//! A TCP server of a test: its port stays its own while it does not listen.
//!
//! Must never outlive its test: dropping it ends the accept thread and every connection.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

/// Longest wait for a port that is in use for the moment.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// What serves one connection, on its own thread.
type Serve = dyn Fn(&TcpStream) + Send + Sync;

/// Copies of the connections that are open, by number.
#[derive(Default)]
struct Connections(Mutex<BTreeMap<u64, TcpStream>>);

/// A bound port on which nobody listens: connections are refused.
#[derive(Debug)]
pub struct HeldPort {
    socket: Socket,
    address: SocketAddr,
}

/// A server that accepts connections.
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

impl HeldPort {
    /// Takes a free loopback port.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn any() -> Result<Self> {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    fn at(address: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket
            .bind(&address.into())
            .with_context(|| format!("bind {address}"))?;
        let address = socket
            .local_addr()?
            .as_socket()
            .context("port without an address")?;
        Ok(Self { socket, address })
    }

    /// Where connections are refused.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to accept; each connection runs `serve` on a thread.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(self, serve: Arc<Serve>) -> Result<Server> {
        self.socket.listen(1024)?;
        let listener = TcpListener::from(self.socket);
        let stopping = Arc::new(AtomicBool::new(false));
        let connections = Arc::<Connections>::default();
        let accepting = {
            let (stopping, connections) = (Arc::clone(&stopping), Arc::clone(&connections));
            std::thread::spawn(move || accept(&listener, &stopping, &connections, &serve))
        };
        Ok(Server {
            address: self.address,
            stopping,
            connections,
            accepting: Some(accepting),
        })
    }
}

fn accept(
    listener: &TcpListener,
    stopping: &AtomicBool,
    connections: &Arc<Connections>,
    serve: &Arc<Serve>,
) {
    for (number, stream) in (0..).zip(listener.incoming()) {
        if stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(copy) = stream.try_clone() {
            connections.open().insert(number, copy);
        }
        let (serve, connections) = (Arc::clone(serve), Arc::clone(connections));
        std::thread::spawn(move || {
            serve(&stream);
            // The copy kept for closing would hold the connection open.
            drop(stream.shutdown(Shutdown::Both));
            connections.open().remove(&number);
        });
    }
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Where it accepts.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, cuts every connection and keeps the port.
    ///
    /// # Errors
    /// When the port cannot be held.
    pub fn close(mut self) -> Result<HeldPort> {
        self.stop();
        // Between the two a connection of somebody else may have been given the port as its own end.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match HeldPort::at(self.address) {
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                held => return held,
            }
        }
    }

    fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the accept thread; a failure means that it is gone already.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for connection in std::mem::take(&mut *self.connections.open()).values() {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
