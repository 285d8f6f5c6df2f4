//! Rules that give routes settings of their own, by host and path: for gateways that cannot set route metadata.
//!
//! The first rule that matches counts. A path that servers read in different ways falls under a rule only when every reading does: a rule may loosen, and a
//! client chooses the spelling.

use ase_core::fault::{Fields, Item};
use ase_core::host::HostName;
use ase_core::path::NormalPath;

use super::policy::{Policy, Treatment};
use super::read::millis;
use super::text::{self, TextFault};

/// All rules, in the order of the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    /// Empty for every host.
    hosts: Vec<HostRule>,
    /// Empty for every path.
    paths: Vec<NormalPath>,
    policy: Policy,
}

/// A host, or every name below one.
#[derive(Clone, Debug)]
enum HostRule {
    Exactly(HostName),
    Below(HostName),
}

impl Routes {
    /// Reads the rules; what one does not set is as in `base`.
    pub(super) fn read(root: &mut Fields<'_, '_>, base: Policy) -> Self {
        Self(root.list("routes", |item| Some(Rule::read(item, base))))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a rule has requests wait for ASE.
    pub(super) fn any_asks(&self) -> bool {
        self.0.iter().any(|rule| rule.policy.treatment.asks())
    }

    /// Whether a rule has requests judged by an image.
    pub(super) fn any_local(&self) -> bool {
        self.0
            .iter()
            .any(|rule| rule.policy.treatment == Treatment::Local)
    }

    /// The settings of the first rule for this request.
    pub(super) fn find(&self, authority: &[u8], url: &str) -> Option<Policy> {
        let host = HostName::from_header(authority).ok();
        let readings = NormalPath::readings(url);
        let found = self.0.iter().find(|rule| {
            let on_host = rule.hosts.is_empty()
                || host
                    .as_ref()
                    .is_some_and(|host| rule.hosts.iter().any(|rule| rule.covers(host)));
            on_host && (rule.paths.is_empty() || readings.iter().all(|path| rule.covers(path)))
        });
        found.map(|rule| rule.policy)
    }
}

impl Rule {
    fn read(item: &mut Item<'_, '_>, base: Policy) -> Self {
        let mut fields = item.fields();
        let hosts = names(&mut fields, "hosts", HostRule::parse);
        let paths = names(&mut fields, "paths", path);
        let covers_all = !fields
            .keys()
            .iter()
            .any(|key| matches!(*key, "hosts" | "paths"));
        let mut policy = base.read(&mut fields);
        if let Some(mut item) = fields.item("timeout_ms") {
            policy.timeout = item.integer(1..=60_000_u32).map_or(policy.timeout, millis);
        }
        fields.finish();
        if covers_all {
            item.fault(
                "must name hosts or paths: what holds for every request stands outside routes",
            );
        }
        Self {
            hosts,
            paths,
            policy,
        }
    }

    fn covers(&self, path: &NormalPath) -> bool {
        self.paths.iter().any(|base| path.starts_with(base))
    }
}

impl HostRule {
    fn parse(text: &str) -> Result<Self, TextFault> {
        let (name, rule): (&str, fn(HostName) -> Self) = match text.strip_prefix("*.") {
            Some(below) => (below, Self::Below),
            None => (text, Self::Exactly),
        };
        let host = HostName::from_header(name.as_bytes());
        host.map(rule)
            .map_err(|_| TextFault::Host(text.chars().take(64).collect()))
    }

    fn covers(&self, host: &HostName) -> bool {
        match self {
            Self::Exactly(name) => name == host,
            Self::Below(name) => host
                .as_str()
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

/// A list that is there and empty is a fault: it would stand for everything.
fn names<T>(
    fields: &mut Fields<'_, '_>,
    key: &str,
    parse: fn(&str) -> Result<T, TextFault>,
) -> Vec<T> {
    let Some(mut item) = fields.item(key) else {
        return Vec::new();
    };
    if item.value().as_array().is_some_and(<[_]>::is_empty) {
        item.fault("must name one or more");
    }
    item.list(|item| item.custom(parse)).unwrap_or_default()
}

fn path(text: &str) -> Result<NormalPath, TextFault> {
    if text.contains('?') {
        return Err(TextFault::PathPrefix);
    }
    text::path(text).map(|path| NormalPath::from_url(&path))
}

#[cfg(test)]
mod tests;
