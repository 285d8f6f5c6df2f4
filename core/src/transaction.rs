//! One whole HTTP exchange as the gateway saw it, from the client's request to its end.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::metadata::{RequestMetadata, ResponseMetadata};
use crate::time::UnixMillis;

pub mod wire;

/// Longest record id, in bytes.
pub const MAX_RECORD_ID_BYTES: usize = 64;

/// What became of an exchange: all of its record but what was said in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Minted by the gateway; unique per sideband token.
    pub id: RecordId,
    /// When the request's headers came, by the gateway's clock.
    pub started: UnixMillis,
    /// From there to the end of the exchange.
    pub duration: Duration,
    /// How the gateway was set to decide.
    pub mode: Mode,
    /// Why the request passed, or did not.
    pub decision: GatewayDecision,
    /// What ASE said when it was asked.
    pub verdict: Option<VerdictLabel>,
    /// How long the request waited for ASE.
    pub asked_for: Option<Duration>,
    /// How it ended.
    pub end: End,
}

/// An exchange as a record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// What became of it.
    pub course: Course,
    /// The request.
    pub request: RequestMetadata<'a>,
    /// The response of upstream or, after [`End::Gateway`], of the gateway; where there was one.
    pub response: Option<ResponseMetadata<'a>>,
}

/// Names one record: 1 to 64 characters of `[0-9a-zA-Z_.:-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(String);

/// A text that cannot be a record id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a record id: use 1 to {MAX_RECORD_ID_BYTES} characters of [0-9a-zA-Z_.:-]")]
pub struct RecordIdError;

/// How the gateway decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The request waits for ASE.
    Sync,
    /// The request never waits and is never blocked.
    Async,
    /// The request waits for ASE and is never blocked: what would have been is reported.
    Shadow,
    /// The request waits for ASE only where the gateway's own image of ASE's lists and APIs cannot rule out a block.
    Local,
}

/// Why no verdict could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// ASE did not answer in time.
    Timeout,
    /// No connection to ASE.
    Unreachable,
    /// An answer that is not one of ASE's.
    BadReply,
    /// The answer broke off after its headers.
    ResetAfterHeaders,
    /// ASE answered with a server error, overload included.
    Ase5xx,
    /// The request itself cannot be put as a question: no client address, method or URL, or ASE's 400 or 413. Clients can cause it.
    Undecidable,
    /// ASE refused the gateway (401): its token is absent or wrong.
    AseRejected,
    /// The host could not send: no endpoint, circuit open, overload or missing capability.
    NotDispatched,
    /// The host does not know the cluster.
    Misconfigured,
    /// ASE failed several times in a row and is left alone for a while.
    CoolingDown,
}

/// What the gateway did with the request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayDecision {
    /// Passed: ASE said 200.
    Verdict,
    /// Passed unasked: the mode is async.
    Async,
    /// Passed unasked: the gateway's image says that ASE would not block it.
    Local,
    /// Passed: ASE does not know the API.
    Unregistered,
    /// Passed: no verdict, and the failure class is open.
    FailOpen(FailureClass),
    /// Blocked: ASE said 403.
    Denied,
    /// Blocked: ASE does not know the API, and the gateway is told to block that.
    UnregisteredBlocked,
    /// Refused: no verdict, and the failure class is closed.
    FailedClosed(FailureClass),
    /// Passed in the shadow of a block: ASE said 403.
    ShadowDenied,
    /// Passed in the shadow of a block: ASE does not know the API.
    ShadowUnregisteredBlocked,
    /// Passed in the shadow of a refusal: no verdict, and the failure class is closed.
    ShadowFailedClosed(FailureClass),
    /// The client left while ASE was being asked.
    Undecided,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The client got a response from upstream.
    Upstream,
    /// The client got a reply that the gateway made itself after the request had passed.
    Gateway,
    /// The client got the gateway's block reply.
    Denied,
    /// The client got the gateway's failure reply.
    Failed,
    /// It ended before any response.
    Aborted,
    /// It has not: a record of its end will follow, under the id of which this record's is [`RecordId::while_open`].
    Open,
}

/// ASE's answer in one word (`x-ase-verdict`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictLabel {
    /// Pass.
    Allowed,
    /// Listed, and blocking is off.
    WouldBlock,
    /// Block.
    Blocked,
    /// The question was refused.
    Rejected,
    /// No API definition matches.
    Unregistered,
    /// ASE sheds load.
    Overloaded,
}

