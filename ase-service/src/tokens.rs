//! The sideband tokens that gateways show, and the gateway names that they stand for.

use std::sync::Arc;

use hyper::HeaderMap;

use crate::secret::Secret;

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

/// Every configured token; none means that no call is checked.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

/// Who sent a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// No tokens are configured.
    Unchecked,
    /// The holder of the token of this name.
    Named(Arc<str>),
}

impl Tokens {
    /// The configured tokens.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }

    /// Who sent a call with these headers; `None` when it shows no valid token. Every token is compared in constant time with
    /// every value shown: old policies let the client's own headers ride along.
    #[must_use]
    pub fn check(&self, headers: &HeaderMap) -> Option<Gateway> {
        if self.0.is_empty() {
            return Some(Gateway::Unchecked);
        }
        let mut gateway = None;
        for shown in headers.get_all(HEADER) {
            for token in &self.0 {
                if token.value.matches(shown.as_bytes()) {
                    gateway = Some(Gateway::Named(Arc::clone(&token.name)));
                }
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
