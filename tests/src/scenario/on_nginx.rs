//! The scenarios on the host that imitates nginx: which ones it runs, with what configuration, and what is seen otherwise there.

use serde_json::Value;

use super::{Scenario, configuration, merge};
use crate::gateway::{GatewayKind, Listener};

impl Scenario {
    /// With what clients and logs of this gateway see: nginx has no response-code details, and adds a line feed to the bodies of local replies.
    #[must_use]
    pub fn as_seen_on(mut self, gateway: GatewayKind) -> Self {
        if gateway != GatewayKind::Nginx {
            return self;
        }
        for step in &mut self.step {
            let with_details =
                |line: &String| line.starts_with("access ") && line.contains(" ase_");
            step.log.retain(|line| !with_details(line));
            let passed = step.upstream.as_ref().is_none_or(|seen| seen.count > 0);
            let body = step.client.as_mut().and_then(|client| client.body.as_mut());
            if let Some(body) = body.filter(|body| !body.is_empty() && !body.ends_with('\n'))
                && !passed
            {
                body.push('\n');
            }
        }
        self
    }

    /// What needs a listener of Envoy's, a setting that nginx refuses, or another configuration while it runs is not for it.
    pub(super) fn suits_nginx(&self) -> bool {
        let refused = [
            "/route_metadata",
            "/user_info/verified_jwt",
            "/ase/retry",
            "/report/tls",
        ];
        self.not_on_nginx.is_none()
            && self.does_not_start.is_empty()
            && self.listener == Listener::default()
            && self.step.iter().all(|step| step.reconfigure.is_none())
            && refused.iter().all(|key| self.filter.pointer(key).is_none())
    }
}

/// The same for this gateway: nginx has to be told, and wants ASE named.
#[must_use]
pub fn configuration_on(gateway: GatewayKind, changes: &Value) -> Value {
    let mut own = match gateway {
        GatewayKind::Nginx => {
            serde_json::json!({"host_profile": "nginx", "ase": {"cluster": "ase"}})
        }
        GatewayKind::Wasmtime | GatewayKind::Envoy => Value::Null,
    };
    merge(&mut own, changes);
    configuration(&own)
}