impl RecordId {
    /// Reads a record id.
    ///
    /// # Errors
    /// When it is empty, too long or holds another character.
    pub fn parse(text: &str) -> Result<Self, RecordIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if text.is_empty() || text.len() > MAX_RECORD_ID_BYTES || !text.bytes().all(allowed) {
            return Err(RecordIdError);
        }
        Ok(Self(text.to_owned()))
    }

    /// Mints an id: `root` is random per root context, `counter` counts its exchanges.
    #[must_use]
    pub fn mint(root: u64, counter: u64) -> Self {
        // By hand: the formatting machinery would cost more than all else that a record is made of.
        let digits = |number: u64| {
            (0..u64::BITS).step_by(4).rev().map(move |shift| {
                let digit = u32::try_from(number >> shift & 0xF).unwrap_or(0);
                char::from_digit(digit, 16).unwrap_or('0')
            })
        };
        let mut text = String::with_capacity(33);
        text.extend(digits(root));
        text.push('-');
        let leading = usize::try_from((counter | 1).leading_zeros() / 4).unwrap_or(0);
        text.extend(digits(counter).skip(leading));
        Self(text)
    }

    /// The id of the record that tells of this exchange while it is still open. A minted id has room for the two letters more.
    #[must_use]
    pub fn while_open(&self) -> Self {
        Self([self.as_str(), ".o"].concat())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Sync, Self::Async, Self::Shadow, Self::Local];

    /// Its name in records and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Shadow => "shadow",
            Self::Local => "local",
        }
    }
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Unreachable,
        Self::BadReply,
        Self::ResetAfterHeaders,
        Self::Ase5xx,
        Self::Undecidable,
        Self::AseRejected,
        Self::NotDispatched,
        Self::Misconfigured,
        Self::CoolingDown,
    ];

    /// Its name in records, counters and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::BadReply => "bad_reply",
            Self::ResetAfterHeaders => "reset_after_headers",
            Self::Ase5xx => "ase_5xx",
            Self::Undecidable => "undecidable",
            Self::AseRejected => "ase_rejected",
            Self::NotDispatched => "not_dispatched",
            Self::Misconfigured => "misconfigured",
            Self::CoolingDown => "cooling_down",
        }
    }
}

impl GatewayDecision {
    /// Its name in records, logs and counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Async => "async",
            Self::Local => "local",
            Self::Unregistered => "unregistered",
            Self::FailOpen(_) => "fail_open",
            Self::Denied => "denied",
            Self::UnregisteredBlocked => "unregistered_blocked",
            Self::FailedClosed(_) => "failed_closed",
            Self::ShadowDenied => "shadow_denied",
            Self::ShadowUnregisteredBlocked => "shadow_unregistered_blocked",
            Self::ShadowFailedClosed(_) => "shadow_failed_closed",
            Self::Undecided => "undecided",
        }
    }

    /// The failure class behind it, where there is one.
    #[must_use]
    pub fn cause(self) -> Option<FailureClass> {
        match self {
            Self::FailOpen(class) | Self::FailedClosed(class) | Self::ShadowFailedClosed(class) => {
                Some(class)
            }
            Self::Verdict
            | Self::Async
            | Self::Local
            | Self::Unregistered
            | Self::Denied
            | Self::UnregisteredBlocked
            | Self::ShadowDenied
            | Self::ShadowUnregisteredBlocked
            | Self::Undecided => None,
        }
    }

    fn from_parts(name: &str, cause: Option<FailureClass>) -> Option<Self> {
        match (name, cause) {
            ("verdict", _) => Some(Self::Verdict),
            ("async", _) => Some(Self::Async),
            ("local", _) => Some(Self::Local),
            ("unregistered", _) => Some(Self::Unregistered),
            ("fail_open", Some(class)) => Some(Self::FailOpen(class)),
            ("denied", _) => Some(Self::Denied),
            ("unregistered_blocked", _) => Some(Self::UnregisteredBlocked),
            ("failed_closed", Some(class)) => Some(Self::FailedClosed(class)),
            ("shadow_denied", _) => Some(Self::ShadowDenied),
            ("shadow_unregistered_blocked", _) => Some(Self::ShadowUnregisteredBlocked),
            ("shadow_failed_closed", Some(class)) => Some(Self::ShadowFailedClosed(class)),
            ("undecided", _) => Some(Self::Undecided),
            _ => None,
        }
    }
}

impl End {
    /// Every end.
    pub const ALL: [Self; 6] = [
        Self::Upstream,
        Self::Gateway,
        Self::Denied,
        Self::Failed,
        Self::Aborted,
        Self::Open,
    ];

    /// Its name in records and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Open => "open",
        }
    }
}

impl VerdictLabel {
    /// Every label, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::WouldBlock,
        Self::Blocked,
        Self::Rejected,
        Self::Unregistered,
        Self::Overloaded,
    ];

    /// Its name in `x-ase-verdict`, records and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::WouldBlock => "would_block",
            Self::Blocked => "blocked",
            Self::Rejected => "rejected",
            Self::Unregistered => "unregistered",
            Self::Overloaded => "overloaded",
        }
    }

    /// The label of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == name)
    }
}
