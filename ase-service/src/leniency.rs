//! Who is told 200 where the protocol has a refusal: gateways whose policy takes 400, 401 or 503 for a block.
//!
//! Only the status changes; `x-ase-verdict` and the body say what they always say, and each such answer is counted. A 403 is
//! never softened, and neither is anything that our own filter asks or delivers: it tells the statuses apart.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use crate::ase::Delivery;
use crate::ase::answer::Answer;
use crate::counters::{Counter, Counters};
use crate::data_port::delivery;
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
    /// How this call is to be answered.
    #[must_use]
    pub fn tone(&self, tokens: &Tokens, call: &Parts) -> Tone {
        let lenient = match self {
            Self::Everyone => true,
            Self::Gateways(names) if names.is_empty() => false,
            Self::Gateways(names) => match tokens.check(&call.headers) {
                Some(Gateway::Named(name)) => names.contains(&name),
                Some(Gateway::Unchecked) | None => false,
            },
        };
        if lenient && is_old_call(call) {
            Tone::Lenient
        } else {
            Tone::Strict
        }
    }
}

impl Tone {
    /// The answer as this call gets it.
    #[must_use]
    pub fn respond(self, answer: Answer, counters: &Counters) -> Response<Full<Bytes>> {
        let mut response = answer.into_response();
        let status = response.status();
        match self {
            Self::Lenient if status != StatusCode::OK && status != StatusCode::FORBIDDEN => {
                counters.count(Counter::LenientAnswers);
                *response.status_mut() = StatusCode::OK;
            }
            Self::Lenient | Self::Strict => {}
        }
        response
    }
}

fn is_old_call(call: &Parts) -> bool {
    call.method == Method::POST
        && matches!(call.uri.path(), "/ase/request" | "/ase/response")
        && delivery(&call.uri) == Delivery::PerCall
}
