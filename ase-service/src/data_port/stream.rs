//! A connection's bytes on their way to and from hyper, whatever the listener: TCP, TLS or a Unix socket.
//!
//! Bytes that were read to tell the protocol are handed out first. Answers that hyper makes by itself, to what is not HTTP or
//! has too long headers, are replaced by ASE's own; nothing else is changed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::farewell::Farewell;

/// What the name of the first header of ASE's own answers looks like on HTTP/1.
const OWN_MARK: &[u8] = b"server: ASE\r\n";

/// A connection of any listener.
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A connection as hyper sees it.
pub(super) struct Watched {
    socket: Socket,
    /// Read before hyper was asked to serve.
    first: Bytes,
    activity: Arc<Activity>,
    /// The last words, as far as they are not sent.
    farewell: Option<(Farewell, &'static [u8])>,
}

impl Watched {
    pub(super) fn new(socket: Socket, first: Bytes, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            first,
            activity,
            farewell: None,
        }
    }

    /// Which last words hyper's own answer was replaced by.
    pub(super) fn farewell(&self) -> Option<Farewell> {
        self.farewell.map(|(farewell, _)| farewell)
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((farewell, rest)) = self.farewell
            && !rest.is_empty()
        {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.farewell = Some((farewell, rest.get(sent..).unwrap_or_default()));
        }
        Poll::Ready(Ok(()))
    }

    /// Whether `head` is taken for an answer of hyper's own, and kept back.
    fn replaces(&mut self, head: &[u8]) -> bool {
        if self.farewell.is_some() {
            return true;
        }
        self.farewell = foreign(head).map(|farewell| (farewell, farewell.bytes()));
        self.farewell.is_some()
    }
}

/// The last words in place of an answer that ASE did not make.
fn foreign(head: &[u8]) -> Option<Farewell> {
    let after = head.strip_prefix(b"HTTP/1.")?.get(2..)?;
    if after.first() != Some(&b'4') {
        return None;
    }
    let first_header = head
        .iter()
        .position(|byte| *byte == b'\n')?
        .saturating_add(1);
    if head.get(first_header..)?.starts_with(OWN_MARK) {
        return None;
    }
    Some(match after.get(..3) {
        Some(b"431" | b"414") => Farewell::HeadersTooLarge,
        Some(_) | None => Farewell::NotHttp,
    })
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.has_remaining() {
            let amount = self.first.remaining().min(into.remaining());
            into.put_slice(&self.first.split_to(amount));
            self.activity.read();
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.socket).poll_read(cx, into))?;
        self.activity.read();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replaces(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.replaces(parts.first().map_or(&[][..], |part| part)) {
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_farewell(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_farewell(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_that_ase_did_not_make_are_replaced() {
        for (head, expected) in [
            (
                "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n",
                Some(Farewell::HeadersTooLarge),
            ),
            (
                "HTTP/1.1 414 URI Too Long\r\ncontent-length: 0\r\n\r\n",
                Some(Farewell::HeadersTooLarge),
            ),
            (
                "HTTP/1.0 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
                Some(Farewell::NotHttp),
            ),
            ("HTTP/1.1 403 Forbidden\r\nserver: ASE\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nserver: ASE\r\n\r\n", None),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            ("Error: Unauthorized", None),
            ("", None),
        ] {
            assert_eq!(foreign(head.as_bytes()), expected, "{head}");
        }
    }
}
