//! What an operator can set: what a detection leads to, for how long, from which values on, and how much memory may be used.

use std::collections::BTreeMap;
use std::time::Duration;

use ase_core::address::Ipv6Width;
use ase_core::credential::CredentialKind;
use ase_core::identifier_list::ListedIdentifier;

use crate::catalogue::{Attack, Variable};

/// Settings of an engine. The defaults are what the project is judged on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What a detection of an attack leads to; [`Response::Enforce`] for those that are not named, [`Response::Simulate`] for sequences.
    pub responses: BTreeMap<Attack, Response>,
    /// What any detection leads to at most.
    pub at_most: Response,
    /// Thresholds that replace those of the catalogue.
    pub thresholds: BTreeMap<(Attack, Variable), Limit>,
    /// How long a first offence is listed.
    pub ttl: Ttl,
    /// When what is learned of an API counts, and for what.
    pub training: Training,
    /// Bounds of memory.
    pub limits: Limits,
    /// How many bits of an IPv6 address stand for one client.
    pub ipv6_width: Ipv6Width,
}

/// What a detection leads to, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Response {
    /// The detector does not report.
    Off,
    /// It reports, and says whom it would have listed.
    Simulate,
    /// It reports and proposes to list.
    #[default]
    Enforce,
}

/// The thresholds of one variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The normal threshold.
    pub tn: f32,
    /// The extreme threshold, where there is one.
    pub tx: Option<f32>,
}

/// How long an identifier is listed for its first offence; every further one takes four times as long, up to [`Self::longest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// An address: short, since others may be given it.
    pub address: Duration,
    /// A cookie.
    pub cookie: Duration,
    /// A token.
    pub token: Duration,
    /// An API key.
    pub api_key: Duration,
    /// A user name.
    pub username: Duration,
    /// The most that repeating earns.
    pub longest: Duration,
}

/// When what is learned of an API or route counts, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training {
    /// What exceeding a learned threshold leads to at most.
    pub response: Response,
    /// How long the API or route must have had traffic, silences of more than ten minutes left out.
    pub period: Duration,
    /// How many windows (one client's ten minutes each) must have been learned from.
    pub windows: u32,
    /// Of how many clients.
    pub clients: u32,
    /// How many sessions before the order of calls is judged.
    pub sessions: u32,
}

/// Bounds of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Identifiers that are watched; beyond, the least used one is forgotten.
    pub clients: u32,
    /// Suspects of whom sample requests are kept.
    pub suspects: u32,
    /// Routes that are known to answer well, over all APIs.
    pub routes: u32,
    /// APIs that are told apart; more share one account.
    pub apis: u16,
    /// Lessons that are remembered.
    pub lessons: u32,
    /// Windows of ten minutes (one client on one API or route each) that are measured at once, 136 bytes each; set aside when an engine is made.
    pub windows: u32,
}

impl Default for Ttl {
    fn default() -> Self {
        Self {
            address: Duration::from_secs(60 * 60),
            cookie: Duration::from_secs(12 * 60 * 60),
            token: Duration::from_secs(12 * 60 * 60),
            api_key: Duration::from_secs(60 * 60),
            username: Duration::from_secs(60 * 60),
            longest: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            // A threshold that only this API's traffic speaks for has to prove itself to its operator before it lists anybody.
            response: Response::Simulate,
            period: Duration::from_secs(24 * 60 * 60),
            windows: 400,
            clients: 20,
            sessions: 200,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 1_000_000,
            suspects: 16_384,
            routes: 65_536,
            apis: 4_096,
            lessons: 4_096,
            windows: 131_072,
        }
    }
}

impl Settings {
    /// What a detection of `attack` leads to.
    #[must_use]
    pub fn response(&self, attack: Attack) -> Response {
        // An order that is new is no proof of an attack: an operator decides whether it blocks.
        let usual = if attack == Attack::Sequence {
            Response::Simulate
        } else {
            Response::Enforce
        };
        self.responses.get(&attack).copied().unwrap_or(usual)
    }

    /// What a detection of `attack` by a learned threshold leads to.
    #[must_use]
    pub fn learned_response(&self, attack: Attack) -> Response {
        self.response(attack).min(self.training.response)
    }

    /// The thresholds of a variable; `None` when the attack has no such variable.
    #[must_use]
    pub fn limit(&self, attack: Attack, variable: Variable) -> Option<Limit> {
        let spec = attack.variables().get(variable as usize)?;
        let set = self.thresholds.get(&(attack, variable)).copied();
        Some(set.unwrap_or(Limit {
            tn: spec.tn,
            tx: spec.tx,
        }))
    }
}

impl Ttl {
    /// How long `identifier` is listed when it has offended `before` times before.
    #[must_use]
    pub fn of(&self, identifier: &ListedIdentifier, before: u8) -> Duration {
        let first = match identifier {
            ListedIdentifier::Network(_) => self.address,
            ListedIdentifier::Credential { kind, .. } => match kind {
                CredentialKind::Cookie => self.cookie,
                CredentialKind::Token => self.token,
                CredentialKind::ApiKey => self.api_key,
                CredentialKind::Username => self.username,
            },
        };
        let factor = 4_u32.saturating_pow(u32::from(before));
        first.saturating_mul(factor).min(self.longest.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> ListedIdentifier {
        ListedIdentifier::Network(ase_core::address::Network::parse("192.0.2.1").unwrap())
    }

    #[test]
    fn every_further_offence_is_listed_four_times_as_long_up_to_the_longest() {
        let ttl = Ttl::default();
        let hours = |before| ttl.of(&address(), before).as_secs() / 3600;
        assert_eq!([hours(0), hours(1), hours(2)], [1, 4, 16]);
        assert_eq!(ttl.of(&address(), 255), ttl.longest);
    }

    #[test]
    fn an_operators_threshold_replaces_that_of_the_catalogue() {
        let mut settings = Settings::default();
        let own = Limit { tn: 99.0, tx: None };
        assert_ne!(settings.limit(Attack::Probing, Variable::A), Some(own));
        settings
            .thresholds
            .insert((Attack::Probing, Variable::A), own);
        assert_eq!(settings.limit(Attack::Probing, Variable::A), Some(own));
        assert_eq!(settings.limit(Attack::Injection, Variable::F), None);
    }
}
