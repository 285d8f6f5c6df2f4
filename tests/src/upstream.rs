//! The API behind the gateway: remembers every request and answers as the scenario says.
//!
//! Supports HEAD, upgrades (101, then it echoes) and content of any size. Must never refuse a request.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::http1::{self, Body, Framing, Head};
use crate::server::{HeldPort, Server};

/// How the upstream answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamReply {
    /// Status of the reply.
    pub status: u16,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Content of the reply.
    pub body: String,
    /// Pads the content with this many bytes.
    pub body_bytes: usize,
    /// No reply: the connection closes.
    pub closes: bool,
    /// No reply until the scenario is over.
    pub hangs: bool,
    /// Time before the reply, in milliseconds.
    pub delay_ms: u64,
    /// This is the answer to requests for this target only; others get the default.
    pub only_at: Option<String>,
}

/// One request as the upstream got it.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its head was complete.
    pub at: Instant,
    /// The head.
    pub head: Head,
    /// The body, once it is complete.
    pub body: Option<Body>,
}

/// The upstream.
pub struct Upstream {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    reply: UpstreamReply,
    over: bool,
}

impl Default for UpstreamReply {
    fn default() -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: "hello from upstream\n".to_owned(),
            body_bytes: 0,
            closes: false,
            hangs: false,
            delay_ms: 0,
            only_at: None,
        }
    }
}

impl UpstreamReply {
    /// The answer to a request for `target`.
    fn at(&self, target: &str) -> Self {
        match &self.only_at {
            Some(only) if only != target => Self::default(),
            Some(_) | None => self.clone(),
        }
    }
}

impl Upstream {
    /// An upstream on a free port.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let serving = Arc::clone(&shared);
        // A broken connection shows as a request without a body, or not at all.
        let server =
            HeldPort::any()?.listen(Arc::new(move |stream| drop(serving.serve(stream))))?;
        Ok(Self { server, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sets the answer to the requests to come.
    pub fn answer_with(&self, reply: UpstreamReply) {
        self.shared.lock().reply = reply;
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.over.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: &TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(head) = http1::read_head(&mut reader)? {
            let (index, reply) = {
                let mut state = self.lock();
                state.received.push(Received {
                    at: Instant::now(),
                    head: head.clone(),
                    body: None,
                });
                (state.received.len() - 1, state.reply.at(head.word(1)))
            };
            if head.first("upgrade").is_some() {
                stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")?;
                return echo(&mut reader, stream);
            }
            let body = http1::read_body(&mut reader, &head, Framing::Request).context("body")?;
            if let Some(received) = self.lock().received.get_mut(index) {
                received.body = Some(body);
            }
            if reply.hangs {
                drop(self.over.wait_while(self.lock(), |state| !state.over));
            }
            if reply.closes || reply.hangs {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(reply.delay_ms));
            stream.write_all(&bytes_of_reply(&reply, head.word(0))?)?;
        }
        Ok(())
    }
}

fn echo(reader: &mut impl Read, mut stream: &TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = reader.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(bytes) if !bytes.is_empty() => stream.write_all(bytes)?,
            Some(_) | None => return Ok(()),
        }
    }
}

fn bytes_of_reply(reply: &UpstreamReply, method: &str) -> Result<Vec<u8>> {
    let mut content = http1::bytes_of(&reply.body)?;
    content.resize(content.len() + reply.body_bytes, b'.');
    let mut head = format!(
        "HTTP/1.1 {} Upstream\r\nx-upstream: yes\r\ncontent-length: {}\r\n",
        reply.status,
        content.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = http1::bytes_of(&head)?;
    if method != "HEAD" {
        bytes.append(&mut content);
    }
    Ok(bytes)
}
