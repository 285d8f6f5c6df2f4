//! A client that sends exactly the bytes it is given.
//!
//! Assumes a gateway that answers within the deadline; it must never wait longer, nor follow, retry or repair anything.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http1::{self, Body, Framing, Head};

/// Longest wait for a reply: a request in limbo is a failure.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// One request as bytes, in the pieces in which it is written.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// For the framing of the reply.
    pub method: String,
    /// Each is written on its own.
    pub pieces: Vec<Vec<u8>>,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The head.
    pub head: Head,
    /// The body.
    pub body: Body,
    /// What came back for the bytes sent after a 101.
    pub echoed: Option<String>,
}

/// A connection to the gateway.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When the gateway does not accept.
    pub fn connect(gateway: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(gateway)
            .with_context(|| format!("connect to the gateway at {gateway}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Asks for `/x` as the client of this address and returns the status.
    ///
    /// # Errors
    /// When no reply comes.
    pub fn get_from(&mut self, client: &str) -> Result<u16> {
        let request = format!(
            "GET /x HTTP/1.1\r\nhost: api.example.com\r\nx-forwarded-for: {client}\r\n\r\n"
        );
        self.send(&Bytes {
            method: "GET".to_owned(),
            pieces: vec![request.into_bytes()],
        })?;
        Ok(self.reply("GET", None)?.status)
    }

    /// Writes the request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, request: &Bytes) -> Result<()> {
        for piece in &request.pieces {
            // A gateway may answer and close before it has read everything; the reply then tells.
            if self.reader.get_mut().write_all(piece).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Reads the reply; after a 101 sends `after_upgrade` and reads as many bytes back.
    ///
    /// # Errors
    /// When none comes within the deadline, or the connection breaks.
    pub fn reply(&mut self, method: &str, after_upgrade: Option<&str>) -> Result<Reply> {
        let head = loop {
            let head = http1::read_head(&mut self.reader)
                .context("no reply within the deadline")?
                .context("connection closed without a reply")?;
            if head.status()? != 100 {
                break head;
            }
        };
        let status = head.status()?;
        let mut echoed = None;
        let body = if let (101, Some(text)) = (status, after_upgrade) {
            echoed = Some(self.echo(text)?);
            Body::default()
        } else {
            http1::read_body(&mut self.reader, &head, Framing::ReplyTo(method))
                .context("body of the reply")?
        };
        Ok(Reply {
            status,
            head,
            body,
            echoed,
        })
    }

    /// Sends this over a connection that has switched protocols, and returns as many bytes as come back.
    ///
    /// # Errors
    /// When they do not come within the deadline.
    pub fn echo(&mut self, text: &str) -> Result<String> {
        let mut back = http1::bytes_of(text)?;
        self.reader.get_mut().write_all(&back)?;
        self.reader
            .read_exact(&mut back)
            .context("echo after the upgrade")?;
        Ok(http1::latin1(&back))
    }
}
