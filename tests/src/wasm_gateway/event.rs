//! What the network side tells the VM.
//!
//! Events of one stream come in the order in which they happened. Must never carry a connection or anything else that waits.

use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::StartError;
use super::exchange::Failure;
use super::pairs::Pairs;
use super::stream::{Ack, ContextId, Direction, End, Peer, Piece};

/// What comes to the VM.
#[derive(Debug)]
pub(super) enum Event {
    /// A request has come.
    Open {
        id: ContextId,
        peer: Peer,
        head: Pairs,
        end: End,
        to_upstream: mpsc::UnboundedSender<Piece>,
        to_client: mpsc::UnboundedSender<Piece>,
    },
    /// A request was answered before the filter could see it.
    Rejected {
        id: ContextId,
        peer: Peer,
        head: Pairs,
        code: u16,
        details: &'static str,
    },
    /// A piece of a body has come.
    Data {
        id: ContextId,
        direction: Direction,
        bytes: Bytes,
        end: End,
        ack: Ack,
    },
    /// The upstream has answered.
    ResponseHead {
        id: ContextId,
        head: Pairs,
        end: End,
    },
    /// The upstream has not answered, or has broken off its answer.
    UpstreamFailed { id: ContextId, failure: Failure },
    /// The exchange is over on the client's side.
    Closed { id: ContextId },
    /// A new configuration is wanted.
    Reconfigure {
        configuration: String,
        done: oneshot::Sender<Result<(), StartError>>,
    },
    /// The VM shall end.
    Stop { done: oneshot::Sender<()> },
}
