//! What a callout's answer means.
//!
//! The host answers itself when it gets nothing from ASE, with statuses that ASE uses too. Whether an answer is the host's is one predicate,
//! [`AnswerMark::is_on`], which is configured.

use std::ops::Deref;

use ase_core::headers::Headers;
use ase_core::text;
use ase_core::transaction::{FailureClass, VerdictLabel};

use crate::head;

/// How much of an answer's body is looked at, in bytes.
pub const BODY_START_BYTES: usize = 64;

/// What the body of a 503 starts with when an ASE without labels does not know the API (`docs/wire.md`, Answers).
const UNKNOWN_API: &[u8] = b"Error: Unknown";

/// A callout's answer, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    outcome: Outcome,
    verdict: Option<VerdictLabel>,
    retry_after_secs: Option<u32>,
}

/// What an answer that came from ASE has and one that the host made up has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerMark {
    /// A header, in lower case. Envoy adds `x-envoy-upstream-service-time` to each answer that came from upstream and to no other.
    pub header: String,
    /// Its value, in any case; `None` for any.
    pub value: Option<String>,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// ASE said 200.
    Pass,
    /// ASE said 403.
    Block,
    /// ASE does not know the API (503).
    Unregistered,
    /// No verdict.
    Failure(FailureClass),
}

impl Answer {
    /// Reads an answer. `body_start` gives up to [`BODY_START_BYTES`] of its body and is called only when the headers alone do not tell.
    #[must_use]
    pub fn of<B: Deref<Target = [u8]>>(
        headers: &Headers<'_>,
        mark: &AnswerMark,
        body_start: impl FnOnce() -> B,
    ) -> Self {
        if headers.is_empty() {
            return Self::failure(FailureClass::ResetAfterHeaders);
        }
        let status = head::status(headers);
        if !mark.is_on(headers) {
            return Self::failure(match status {
                Some(504) => FailureClass::Timeout,
                Some(503) => FailureClass::Unreachable,
                Some(_) | None => FailureClass::BadReply,
            });
        }
        let verdict = headers
            .first(b"x-ase-verdict")
            .and_then(|label| VerdictLabel::parse(&text::of(label)));
        Self {
            outcome: outcome(status, verdict, body_start),
            verdict,
            retry_after_secs: headers
                .first(b"retry-after")
                .and_then(|secs| text::of(secs).parse().ok()),
        }
    }

    /// An answer that could not be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self::failure(FailureClass::BadReply)
    }

    /// There was none, for this reason.
    #[must_use]
    pub fn none(class: FailureClass) -> Self {
        Self::failure(class)
    }

    /// What follows from it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// ASE's own word for its verdict.
    #[must_use]
    pub fn verdict(&self) -> Option<VerdictLabel> {
        self.verdict
    }

    /// How long ASE asks to be left alone, in seconds; the form with a date is not read.
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u32> {
        self.retry_after_secs
    }

    fn failure(class: FailureClass) -> Self {
        Self {
            outcome: Outcome::Failure(class),
            verdict: None,
            retry_after_secs: None,
        }
    }
}

impl AnswerMark {
    /// Whether the answer came from ASE. One that labels its verdicts is recognised by the label on any host.
    #[must_use]
    pub fn is_on(&self, headers: &Headers<'_>) -> bool {
        let marked = |value: &[u8]| match &self.value {
            Some(wanted) => value.eq_ignore_ascii_case(wanted.as_bytes()),
            None => true,
        };
        let found = headers.first(self.header.as_bytes());
        found.is_some_and(|value| marked(value)) || headers.first(b"x-ase-verdict").is_some()
    }
}

/// An ASE of another make sends no label. Its 503 is told from that of a load balancer by its body.
fn outcome<B: Deref<Target = [u8]>>(
    status: Option<u16>,
    verdict: Option<VerdictLabel>,
    body_start: impl FnOnce() -> B,
) -> Outcome {
    match (status, verdict) {
        (Some(200), _) => Outcome::Pass,
        (Some(403), _) => Outcome::Block,
        (Some(503), Some(VerdictLabel::Unregistered)) => Outcome::Unregistered,
        (Some(503), None) if body_start().starts_with(UNKNOWN_API) => Outcome::Unregistered,
        (Some(400 | 413), _) => Outcome::Failure(FailureClass::Undecidable),
        (Some(401), _) => Outcome::Failure(FailureClass::AseRejected),
        (Some(500..=599), _) => Outcome::Failure(FailureClass::Ase5xx),
        (Some(_) | None, _) => Outcome::Failure(FailureClass::BadReply),
    }
}
