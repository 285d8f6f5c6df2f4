//! One HTTP exchange as the host sees it: two halves, each with its headers, its flow state and what waits in it.
//!
//! Only data and the questions that need nothing else; who moves it is `filter_chain.rs`. Must never call the guest.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::pairs::Pairs;

/// A context's number in one VM; also the name of a stream everywhere in the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContextId(pub(super) u32);

/// Whether more of a message follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More follows.
    More,
    /// This was the last piece.
    Last,
}

impl End {
    /// The ABI's `end_of_stream`.
    pub(super) fn abi(self) -> u32 {
        match self {
            Self::More => 0,
            Self::Last => 1,
        }
    }

    /// `Last` if the body says that nothing follows.
    pub(super) fn of(body: &impl hyper::body::Body) -> Self {
        if body.is_end_stream() {
            Self::Last
        } else {
            Self::More
        }
    }
}

/// A piece of a message on its way.
#[derive(Debug)]
pub(super) enum Piece {
    /// The headers.
    Head(Pairs, End),
    /// Some of the body.
    Data(Bytes, End),
}

/// Tells the sender of a piece that it may send the next one.
#[derive(Debug, Default)]
pub(super) struct Ack(pub(super) Option<oneshot::Sender<()>>);

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // The sender of the piece may have gone; nobody is left to be told.
            sender.send(()).ok();
        }
    }
}

/// Which message of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client.
    Request,
    /// To the client.
    Response,
}

/// Whether a half moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Pieces pass as they come.
    Moving,
    /// Headers are held and body hooks run; a body hook that continues lets everything go (`StopIteration`).
    HeldOne,
    /// Headers are held and no body hook runs until the guest resumes (`StopAllIterationAndWatermark`).
    HeldAll,
    /// Nothing passes any more: a local reply has taken over, or the half is complete.
    Over,
}

/// Where the exchange stands, which decides what the guest can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before any response headers.
    Request,
    /// From the response headers on.
    Response,
    /// In `on_log`.
    Log,
}

/// Who is at the other end of the client's connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// `source.address`: `ip:port`.
    pub(super) source: SocketAddr,
    /// The listener's address.
    pub(super) local: SocketAddr,
    /// Counts the gateway's connections.
    pub(super) connection: u64,
}

/// One message of the exchange.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) headers: Pairs,
    /// Whether the hooks can reach `headers`: from the headers hook until it continues or is resumed.
    pub(super) exposed: bool,
    pub(super) flow: Flow,
    /// Headers that have been shown to the guest and not let go.
    pub(super) held_head: Option<End>,
    /// Pieces that the guest has not seen.
    pub(super) inbox: VecDeque<(Bytes, End, Ack)>,
    /// Body that the guest sees or has seen and that has not been let go.
    pub(super) body: Vec<u8>,
    /// The end of what is in `body`, once it was shown.
    pub(super) held_body: Option<End>,
    /// Bytes of body that have come so far.
    pub(super) received_bytes: u64,
    /// The next hop.
    pub(super) out: Option<mpsc::UnboundedSender<Piece>>,
    /// Whether the headers have been let go.
    pub(super) head_sent: bool,
    /// Whether the last piece has been let go.
    pub(super) complete: bool,
}

impl Half {
    pub(super) fn new(out: mpsc::UnboundedSender<Piece>) -> Self {
        Self {
            headers: Pairs::default(),
            exposed: false,
            flow: Flow::Moving,
            held_head: None,
            inbox: VecDeque::new(),
            body: Vec::new(),
            held_body: None,
            received_bytes: 0,
            out: Some(out),
            head_sent: false,
            complete: false,
        }
    }

    /// Lets a piece go to the next hop; a hop that has gone swallows it.
    pub(super) fn send(&mut self, piece: Piece) {
        let end = match &piece {
            Piece::Head(_, end) | Piece::Data(_, end) => *end,
        };
        if let Some(out) = &self.out {
            // A hop that has gone reports so itself, as the end of its side of the exchange.
            out.send(piece).ok();
        }
        self.head_sent = true;
        self.complete |= end == End::Last;
    }

    /// Bytes that wait unseen.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.inbox.iter().map(|(bytes, ..)| bytes.len()).sum()
    }

    /// Lets nothing pass any more and forgets what waits.
    pub(super) fn close(&mut self) {
        self.flow = Flow::Over;
        self.inbox.clear();
        self.body.clear();
        self.held_head = None;
        self.held_body = None;
        self.out = None;
        self.exposed = false;
    }
}

/// One HTTP exchange.
#[derive(Debug)]
pub(super) struct Stream {
    /// The plugin configuration that was current when the stream began.
    pub(super) root: ContextId,
    pub(super) phase: Phase,
    pub(super) peer: Peer,
    pub(super) request: Half,
    pub(super) response: Half,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    /// The response's status code, once there is one.
    pub(super) code: Option<u16>,
    /// `response.code_details`.
    pub(super) details: Option<String>,
    /// What the guest set.
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether the guest has the context: a request that the host rejects gets one only for its log.
    pub(super) known_to_guest: bool,
    /// Whether a host-made or guest-made reply has taken the upstream's place.
    pub(super) replied_locally: bool,
}

impl Stream {
    /// What Envoy's access log says of it in these tests.
    pub(super) fn access_line(&self) -> String {
        let path = self.request.headers.get(b":path").unwrap_or(b"-");
        let decision = self.properties.get(b"ase_decision".as_slice());
        format!(
            "access {} {} {} {}",
            String::from_utf8_lossy(path),
            self.code.unwrap_or_default(),
            self.details.as_deref().unwrap_or("-"),
            String::from_utf8_lossy(decision.map_or(b"-", Vec::as_slice))
        )
    }

    pub(super) fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}
