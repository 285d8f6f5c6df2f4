//! An error that may repeat with every line, told at a bounded rate.

use std::path::Path;
use std::time::{Duration, Instant};

/// Between two reports.
const PAUSE: Duration = Duration::from_secs(10);

/// When the last report was.
#[derive(Debug, Default)]
pub(super) struct Complaint(Option<Instant>);

impl Complaint {
    /// Reports unless it did so a moment ago.
    pub(super) fn about(&mut self, path: &Path, what: &str, error: &dyn std::fmt::Display) {
        if self.is_due() {
            tracing::error!(path = %path.display(), %error, "{what}");
        }
    }

    /// Whether to report now; the caller does if so.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if due {
            self.0 = Some(now);
        }
        due
    }
}
