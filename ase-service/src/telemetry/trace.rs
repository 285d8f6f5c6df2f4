//! Spans of calls to the data port: which are kept, and whose children they are (W3C Trace Context, level 1).
//!
//! The parent is the `traceparent` header of the call itself or, for a question, the one among the headers of the request that
//! the gateway asks about. A parent's decision to sample is followed; without a parent one trace in so many is kept. Nothing of
//! the request beside the parent's ids goes into a span.

use std::sync::Arc;
use std::time::Duration;

use ase_core::time::UnixMillis;
use ase_core::transaction::VerdictLabel;
use ase_core::wire;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::otlp::{self, Message};
use crate::call_headers::CallHeaders;
use crate::config::otel::OtelSettings;

/// Most spans that wait for the exporter.
const QUEUE: usize = 2048;

/// Decides on spans and hands them to the exporter, which it never waits for.
#[derive(Debug)]
pub struct Tracer {
    queue: mpsc::Sender<Message>,
    one_in: u64,
    counts: Arc<otlp::Counts>,
}

/// Where a span belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A question was answered.
    Question(Option<VerdictLabel>),
    /// A batch was dealt with.
    Batch,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// What was done.
    pub operation: Operation,
    /// Who called.
    pub gateway: &'a str,
    /// When the call began.
    pub started: UnixMillis,
    /// How long it took.
    pub took: Duration,
}

/// A span to export.
#[derive(Clone, Debug)]
pub struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) operation: Operation,
    pub(super) gateway: String,
    pub(super) started: UnixMillis,
    pub(super) took: Duration,
}

impl Tracer {
    /// Starts the exporter; call it within a runtime.
    #[must_use]
    pub fn start(settings: OtelSettings, counts: Arc<otlp::Counts>) -> Self {
        let (queue, spans) = mpsc::channel(QUEUE);
        let one_in = settings.sample_one_in;
        tokio::spawn(otlp::export(settings, spans, Arc::clone(&counts)));
        Self {
            queue,
            one_in,
            counts,
        }
    }

    /// Keeps the span of a call if it is sampled.
    pub fn ended(&self, parent: Option<Parent>, call: &Ended<'_>) {
        let mut random = [0; 24];
        if getrandom::fill(&mut random).is_err() {
            self.counts.dropped(1);
            return;
        }
        let (id, trace) = random.split_at(8);
        let number = |bytes: &[u8]| {
            let shifted = |sum: u128, byte: &u8| (sum << 8) | u128::from(*byte);
            bytes.iter().fold(0, shifted)
        };
        let trace = parent.map_or_else(|| number(trace), |parent| parent.trace);
        // All nodes that see a trace decide alike: its own random bits do.
        let own = || u64::try_from(trace & u128::from(u64::MAX)).unwrap_or(0) % self.one_in == 0;
        if !parent.map_or_else(own, |parent| parent.sampled) {
            return;
        }
        let span = Span {
            trace,
            // An id of zeros is invalid.
            id: u64::try_from(number(id)).unwrap_or(0).max(1),
            parent: parent.map(|parent| parent.span),
            operation: call.operation,
            gateway: call.gateway.to_owned(),
            started: call.started,
            took: call.took,
        };
        match self.queue.try_send(Message::Span(span)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.counts.dropped(1),
        }
    }

    /// Waits until everything that was kept has been exported or given up.
    pub async fn flush(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.queue.send(Message::Flush(sender)).await.is_ok() {
            // An error means that the exporter is gone, and nothing waits for it any more.
            drop(receiver.await);
        }
    }
}

impl Parent {
    /// The parent that the headers of a call name.
    #[must_use]
    pub fn of_call(headers: &(impl CallHeaders + ?Sized)) -> Option<Self> {
        Self::parse(headers.first("traceparent")?)
    }

    /// The parent that the headers of the request in a question name.
    #[must_use]
    pub fn of_question(body: &[u8]) -> Option<Self> {
        let text = wire::body_text(body);
        let metadata = wire::read_request(&text).ok()?;
        Self::parse(metadata.headers.first(b"traceparent")?)
    }

    /// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`; a later version may have more behind it.
    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let mut parts = text.split('-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let valid = part.len() == digits
                && part
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let number = u128::from_str_radix(part, 16).ok();
            number.filter(|_| valid)
        };
        let version = hex(2)?;
        let (trace, span, flags) = (hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next().is_some();
        if version == 0xff || version == 0 && more || trace == 0 || span == 0 {
            return None;
        }
        Some(Self {
            trace,
            span: u64::try_from(span).ok()?,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_the_standard_says_or_not_at_all() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = |sampled| {
            Some(Parent {
                trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
                span: 0xb7ad_6b71_6920_3331,
                sampled,
            })
        };
        for (text, expected) in [
            (format!("00-{trace}-b7ad6b7169203331-01"), parent(true)),
            (format!("00-{trace}-b7ad6b7169203331-00"), parent(false)),
            (format!("01-{trace}-b7ad6b7169203331-03-x"), parent(true)),
            (format!("00-{trace}-b7ad6b7169203331-01-x"), None),
            (format!("ff-{trace}-b7ad6b7169203331-01"), None),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None),
            (format!("00-{trace}-0000000000000000-01"), None),
            (
                format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()),
                None,
            ),
            (format!("00-+{}-b7ad6b7169203331-01", "1".repeat(31)), None),
            (String::new(), None),
        ] {
            assert_eq!(Parent::parse(text.as_bytes()), expected, "{text}");
        }
    }
}
