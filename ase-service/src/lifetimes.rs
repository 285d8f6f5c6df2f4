//! How long an entry stays on the deny list when whoever adds it does not say: per type of identifier, one set for entries of
//! attacks (real-time rules and engine), one for those by hand.
//!
//! As the original counts it: in minutes, 0 is for ever, and a new value counts for new entries only. A type without a value has
//! the default of who adds the entry: real-time rules have one of their own, everybody else lists for ever.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ase_core::credential::CredentialKind;
use ase_core::fault::Fields;
use ase_core::identifier_list::ListedIdentifier;

use crate::state::{State, StateError, StoredSwitch};

/// Longest lifetime: ten years, in minutes.
pub const MAX_MINUTES: u32 = 5_256_000;

/// A type of identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentifierType {
    /// An address or network.
    Ip,
    /// A cookie.
    Cookie,
    /// A token.
    Token,
    /// An API key.
    ApiKey,
    /// A user name.
    Username,
}

/// Who adds an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A real-time rule or the engine.
    Attack,
    /// An operator.
    Manual,
}

/// A lifetime that somebody has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever.
    Unlimited,
    /// So long.
    Limited(Duration),
}

/// The lifetimes of every type, in the order of [`IdentifierType::ALL`]; `None` where nobody has set one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    attack: [Option<Lifetime>; 5],
    manual: [Option<Lifetime>; 5],
}

/// The lifetimes in force, for all who add entries.
#[derive(Clone, Debug, Default)]
pub struct SharedLifetimes(Arc<ArcSwap<Lifetimes>>);

impl IdentifierType {
    /// Every type.
    pub const ALL: [Self; 5] = [
        Self::Ip,
        Self::Cookie,
        Self::Token,
        Self::ApiKey,
        Self::Username,
    ];

    /// Its name in bodies, commands and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Cookie => "cookie",
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Username => "username",
        }
    }

    /// The type of an identifier.
    #[must_use]
    pub fn of(identifier: &ListedIdentifier) -> Self {
        match identifier {
            ListedIdentifier::Network(_) => Self::Ip,
            ListedIdentifier::Credential { kind, .. } => match kind {
                CredentialKind::Cookie => Self::Cookie,
                CredentialKind::Token => Self::Token,
                CredentialKind::ApiKey => Self::ApiKey,
                CredentialKind::Username => Self::Username,
            },
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Ip => 0,
            Self::Cookie => 1,
            Self::Token => 2,
            Self::ApiKey => 3,
            Self::Username => 4,
        }
    }
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 2] = [Self::Attack, Self::Manual];

    /// Its name in bodies and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::Manual => "manual",
        }
    }

    /// The section of the configuration.
    fn section(self) -> &'static str {
        match self {
            Self::Attack => "attack_ttl_min",
            Self::Manual => "manual_ttl_min",
        }
    }
}

impl Lifetime {
    /// Reads minutes, of which 0 is for ever.
    #[must_use]
    pub fn from_minutes(minutes: u32) -> Self {
        match minutes {
            0 => Self::Unlimited,
            minutes => Self::Limited(Duration::from_secs(u64::from(minutes) * 60)),
        }
    }

    /// In minutes; 0 is for ever.
    #[must_use]
    pub fn minutes(self) -> u64 {
        match self {
            Self::Unlimited => 0,
            Self::Limited(duration) => duration.as_secs() / 60,
        }
    }

    /// The duration; `None` is for ever.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Unlimited => None,
            Self::Limited(duration) => Some(duration),
        }
    }
}

impl Lifetimes {
    /// What is set for entries of an origin and type.
    #[must_use]
    pub fn get(&self, origin: Origin, kind: IdentifierType) -> Option<Lifetime> {
        self.of(origin).get(kind.index()).copied().flatten()
    }

    /// Sets it, or takes it back.
    pub fn set(&mut self, origin: Origin, kind: IdentifierType, to: Option<Lifetime>) {
        let lifetimes = match origin {
            Origin::Attack => &mut self.attack,
            Origin::Manual => &mut self.manual,
        };
        if let Some(lifetime) = lifetimes.get_mut(kind.index()) {
            *lifetime = to;
        }
    }

    fn of(&self, origin: Origin) -> &[Option<Lifetime>; 5] {
        match origin {
            Origin::Attack => &self.attack,
            Origin::Manual => &self.manual,
        }
    }

    /// Reads the sections `attack_ttl_min` and `manual_ttl_min`.
    pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut lifetimes = Self::default();
        for origin in Origin::ALL {
            let mut section = fields.object(origin.section());
            for kind in IdentifierType::ALL {
                section.note(
                    kind.as_str(),
                    format_args!("integer from 0 to {MAX_MINUTES}"),
                    "none",
                );
                let minutes = section
                    .item(kind.as_str())
                    .and_then(|mut item| item.integer(0..=MAX_MINUTES));
                lifetimes.set(origin, kind, minutes.map(Lifetime::from_minutes));
            }
            section.finish();
        }
        lifetimes
    }

    /// Puts what management has set in place of what is configured.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn restored(mut self, state: &State) -> Result<Self, StateError> {
        let stored = state.switches()?;
        for origin in Origin::ALL {
            for kind in IdentifierType::ALL {
                let name = stored_name(origin, kind);
                let found = stored.iter().find(|stored| stored.name == name);
                let minutes = found.and_then(|stored| stored.state.parse::<u32>().ok());
                if let Some(minutes) = minutes {
                    self.set(origin, kind, Some(Lifetime::from_minutes(minutes)));
                }
            }
        }
        Ok(self)
    }
}

/// What is stored of a lifetime that management sets.
#[must_use]
pub fn stored(origin: Origin, kind: IdentifierType, lifetime: Lifetime) -> StoredSwitch {
    StoredSwitch {
        name: stored_name(origin, kind),
        state: lifetime.minutes().to_string(),
    }
}

/// Its name in the state.
#[must_use]
pub fn stored_name(origin: Origin, kind: IdentifierType) -> String {
    format!("{}.{}", origin.section(), kind.as_str())
}

impl SharedLifetimes {
    /// Shares lifetimes.
    #[must_use]
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(lifetimes)))
    }

    /// Those in force.
    #[must_use]
    pub fn get(&self) -> Lifetimes {
        **self.0.load()
    }

    /// Puts others in force; the next entry has them.
    pub fn set(&self, lifetimes: Lifetimes) {
        self.0.store(Arc::new(lifetimes));
    }
}
