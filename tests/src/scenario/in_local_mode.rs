//! The scenarios of `sync` in `local` mode: without an image, or behind the real daemon with one, clients and ASE see the same.

use serde_json::{Value, json};

use super::{AseCluster, Rise, Scenario, WhileAsked, merge};
use crate::gateway::GatewayKind;

/// Counts refusals of the call that reads the headers of each of ASE's answers: those to the calls for the image, which come when they come, too.
const REFUSED_HEADERS: &str = "ase_host_refused_proxy_get_header_map_pairs";

impl Scenario {
    /// The same in `local` mode; `None` where it is about another mode, or about how often a call of any kind fails: the calls for the image fail as well.
    #[must_use]
    pub fn in_local_mode(mut self) -> Option<Self> {
        if !self.suits_local_mode() {
            return None;
        }
        let local = json!({"mode": "local"});
        merge_into(&mut self.filter, &local);
        for step in &mut self.step {
            if let Some(reconfigure) = &mut step.reconfigure {
                merge_into(&mut reconfigure.to, &local);
            }
            if let Some(WhileAsked::Reconfigure(to)) = &mut step.while_asked {
                merge_into(to, &local);
            }
            if let Some(rise) = step.counters.get_mut(REFUSED_HEADERS)
                && let Rise::Exactly(at_least) = *rise
            {
                *rise = Rise::AtLeast { at_least };
            }
            let Some(record) = &mut step.record else {
                continue;
            };
            if record.mode.as_deref() == Some("sync") {
                record.mode = Some("local".to_owned());
            }
            record.may_pass_by_image = self.daemon.is_some();
        }
        Some(self)
    }

    fn suits_local_mode(&self) -> bool {
        let at = |pointer: &str| self.filter.pointer(pointer);
        let is_sync = at("/mode").is_none_or(|mode| mode == "sync");
        let mut modes = self.step.iter().filter_map(|step| match &step.reconfigure {
            Some(reconfigure) => reconfigure.to.get("mode"),
            None => None,
        });
        // No image is fresh where hardly anything ticks, and the filter refuses to try.
        let ticks = at("/delivery/tick_ms")
            .and_then(Value::as_u64)
            .is_none_or(|tick_ms| tick_ms < 10_000);
        let calls_are_counted = self.ase_cluster != AseCluster::OneEndpoint
            || self.listener.ase_max_requests.is_some()
            || at("/ase/secondary").is_some()
            || (self.listener.denied_capabilities.iter()).any(|call| call == "proxy_http_call");
        let for_nginx = (self.only.as_ref()).is_some_and(|only| only.gateway == GatewayKind::Nginx);
        is_sync
            && ticks
            && modes.all(|mode| mode == "sync")
            && !calls_are_counted
            && !for_nginx
            && self.does_not_start.is_empty()
    }
}

fn merge_into(into: &mut Value, changes: &Value) {
    if into.is_null() {
        *into = json!({});
    }
    merge(into, changes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_the_calls_for_the_image_meet_too_are_counted_from_below() {
        let text = "name = \"s\"\n[[step]]\ncounters = { ase_host_refused_proxy_get_header_map_pairs = 3, ase_permit_fail_open = 1 }\n";
        let scenario: Scenario = toml::from_str(text).unwrap();
        let local = scenario.in_local_mode().unwrap();
        let counters = &local.step[0].counters;
        assert!(matches!(
            counters[REFUSED_HEADERS],
            Rise::AtLeast { at_least: 3 }
        ));
        assert!(matches!(counters["ase_permit_fail_open"], Rise::Exactly(1)));
    }
}
