//! How one request is treated: the settings that a route may have of its own.

use std::net::IpAddr;
use std::time::Duration;

use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::fault::{Fields, Item};
use ase_core::json::Value;
use ase_core::transaction::FailureClass;

use super::failure_policy::{FailureAction, FailurePolicy};

/// The settings of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How it is treated.
    pub treatment: Treatment,
    /// What happens when no verdict can be had.
    pub on_failure: FailurePolicy,
    /// What happens when ASE does not know the API.
    pub unregistered: UnregisteredAction,
    /// Longest wait for a verdict, 1 ms to 1 min.
    pub timeout: Duration,
    /// How many of a hundred clients are treated so, 0 to 100.
    pub enabled_percent: u8,
    /// How the others are treated.
    pub not_enabled: NotEnabled,
}

/// How a request is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It waits for ASE's verdict.
    Sync,
    /// It passes at once and is reported.
    Async,
    /// It waits as in `Sync` and passes whatever comes; what would have stopped it is counted and reported.
    Shadow,
    /// It passes at once where the gateway's image of ASE's lists and APIs rules a block out, else it waits as in `Sync`.
    Local,
    /// It passes at once and is not reported.
    Off(OffReason),
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OffReason {
    /// Its route is switched off.
    Route,
    /// Its client is not among the enabled share.
    Share,
}

/// How clients are treated that are not among the enabled share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEnabled {
    /// Not at all.
    Off,
    /// They are reported.
    Async,
}

/// What happens to a request of an API that ASE does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnregisteredAction {
    /// It passes.
    Pass,
    /// It is blocked.
    Block,
}

const TREATMENTS: &[(&str, Treatment)] = &[
    ("sync", Treatment::Sync),
    ("async", Treatment::Async),
    ("shadow", Treatment::Shadow),
    ("local", Treatment::Local),
    ("off", Treatment::Off(OffReason::Route)),
];
const FAILURE_ACTIONS: &[(&str, FailureAction)] = &[
    ("open", FailureAction::Open),
    ("closed", FailureAction::Closed),
];
const UNREGISTERED_ACTIONS: &[(&str, UnregisteredAction)] = &[
    ("pass", UnregisteredAction::Pass),
    ("block", UnregisteredAction::Block),
];

impl Policy {
    pub(super) const DEFAULT: Self = Self {
        treatment: Treatment::Sync,
        on_failure: FailurePolicy::all(FailureAction::Open),
        unregistered: UnregisteredAction::Pass,
        timeout: Duration::from_millis(500),
        enabled_percent: 100,
        not_enabled: NotEnabled::Off,
    };

    /// This policy with what `fields` says; the timeout has its key elsewhere.
    pub(super) fn read(self, fields: &mut Fields<'_, '_>) -> Self {
        Self {
            treatment: fields.choice("mode", TREATMENTS, self.treatment),
            on_failure: on_failure(fields, self.on_failure),
            unregistered: fields.choice("unregistered", UNREGISTERED_ACTIONS, self.unregistered),
            timeout: self.timeout,
            enabled_percent: fields.integer("enabled_percent", 0..=100_u8, self.enabled_percent),
            not_enabled: fields.choice(
                "not_enabled",
                &[("off", NotEnabled::Off), ("async", NotEnabled::Async)],
                self.not_enabled,
            ),
        }
    }

    /// This policy with one setting of a route's metadata; `None` when the setting or its value is not known.
    #[must_use]
    pub fn with(self, key: &[u8], value: &[u8]) -> Option<Self> {
        let number =
            |low: f64, high: f64| metadata_number(value).filter(|n| *n >= low && *n <= high);
        let mut policy = self;
        match key {
            b"mode" => policy.treatment = named(TREATMENTS, value)?,
            b"on_failure" => policy.on_failure = FailurePolicy::all(named(FAILURE_ACTIONS, value)?),
            b"unregistered" => policy.unregistered = named(UNREGISTERED_ACTIONS, value)?,
            b"timeout_ms" => {
                policy.timeout = Duration::from_millis(number(1.0, 60_000.0)? as u64);
            }
            b"enabled_percent" => policy.enabled_percent = number(0.0, 100.0)? as u8,
            _ => return None,
        }
        Some(policy)
    }

