//! The sideband tokens that gateways show, and the gateway names that they stand for.
//!
//! Tokens of the configuration are kept as they are given; those made or imported while ASE runs only as hashes. With tokens
//! required and none known, every call is refused: an empty set never means "everybody".

use std::collections::HashMap;
use std::sync::Arc;

use crate::call_headers::CallHeaders;
use crate::secret::Secret;
use crate::state::TokenDigest;
use arc_swap::ArcSwap;

/// The header that carries a sideband token.
pub const HEADER: &str = "ase-token";

/// One configured token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The name of the gateway or group of gateways that shows it.
    pub name: Arc<str>,
    /// What it shows.
    pub value: Secret,
}

/// Every known token. Clones share what changes.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    configured: Vec<Token>,
    managed: Arc<ArcSwap<Managed>>,
}

/// What operators have set while ASE runs.
#[derive(Clone, Debug, Default)]
pub struct Managed {
    /// Names by the hashes of the values.
    pub names: HashMap<TokenDigest, Arc<str>>,
    /// Whether calls are checked.
    pub authentication: Authentication,
}

/// Whether calls are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// If the configuration has tokens.
    #[default]
    AsConfigured,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Who sent a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Calls are not checked.
    Unchecked,
    /// The holder of the token of this name.
    Named(Arc<str>),
}

impl Tokens {
    /// The configured tokens.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self {
            configured: tokens,
            managed: Arc::default(),
        }
    }

    /// The names of the configured tokens.
    pub fn configured(&self) -> impl Iterator<Item = &str> {
        self.configured.iter().map(|token| &*token.name)
    }

    /// Whether a configured token has this value.
    #[must_use]
    pub fn is_configured_value(&self, value: &[u8]) -> bool {
        self.configured
            .iter()
            .any(|token| token.value.matches(value))
    }

    /// What operators have set.
    #[must_use]
    pub fn managed(&self) -> Arc<Managed> {
        self.managed.load_full()
    }

    /// Puts another setting in place; the next call is checked by it.
    pub fn manage(&self, managed: Managed) {
        self.managed.store(Arc::new(managed));
    }

    /// Whether calls need a token.
    #[must_use]
    pub fn are_required(&self) -> bool {
        self.required_by(self.managed.load().authentication)
    }

    fn required_by(&self, authentication: Authentication) -> bool {
        match authentication {
            Authentication::AsConfigured => !self.configured.is_empty(),
            Authentication::On => true,
            Authentication::Off => false,
        }
    }

    /// Who sent a call with these headers; `None` when it shows no valid token. Every configured token is compared in
    /// constant time with every value shown: old policies let the client's own headers ride along.
    #[must_use]
    pub fn check(&self, headers: &(impl CallHeaders + ?Sized)) -> Option<Gateway> {
        let managed = self.managed.load();
        if !self.required_by(managed.authentication) {
            return Some(Gateway::Unchecked);
        }
        let mut gateway = None;
        for shown in headers.all(HEADER) {
            for token in &self.configured {
                if token.value.matches(shown) {
                    gateway = Some(Gateway::Named(Arc::clone(&token.name)));
                }
            }
            if gateway.is_none() && !managed.names.is_empty() {
                let name = managed.names.get(&TokenDigest::of(shown));
                gateway = name.map(|name| Gateway::Named(Arc::clone(name)));
            }
        }
        gateway
    }
}

impl Gateway {
    /// The name in the access log; `-` when nobody was checked.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unchecked => "-",
            Self::Named(name) => name,
        }
    }
}
