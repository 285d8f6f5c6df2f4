//! Neighbours for millions of requests: an ASE that allows everything and keeps of a record only that it came, and an upstream that keeps nothing.
//!
//! What they answer is always the same. A call that does not follow the wire ends its connection.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::http1::{self, Framing};
use crate::server::{HeldPort, Server};

/// An ASE that allows everything.
pub struct ForgetfulAse {
    server: Server,
    records: Arc<Mutex<Records>>,
}

/// How many records came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Different ones.
    pub different: u64,
    /// Those that had come before.
    pub doubled: u64,
}

#[derive(Default)]
struct Records {
    seen: HashSet<u64>,
    tally: Tally,
}

impl ForgetfulAse {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When the system gives no port.
    pub fn start() -> Result<Self> {
        let records = Arc::<Mutex<Records>>::default();
        let taking = Arc::clone(&records);
        let server = HeldPort::any()?.listen(Arc::new(move |stream| {
            // A gateway may end a connection at any time.
            drop(answer_calls(stream, &taking));
        }))?;
        Ok(Self { server, records })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The records so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.tally
    }
}

/// Starts an upstream on a free port that answers everything with 200.
///
/// # Errors
/// When the system gives no port.
pub fn upstream() -> Result<Server> {
    HeldPort::any()?.listen(Arc::new(|stream| {
        // A gateway may end a connection at any time.
        drop(serve(stream, |_, _| Ok(reply("", "hello"))));
    }))
}

fn answer_calls(stream: &TcpStream, records: &Mutex<Records>) -> Result<()> {
    serve(stream, |target, content| {
        if !target.starts_with("/ase/batch") {
            return Ok(reply("x-ase-verdict: allowed\r\n", ""));
        }
        let mut taken = 0;
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        for line in content
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let record: Value = serde_json::from_slice(line).context("record")?;
            let mut hasher = DefaultHasher::new();
            record
                .get("id")
                .and_then(Value::as_str)
                .context("id")?
                .hash(&mut hasher);
            if records.seen.insert(hasher.finish()) {
                records.tally.different += 1;
            } else {
                records.tally.doubled += 1;
            }
            taken += 1;
        }
        Ok(reply(
            "",
            &format!(r#"{{"accepted":{taken},"duplicates":0,"rejected":[]}}"#),
        ))
    })
}

fn serve(
    mut stream: &TcpStream,
    mut answer: impl FnMut(&str, &[u8]) -> Result<String>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = http1::read_head(&mut reader)? {
        let body = http1::read_body(&mut reader, &head, Framing::Request)?;
        stream.write_all(answer(head.word(1), &body.content)?.as_bytes())?;
    }
    Ok(())
}

fn reply(header: &str, content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 200 OK\r\n{header}content-length: {length}\r\n\r\n{content}")
}
