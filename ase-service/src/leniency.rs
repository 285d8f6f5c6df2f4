//! Who is told 200 where the protocol has a refusal: gateways whose policy takes 400, 401 or 503 for a block.
//!
//! Only the status changes; `x-ase-verdict` and the body say what they always say, and each such answer is counted. A 403 is
//! never softened, and neither is anything that our own filter asks or delivers: it tells the statuses apart.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};

use crate::ase::answer::Answer;
use crate::call_headers::CallHeaders;
use crate::counters::{Counter, Counters};
use crate::tokens::{Gateway, Tokens};

/// To whom ASE is lenient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leniency {
    /// To every caller, one without a valid token included.
    Everyone,
    /// To the gateways of these tokens; to nobody when empty.
    Gateways(Vec<Arc<str>>),
}

/// How one call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// With the status that `docs/wire.md` tables.
    Strict,
    /// With 200 unless the client is blocked.
    Lenient,
}

impl Default for Leniency {
    fn default() -> Self {
        Self::Gateways(Vec::new())
    }
}

impl Leniency {
    /// How an old policy's call is to be answered.
    #[must_use]
    pub fn tone(&self, tokens: &Tokens, headers: &(impl CallHeaders + ?Sized)) -> Tone {
        let lenient = match self {
            Self::Everyone => true,
            Self::Gateways(names) if names.is_empty() => false,
            Self::Gateways(names) => match tokens.check(headers) {
                Some(Gateway::Named(name)) => names.contains(&name),
                Some(Gateway::Unchecked) | None => false,
            },
        };
        if lenient { Tone::Lenient } else { Tone::Strict }
    }
}

impl Tone {
    /// The answer as this call gets it.
    #[must_use]
    pub fn respond(self, answer: Answer, counters: &Counters) -> Response<Full<Bytes>> {
        let status = self.status(&answer, counters);
        let mut response = answer.into_response();
        *response.status_mut() = status;
        response
    }

    /// The status that this call gets for `answer`.
    #[must_use]
    pub fn status(self, answer: &Answer, counters: &Counters) -> StatusCode {
        let status = answer.status();
        match self {
            Self::Lenient if status != StatusCode::OK && status != StatusCode::FORBIDDEN => {
                counters.count(Counter::LenientAnswers);
                StatusCode::OK
            }
            Self::Lenient | Self::Strict => status,
        }
    }
}
