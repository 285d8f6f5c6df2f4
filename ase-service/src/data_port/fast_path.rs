//! The usual calls, without hyper: a question or a response call over HTTP/1.1 that states its length.
//!
//! A gateway's calls all look alike, and hyper's generality costs about as much as ASE's own work on one of them. Whatever is
//! unusual about a call hands the connection over to hyper, with every byte that was not answered: nothing is refused here that
//! hyper would take, and nothing is taken that it would refuse.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use ase_core::time::UnixMillis;
use httparse::{EMPTY_HEADER, Request, Status};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::body::BodyFault;
use super::call::{self, Asked, Caller, LARGE_QUESTION_BYTES, Target};
use super::stream::Socket;
use crate::ase::Ase;
use crate::ase::answer::{After, Answer};
use crate::clock;
use crate::leniency::Tone;

/// Most header lines of a usual call.
const MAX_LINES: usize = 32;
/// Most pieces that a head may come in: each is read from the start.
const MAX_PARTS: usize = 4;
/// Room that is made before a read.
pub(super) const READ_BYTES: usize = 8192;
/// A buffer over this is given back when it is empty.
const KEPT_BYTES: usize = 2 * READ_BYTES;

/// What is left to do with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Close it.
    Closed,
    /// Something unusual has come; these bytes are not answered.
    ForHyper(Vec<u8>),
}

/// A usual call, its body perhaps still under way.
struct Usual {
    target: Target,
    asked: Asked,
    tone: Tone,
    head: usize,
    whole: usize,
}

/// What stands at the front of the bytes that are not answered.
enum Front {
    Usual(Usual),
    /// A head that is not whole.
    Begun,
    Unusual,
}

/// The bytes of a connection that are not answered.
struct Incoming<'a> {
    socket: &'a mut Socket,
    bytes: Vec<u8>,
    caller: &'a Caller,
    leaving: &'a AtomicBool,
}

/// The `date` of answers, written anew once a second.
#[derive(Default)]
struct Date {
    second: u64,
    text: String,
}

/// Answers calls until one is unusual or the connection ends. `first` has been read already; nobody waits for another call once
/// `leaving` is set.
pub(super) async fn serve(
    caller: &Caller,
    socket: &mut Socket,
    first: Vec<u8>,
    leaving: &AtomicBool,
) -> Left {
    caller.activity.read();
    let mut incoming = Incoming {
        socket,
        bytes: first,
        caller,
        leaving,
    };
    let mut date = Date::default();
    let mut out = Vec::new();
    let mut parts = 0;
    loop {
        if incoming.bytes.is_empty() && !incoming.more().await {
            return Left::Closed;
        }
        let usual = match Front::of(&caller.ase, &incoming.bytes) {
            Front::Usual(usual) => usual,
            Front::Begun if parts < MAX_PARTS => {
                parts += 1;
                if incoming.more().await {
                    continue;
                }
                return Left::Closed;
            }
            Front::Begun | Front::Unusual => return Left::ForHyper(incoming.bytes),
        };
        parts = 0;
        let under_way = caller.activity.begin();
        let (whole, tone) = (usual.whole, usual.tone);
        let answer = match answer(&mut incoming, usual).await {
            Ok(answer) => answer,
            Err(Gone) => return Left::Closed,
        };
        incoming.pass(whole);
        let closes = answer == Answer::TimedOut || leaving.load(Ordering::Relaxed);
        let after = if closes { After::Close } else { After::Stay };
        let status = tone.status(&answer, &caller.ase.counters);
        answer.write(status, after, date.of(clock::now()), &mut out);
        // Whoever does not take an answer is idle, not at a call.
        drop(under_way);
        if incoming.write(&out).await.is_err() || closes {
            return Left::Closed;
        }
        out.clear();
    }
}

/// The client has left in the middle of a call.
struct Gone;

async fn answer(incoming: &mut Incoming<'_>, usual: Usual) -> Result<Answer, Gone> {
    let caller = incoming.caller;
    let room = caller.room.for_call();
    if room.is_none() {
        call::count_shed(caller, usual.target);
    }
    match incoming.body(usual.whole).await {
        Ok(()) => {}
        Err(fault) => {
            let answer = call::refuse_body(caller, usual.target, fault);
            return match fault {
                BodyFault::BrokenOff => Err(Gone),
                BodyFault::TooSlow | BodyFault::TooLarge => Ok(answer),
            };
        }
    }
    if room.is_none() {
        return Ok(Answer::Overloaded);
    }
    let body = incoming.bytes.get(usual.head..usual.whole);
    let body = body.unwrap_or_default();
    Ok(match usual.target {
        Target::Request => call::ask(&caller.ase, usual.asked, body).await,
        Target::Response | Target::Batch | Target::Image => {
            caller.ase.response(&usual.asked.begin(), body)
        }
    })
}

