//! gRPC by hand: five bytes and a fixed message. Two services, both streams: the access log is read and forgotten, `ext_proc` gets "go on" for each message.
//!
//! A message is a byte that says whether it is compressed, its length in four bytes, and the message. Envoy compresses none.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Response};

use crate::stub::Seen;

/// `ProcessingResponse` with an empty `request_headers` (field 1), then one with an empty `response_headers` (field 2): both say "continue".
const GO_ON: [&[u8]; 2] = [&[0, 0, 0, 0, 2, 0x0a, 0], &[0, 0, 0, 0, 2, 0x12, 0]];

/// What a service answers to the messages of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    AccessLog,
    ExtProc,
}

/// The answer to a stream: as many messages as the service owes, then the trailers.
#[derive(Debug)]
pub(crate) struct Answers {
    service: Service,
    messages: Option<Incoming>,
    framing: Framing,
    owed: VecDeque<&'static [u8]>,
    answered: usize,
    ended: bool,
    seen: Seen,
}

impl Service {
    /// The service that this path calls.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs" => {
                Some(Self::AccessLog)
            }
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process" => Some(Self::ExtProc),
            _ => None,
        }
    }

    /// Begins to answer; the messages are read as they come.
    pub(crate) fn answer(self, messages: Incoming, seen: Seen) -> Response<Answers> {
        let mut response = Response::new(Answers {
            service: self,
            messages: Some(messages),
            framing: Framing::default(),
            owed: VecDeque::new(),
            answered: 0,
            ended: false,
            seen,
        });
        response.headers_mut().insert(
            hyper::header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        response
    }
}

impl Answers {
    fn take(&mut self, bytes: &[u8]) {
        for _ in 0..self.framing.messages_in(bytes) {
            match self.service {
                Service::AccessLog => self.seen.records(),
                Service::ExtProc => {
                    self.owed.extend(GO_ON.get(self.answered));
                    if self.answered == 0 {
                        self.seen.question();
                    } else {
                        self.seen.records();
                    }
                    self.answered += 1;
                }
            }
        }
    }
}

impl Body for Answers {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            if let Some(message) = self.owed.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(message)))));
            }
            let Some(messages) = &mut self.messages else {
                if std::mem::replace(&mut self.ended, true) {
                    return Poll::Ready(None);
                }
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            };
            match ready!(Pin::new(messages).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.take(&bytes);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.messages = None,
            }
        }
    }
}

/// Where in a message the stream stands.
#[derive(Debug, Default)]
struct Framing {
    prefix: Vec<u8>,
    left: usize,
}

impl Framing {
    /// How many messages end in these bytes.
    fn messages_in(&mut self, mut bytes: &[u8]) -> usize {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = bytes.get(taken..).unwrap_or_default();
                ended += usize::from(self.left == 0);
                continue;
            }
            let taken = (5 - self.prefix.len()).min(bytes.len());
            self.prefix
                .extend_from_slice(bytes.get(..taken).unwrap_or_default());
            bytes = bytes.get(taken..).unwrap_or_default();
            if let [_, a, b, c, d] = *self.prefix {
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                self.prefix.clear();
                ended += usize::from(self.left == 0);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_wherever_the_stream_is_cut() {
        let stream = [0, 0, 0, 0, 3, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for size in 1..=stream.len() {
            let mut framing = Framing::default();
            let counted: usize = stream
                .chunks(size)
                .map(|part| framing.messages_in(part))
                .sum();
            assert_eq!(counted, 3, "in parts of {size}");
        }
    }

    #[test]
    fn go_on_is_a_whole_message() {
        for message in GO_ON {
            assert_eq!(Framing::default().messages_in(message), 1);
        }
    }
}
