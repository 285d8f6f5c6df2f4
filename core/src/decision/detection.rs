//! What the real-time rules find in a request, with the names that lists, logs and counters use.

use std::fmt;

use crate::identifier_list::Rule;
use crate::registry::{Lure, Pattern};

/// A rule that a request broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detection {
    /// It called a decoy.
    Decoy(Lure),
    /// It does not look as requests of its API do.
    Pattern(Pattern),
    /// It has no token and needs one.
    TokenMissing,
    /// Its client has made too many requests.
    ClientSpike,
}

impl Detection {
    /// Every detection.
    pub const ALL: [Self; 7] = [
        Self::Decoy(Lure::InContext),
        Self::Decoy(Lure::OutOfContext),
        Self::Pattern(Pattern::Protocol),
        Self::Pattern(Pattern::Method),
        Self::Pattern(Pattern::ContentType),
        Self::TokenMissing,
        Self::ClientSpike,
    ];

    /// The name in lists and logs; both sorts of decoy have one. The original's list sections go by these names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decoy(Lure::InContext | Lure::OutOfContext) => "decoy",
            Self::Pattern(Pattern::Protocol) => "invalid_protocol",
            Self::Pattern(Pattern::Method) => "invalid_method",
            Self::Pattern(Pattern::ContentType) => "invalid_content_type",
            Self::TokenMissing => "token_missing",
            Self::ClientSpike => "client_spike",
        }
    }

    /// Reads a name. A decoy is taken as one in context: the name does not tell.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|detection| detection.as_str() == name)
    }

    /// The rule under which it puts a client on the list.
    #[must_use]
    pub fn rule(self) -> Rule {
        match self {
            Self::Decoy(Lure::InContext | Lure::OutOfContext) => Rule::Decoy,
            Self::Pattern(Pattern::Protocol) => Rule::Protocol,
            Self::Pattern(Pattern::Method) => Rule::Method,
            Self::Pattern(Pattern::ContentType) => Rule::ContentType,
            Self::TokenMissing => Rule::Token,
            Self::ClientSpike => Rule::Spike,
        }
    }

    /// The number of the attack in the original's catalogue; it has none for a missing token.
    #[must_use]
    pub fn attack_id(self) -> Option<u8> {
        match self {
            Self::Decoy(Lure::InContext | Lure::OutOfContext) => Some(100),
            Self::Pattern(Pattern::Protocol | Pattern::Method | Pattern::ContentType) => Some(101),
            Self::TokenMissing => None,
            Self::ClientSpike => Some(13),
        }
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