impl Front {
    fn of(ase: &Ase, bytes: &[u8]) -> Self {
        let mut lines = [EMPTY_HEADER; MAX_LINES];
        let mut request = Request::new(&mut lines);
        match request.parse(bytes) {
            Ok(Status::Complete(head)) => {
                Usual::of(ase, &request, head).map_or(Self::Unusual, Self::Usual)
            }
            Ok(Status::Partial) if bytes.len() < ase.limits.transport.header_bytes => Self::Begun,
            Ok(Status::Partial) | Err(_) => Self::Unusual,
        }
    }
}

impl Usual {
    /// The call of this head, which is `head` bytes long; `None` when anything about it is not usual.
    fn of(ase: &Ase, request: &Request<'_, '_>, head: usize) -> Option<Self> {
        let limits = &ase.limits.transport;
        let usual = request.version == Some(1)
            && request.method == Some("POST")
            && head <= limits.header_bytes
            && request.headers.len() <= limits.headers;
        let (path, query) = match request.path?.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.path?, None),
        };
        let target = match path {
            "/ase/request" => Target::Request,
            "/ase/response" => Target::Response,
            _ => return None,
        };
        let headers = &*request.headers;
        let length = body_length(headers).filter(|_| usual)?;
        if length > ase.limits.body_bytes.min(LARGE_QUESTION_BYTES) {
            return None;
        }
        let gateway = ase.tokens.check(headers)?;
        let asked = Asked::of(ase, (target, query), gateway, headers);
        Some(Self {
            target,
            tone: asked.tone(ase, headers),
            asked,
            head,
            whole: head.checked_add(length)?,
        })
    }
}

/// The length that a usual call states for its body: once, in digits, and with nothing beside it that changes how a body is framed
/// or what becomes of the connection (RFC 9112 §6, §9.6).
fn body_length(headers: &[httparse::Header<'_>]) -> Option<usize> {
    let mut length = None;
    for line in headers {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        match line.name.len() {
            14 if is("content-length") => {
                let digits = line.value.iter().all(u8::is_ascii_digit);
                if length.is_some() || !digits || line.value.len() > 9 {
                    return None;
                }
                length = std::str::from_utf8(line.value).ok()?.parse().ok();
                length?;
            }
            10 if is("connection") && !line.value.eq_ignore_ascii_case(b"keep-alive") => {
                return None;
            }
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            17 if is("transfer-encoding") => return None,
            _ => {}
        }
    }
    length
}

impl Incoming<'_> {
    /// Waits for more bytes; `false` when none come.
    async fn more(&mut self) -> bool {
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.reserve(READ_BYTES);
        let (bytes, leaving, activity) = (&mut self.bytes, self.leaving, &self.caller.activity);
        let between_calls = bytes.is_empty();
        let mut reading = pin!(self.socket.read_buf(bytes));
        poll_fn(|cx| {
            let polled = reading.as_mut().poll(cx);
            match polled {
                Poll::Ready(Ok(1..)) => {
                    activity.read();
                    Poll::Ready(true)
                }
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(false),
                Poll::Pending if between_calls && leaving.load(Ordering::Relaxed) => {
                    Poll::Ready(false)
                }
                Poll::Pending if !between_calls && activity.body_given_up() => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Waits until `whole` bytes are there.
    async fn body(&mut self, whole: usize) -> Result<(), BodyFault> {
        if self.bytes.len() >= whole {
            return Ok(());
        }
        let activity = &self.caller.activity;
        let _awaited = activity.await_body();
        while self.bytes.len() < whole {
            if !self.more().await {
                return Err(if activity.body_given_up() {
                    BodyFault::TooSlow
                } else {
                    BodyFault::BrokenOff
                });
            }
        }
        Ok(())
    }

    /// The first bytes are answered.
    fn pass(&mut self, answered: usize) {
        self.bytes.drain(..answered.min(self.bytes.len()));
    }

    async fn write(&mut self, out: &[u8]) -> io::Result<()> {
        self.socket.write_all(out).await?;
        self.socket.flush().await
    }
}

impl Date {
    fn of(&mut self, now: UnixMillis) -> &[u8] {
        let second = now.0 / 1000;
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text = clock::http_date(now);
        }
        self.text.as_bytes()
    }
}
