//! What a replay counted, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::line::{Request, Unsendable};

/// Most line numbers that are named per reason.
const MAX_NUMBERS: usize = 20;

#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    statuses: BTreeMap<u16, usize>,
    errors: BTreeMap<String, usize>,
    pub(super) read: Read,
    pub(super) took: Duration,
}

/// What the log held.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub(super) lines: usize,
    pub(super) requests: usize,
    unsendable: BTreeMap<Unsendable, Lines>,
    encoded: usize,
    absolute: usize,
    slashed: usize,
    without_client: usize,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    count: usize,
    first: Vec<usize>,
}

impl Read {
    /// Counts a request.
    pub(super) fn request(&mut self, request: &Request) {
        self.requests = self.requests.saturating_add(1);
        self.encoded = self
            .encoded
            .saturating_add(usize::from(request.change.encoded > 0));
        self.absolute = self
            .absolute
            .saturating_add(usize::from(request.change.absolute));
        self.slashed = self
            .slashed
            .saturating_add(usize::from(request.change.slashed));
        self.without_client = self
            .without_client
            .saturating_add(usize::from(request.client.is_none()));
    }

    /// Counts the current line as one that gives no request.
    pub(super) fn unsendable(&mut self, why: Unsendable) {
        let lines = self.unsendable.entry(why).or_default();
        lines.count = lines.count.saturating_add(1);
        if lines.first.len() < MAX_NUMBERS {
            lines.first.push(self.lines);
        }
    }
}

impl Summary {
    pub(super) fn status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn error(&mut self, text: String) {
        *self.errors.entry(text).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }

    /// Requests that got an answer.
    pub(super) fn answered(&self) -> usize {
        self.statuses.values().sum()
    }

    /// Requests that were tried.
    pub(super) fn sent(&self) -> usize {
        self.answered().saturating_add(self.errors.values().sum())
    }

    fn per_second(&self) -> f64 {
        let answered = u32::try_from(self.answered()).unwrap_or(u32::MAX);
        f64::from(answered) / self.took.as_secs_f64().max(0.001)
    }

    pub(super) fn to_json(&self) -> String {
        let unsendable: serde_json::Map<_, _> = self
            .read
            .unsendable
            .iter()
            .map(|(why, lines)| {
                (
                    why.as_str().to_owned(),
                    json!({"count": lines.count, "first_lines": lines.first}),
                )
            })
            .collect();
        let statuses: BTreeMap<String, usize> = self
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), *count))
            .collect();
        json!({
            "lines": self.read.lines, "requests": self.read.requests, "sent": self.sent(), "answered": self.answered(),
            "statuses": statuses, "errors": self.errors, "unsendable": unsendable,
            "targets_encoded": self.read.encoded, "targets_absolute": self.read.absolute, "targets_slashed": self.read.slashed,
            "without_client_address": self.read.without_client,
            "seconds": self.took.as_secs_f64(), "requests_per_second": self.per_second(),
        })
        .to_string()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = &self.read;
        write!(
            f,
            "lines      {}, of which {} are requests",
            read.lines, read.requests
        )?;
        write!(
            f,
            "\nsent       {}, answered {} in {:.1} s, {:.0} a second",
            self.sent(),
            self.answered(),
            self.took.as_secs_f64(),
            self.per_second()
        )?;
        for (status, count) in &self.statuses {
            write!(f, "\nstatus {status} {count}")?;
        }
        for (error, count) in &self.errors {
            write!(f, "\nerror      {count} x {error}")?;
        }
        for (why, lines) in &read.unsendable {
            let numbers: Vec<String> = lines.first.iter().map(ToString::to_string).collect();
            let more = if lines.count > lines.first.len() {
                ", ..."
            } else {
                ""
            };
            write!(
                f,
                "\nnot sent   {} x {}: lines {}{more}",
                lines.count,
                why.as_str(),
                numbers.join(", ")
            )?;
        }
        for (count, what) in [
            (read.encoded, "targets percent-encoded in part"),
            (read.absolute, "absolute URLs sent as their path"),
            (read.slashed, "targets given a slash in front"),
            (read.without_client, "requests without a client address"),
        ] {
            if count > 0 {
                write!(f, "\nnote       {count} {what}")?;
            }
        }
        Ok(())
    }
}