    /// How a request of this client is treated. Without an address it is treated as if enabled, so that nobody escapes by having none.
    #[must_use]
    pub fn treatment_of(&self, client: Option<ClientAddress>) -> Treatment {
        let enabled = match client {
            _ if self.enabled_percent >= 100 => true,
            Some(client) => bucket(client) < self.enabled_percent,
            None => true,
        };
        match (enabled, self.treatment, self.not_enabled) {
            (true, treatment, _) | (false, treatment @ Treatment::Off(_), _) => treatment,
            (false, Treatment::Sync | Treatment::Shadow | Treatment::Local, NotEnabled::Async) => {
                Treatment::Async
            }
            (
                false,
                Treatment::Sync | Treatment::Shadow | Treatment::Local | Treatment::Async,
                _,
            ) => Treatment::Off(OffReason::Share),
        }
    }
}

impl Treatment {
    /// Whether ASE is asked, of some requests at least.
    #[must_use]
    pub fn asks(self) -> bool {
        match self {
            Self::Sync | Self::Shadow | Self::Local => true,
            Self::Async | Self::Off(_) => false,
        }
    }
}

/// The client's place among a hundred: the same in each worker, on each gateway and after each restart, so who is enabled at one percentage stays
/// enabled at a higher one. An IPv6 client is its /64.
fn bucket(client: ClientAddress) -> u8 {
    let mut hash = 0x811c_9dc5_u32;
    let mut mix = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    match client.network(Ipv6Width::default()).first().ip() {
        IpAddr::V4(ip) => ip.octets().into_iter().for_each(&mut mix),
        IpAddr::V6(ip) => ip.octets().into_iter().for_each(&mut mix),
    }
    // FNV-1a leaves neighbours close together; two more rounds part them.
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x846c_a68b);
    hash ^= hash >> 16;
    u8::try_from(hash % 100).unwrap_or(0)
}

fn named<T: Copy>(choices: &[(&str, T)], name: &[u8]) -> Option<T> {
    let found = choices.iter().find(|(known, _)| known.as_bytes() == name);
    found.map(|(_, value)| *value)
}

/// Envoy hands a number over as eight bytes; other hosts, and operators who quote it, as digits.
fn metadata_number(value: &[u8]) -> Option<f64> {
    let digits: Option<u32> = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    let number = match (digits, <[u8; 8]>::try_from(value)) {
        (Some(digits), _) => f64::from(digits),
        (None, Ok(bytes)) => f64::from_le_bytes(bytes),
        (None, Err(_)) => return None,
    };
    (number.fract() == 0.0).then_some(number)
}

fn on_failure(fields: &mut Fields<'_, '_>, base: FailurePolicy) -> FailurePolicy {
    let Some(mut item) = fields.item("on_failure") else {
        return base;
    };
    match item.value() {
        Value::String(_) => item
            .choice(FAILURE_ACTIONS)
            .map_or(base, FailurePolicy::all),
        Value::Object(_) => by_class(&mut item, base),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            item.fault("must be open, closed or an object with an action per failure class");
            base
        }
    }
}

fn by_class(item: &mut Item<'_, '_>, base: FailurePolicy) -> FailurePolicy {
    let mut fields = item.fields();
    let default = fields
        .item("default")
        .and_then(|mut item| item.choice(FAILURE_ACTIONS));
    // As `dyn`, for else there is a copy of it for each class.
    let choose: &mut dyn FnMut(FailureClass) -> FailureAction = &mut |class| {
        let usual = default.unwrap_or(base.of(class));
        fields.choice(class.as_str(), FAILURE_ACTIONS, usual)
    };
    let policy = FailurePolicy::by_class(choose);
    fields.finish();
    policy
}

#[cfg(test)]
mod tests;
