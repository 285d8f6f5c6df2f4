//! The documented line of failed sideband calls, in the operational log, only when something has failed since the line before.
//!
//! Its shape is that of the original's `balancer.log`: one JSON object with every counter of both groups.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::counters::Counters;

/// Between two looks.
pub const EVERY: Duration = Duration::from_secs(30);

const GROUPS: [&str; 2] = ["request parsing errors", "response parsing errors"];

/// What had been counted at the last look.
#[derive(Debug, Default)]
pub struct SidebandStats(Map<String, Value>);

impl SidebandStats {
    /// The line with what has been counted since the last look; `None` when nothing has failed.
    pub fn line(&mut self, counters: &Counters) -> Option<String> {
        let all = counters.to_json();
        let mut failed = false;
        let mut stats = Map::new();
        for group in GROUPS {
            let before = self.0.get(group);
            let now = all.get(group).and_then(Value::as_object)?;
            let mut since = Map::new();
            for (name, count) in now {
                let before = before.and_then(|group| group.get(name)?.as_u64());
                let new = count.as_u64()?.saturating_sub(before.unwrap_or(0));
                failed = failed || new > 0;
                since.insert(name.clone(), new.into());
            }
            stats.insert(group.to_owned(), since.into());
        }
        if let Value::Object(all) = all {
            self.0 = all;
        }
        failed.then(|| serde_json::json!({ "sideband stats": stats }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use ase_core::metadata::RequestFault;

    use super::*;

    #[test]
    fn says_what_failed_since_the_last_line_and_is_silent_otherwise() {
        let counters = Counters::default();
        let mut stats = SidebandStats::default();
        assert_eq!(stats.line(&counters), None);
        for expected in [2, 1] {
            for _ in 0..expected {
                counters.request_refused(&[RequestFault::SourceIpAbsent]);
            }
            let line: Value = serde_json::from_str(&stats.line(&counters).unwrap()).unwrap();
            let group = &line["sideband stats"]["request parsing errors"];
            assert_eq!(group["total requests failed"], expected);
            assert_eq!(group["request source ip absent"], expected);
            assert_eq!(group["request method absent"], 0);
            let responses = &line["sideband stats"]["response parsing errors"];
            assert_eq!(responses["response correlation id not found"], 0);
        }
        assert_eq!(stats.line(&counters), None);
    }
}
