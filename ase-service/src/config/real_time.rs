//! The settings of detections: the master switches, how long an entry lasts, how much is counted and kept.

use std::time::Duration;

use ase_core::decision::{Switch, Switches};
use ase_core::fault::Fields;

use crate::lifetimes::Lifetimes;
use crate::state::detections::Retention;

/// Longest life of an entry: ten years, in seconds.
const MAX_TTL_SECONDS: u64 = 315_360_000;

const DAY_SECONDS: u64 = 86_400;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealTimeSettings {
    /// What is enforced until somebody turns a switch.
    pub switches: Switches,
    /// How long a client stays listed after it broke a rule, where no lifetime of addresses is set.
    pub ttl: Duration,
    /// How long entries last that nobody gives an end.
    pub lifetimes: Lifetimes,
    /// How much of the detections is kept.
    pub detections: Retention,
    /// Most request counts that are kept, one per client and API with a limit.
    pub counted_clients: usize,
}

impl Default for RealTimeSettings {
    fn default() -> Self {
        Self {
            switches: Switches::default(),
            ttl: Duration::from_secs(3600),
            lifetimes: Lifetimes::default(),
            detections: Retention::default(),
            counted_clients: 200_000,
        }
    }
}

impl RealTimeSettings {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        let default = Self::default();
        let mut switch = |key, default: Switch| match fields.flag(key, default.is_on()) {
            true => Switch::On,
            false => Switch::Off,
        };
        let switches = Switches {
            firewall: switch("enable_firewall", default.switches.firewall),
            ase_detected_attack: switch(
                "enable_ase_detected_attack",
                default.switches.ase_detected_attack,
            ),
        };
        let mut real_time = fields.object("real_time");
        let ttl = real_time.integer("ttl_s", 1..=MAX_TTL_SECONDS, default.ttl.as_secs());
        let wide = u64::try_from(default.counted_clients).unwrap_or(u64::MAX);
        let clients = real_time.integer("counted_clients", 128..=100_000_000_u64, wide);
        real_time.finish();
        Self {
            switches,
            ttl: Duration::from_secs(ttl),
            lifetimes: Lifetimes::read(fields),
            detections: retention(fields, default.detections),
            counted_clients: usize::try_from(clients).unwrap_or(default.counted_clients),
        }
    }
}

fn retention(fields: &mut Fields<'_, '_>, default: Retention) -> Retention {
    let mut detections = fields.object("detections");
    let count = detections.integer("keep", 1..=10_000_000_u64, default.count);
    let days = default.age.as_secs() / DAY_SECONDS;
    let days = detections.integer("keep_days", 1..=3650_u64, days);
    detections.finish();
    Retention {
        count,
        age: Duration::from_secs(days.saturating_mul(DAY_SECONDS)),
    }
}
