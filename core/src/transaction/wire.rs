//! The JSON of a batch record (`docs/wire.md`): one line a transaction, written by the gateway, read by ASE.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use super::{
    Course, End, FailureClass, GatewayDecision, Mode, RecordId, Transaction, VerdictLabel,
};
use crate::json;
use crate::metadata::{RequestMetadata, ResponseMetadata};
use crate::time::UnixMillis;
use crate::wire::quick::{self, Cursor, fill};
use crate::wire::{Object, RawRequest, RawResponse};

/// Appends JSON to a buffer.
pub type Write<'a> = dyn Fn(&mut Vec<u8>) + 'a;

/// A record about to be written. Its two halves are JSON objects that write themselves when it is.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// What became of the exchange.
    pub course: &'a Course,
    /// As [`crate::wire::write_request`] does.
    pub request: &'a Write<'a>,
    /// As [`crate::wire::write_response`] does; `None` where there was no response.
    pub response: Option<&'a Write<'a>>,
}

/// What is wrong with a line of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordFault {
    /// Not JSON, or not of the documented shape; the text is the parser's.
    #[error("not a record: {0}")]
    Malformed(String),
    /// A field holds something else than documented.
    #[error("{field}: {value:?} is not known")]
    Unknown {
        /// The field's name.
        field: &'static str,
        /// What it holds, cut to 64 characters.
        value: String,
    },
    /// The id is not one.
    #[error("id: {0}")]
    Id(#[from] super::RecordIdError),
    /// The response half has no valid code.
    #[error("response: response code absent")]
    ResponseCode,
}

/// Appends `record` and a newline.
pub fn write_record(out: &mut Vec<u8>, record: &Record<'_>) {
    let course = record.course;
    json::object(out, |o| {
        o.text("id", course.id.as_str().as_bytes());
        o.number("started_ms", course.started.0);
        o.number("duration_us", micros(course.duration));
        o.text("mode", course.mode.as_str().as_bytes());
        o.text("decision", course.decision.as_str().as_bytes());
        if let Some(class) = course.decision.cause() {
            o.text("cause", class.as_str().as_bytes());
        }
        if let Some(verdict) = course.verdict {
            o.text("verdict", verdict.as_str().as_bytes());
        }
        if let Some(asked_for) = course.asked_for {
            o.number("ask_us", micros(asked_for));
        }
        o.text("end", course.end.as_str().as_bytes());
        o.json("request", record.request);
        if let Some(response) = record.response {
            o.json("response", response);
        }
    });
    out.push(b'\n');
}

/// Reads one line of a batch, given as text (see [`crate::wire::body_text`]).
///
/// # Errors
/// When the line is not a record; a record whose request half lacks something required is still read.
pub fn read_record(line: &str) -> Result<Transaction<'_>, RecordFault> {
    match quick::whole(line, Members::read) {
        Some(members) => members.into_transaction(),
        None => read_any_record(line),
    }
}

fn read_any_record(line: &str) -> Result<Transaction<'_>, RecordFault> {
    let Object(raw): Object<RawRecord<'_>> =
        serde_json::from_str(line).map_err(|error| RecordFault::Malformed(error.to_string()))?;
    let response = match raw.response {
        None => None,
        Some(response) => Some(
            response
                .0
                .into_metadata()
                .ok_or(RecordFault::ResponseCode)?,
        ),
    };
    let members = Members {
        id: raw.id,
        started_ms: raw.started_ms,
        duration_us: raw.duration_us,
        mode: raw.mode,
        decision: raw.decision,
        cause: raw.cause,
        verdict: raw.verdict,
        ask_us: raw.ask_us,
        end: raw.end,
        request: raw.request.0.into_metadata(),
        response,
    };
    members.into_transaction()
}

/// The members of a record.
struct Members<'a> {
    id: Cow<'a, str>,
    started_ms: u64,
    duration_us: u64,
    mode: Cow<'a, str>,
    decision: Cow<'a, str>,
    cause: Option<Cow<'a, str>>,
    verdict: Option<Cow<'a, str>>,
    ask_us: Option<u64>,
    end: Cow<'a, str>,
    request: RequestMetadata<'a>,
    response: Option<ResponseMetadata<'a>>,
}

impl<'a> Members<'a> {
    /// Those of a record as our filter writes it; `None` for any other, and for one that lacks something.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let (mut id, mut mode, mut decision, mut cause, mut verdict, mut end) =
            (None, None, None, None, None, None);
        let (mut started, mut duration, mut ask, mut request, mut response) =
            (None, None, None, None, None);
        cursor.object(|key, cursor| match key {
            "id" => fill(&mut id, cursor.string()?),
            "started_ms" => fill(&mut started, cursor.number()?),
            "duration_us" => fill(&mut duration, cursor.number()?),
            "mode" => fill(&mut mode, cursor.string()?),
            "decision" => fill(&mut decision, cursor.string()?),
            "cause" => fill(&mut cause, cursor.string()?),
            "verdict" => fill(&mut verdict, cursor.string()?),
            "ask_us" => fill(&mut ask, cursor.number()?),
            "end" => fill(&mut end, cursor.string()?),
            "request" => fill(&mut request, cursor.request()?),
            "response" => fill(&mut response, cursor.response()?),
            _ => None,
        })?;
        Some(Self {
            id: id?.into(),
            started_ms: started?,
            duration_us: duration?,
            mode: mode?.into(),
            decision: decision?.into(),
            cause: cause.map(Cow::Borrowed),
            verdict: verdict.map(Cow::Borrowed),
            ask_us: ask,
            end: end?.into(),
            request: request?,
            response,
        })
    }

    fn into_transaction(self) -> Result<Transaction<'a>, RecordFault> {
        let cause = match self.cause.as_deref() {
            None => None,
            Some(name) => Some(known(
                "cause",
                name,
                &FailureClass::ALL,
                FailureClass::as_str,
            )?),
        };
        let decision = GatewayDecision::from_parts(&self.decision, cause)
            .ok_or_else(|| unknown("decision", &self.decision))?;
        let course = Course {
            id: RecordId::parse(&self.id)?,
            started: UnixMillis(self.started_ms),
            duration: Duration::from_micros(self.duration_us),
            mode: known("mode", &self.mode, &Mode::ALL, Mode::as_str)?,
            decision,
            // A label of a newer ASE is no fault of the record.
            verdict: self.verdict.as_deref().and_then(VerdictLabel::parse),
            asked_for: self.ask_us.map(Duration::from_micros),
            end: known("end", &self.end, &End::ALL, End::as_str)?,
        };
        Ok(Transaction {
            course,
            request: self.request,
            response: self.response,
        })
    }
}

#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    started_ms: u64,
    duration_us: u64,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(borrow)]
    decision: Cow<'a, str>,
    #[serde(borrow)]
    cause: Option<Cow<'a, str>>,
    #[serde(borrow)]
    verdict: Option<Cow<'a, str>>,
    ask_us: Option<u64>,
    #[serde(borrow)]
    end: Cow<'a, str>,
    #[serde(borrow)]
    request: Object<RawRequest<'a>>,
    #[serde(borrow)]
    response: Option<Object<RawResponse<'a>>>,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn known<T: Copy>(
    field: &'static str,
    name: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T, RecordFault> {
    all.iter()
        .copied()
        .find(|value| name_of(*value) == name)
        .ok_or_else(|| unknown(field, name))
}

fn unknown(field: &'static str, value: &str) -> RecordFault {
    RecordFault::Unknown {
        field,
        value: value.chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests;
