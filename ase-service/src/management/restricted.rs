//! Who sees what of the reports under `/v4/abs`: the restricted key pair reads them without learning who anybody is.
//!
//! A restricted caller sees pseudonyms in place of identifiers. They are keyed, so nobody can try addresses out, and stay the same
//! while the credential key does, so that reports can be laid side by side.

use std::convert::Infallible;

use ase_core::credential::CredentialKind;
use ase_core::identifier_list::ListedIdentifier;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::Management;
use crate::lifetimes::IdentifierType;

/// The file in the state folder that holds the restricted secret.
pub const SECRET_FILE: &str = "restricted.secret";
/// The header that names a restricted caller; there is one name.
pub(super) const ACCESS_KEY_HEADER: &str = "x-abs-ak-ru";
/// The header with the restricted secret.
pub(super) const SECRET_KEY_HEADER: &str = "x-abs-sk-ru";
/// The one restricted access key.
pub(super) const ACCESS_KEY: &str = "restricted";
/// Stands where cookies have their name, which holds no blank: a pseudonym is never the id of a credential.
const DOMAIN: &str = "restricted reports";
/// Digits of a pseudonym.
const DIGITS: usize = 16;

/// How much of identifiers a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// All of them.
    Full,
    /// Pseudonyms.
    Restricted,
}

impl<S: Sync> FromRequestParts<S> for Sight {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Self>().copied();
        // Whom nobody has let in by a key pair sees least.
        Ok(known.unwrap_or(Self::Restricted))
    }
}

impl Sight {
    /// An identifier as this caller sees it.
    pub(super) fn name(self, identifier: &ListedIdentifier, management: &Management) -> String {
        let text = identifier.to_string();
        match self {
            Self::Full => text,
            Self::Restricted => {
                let kind = IdentifierType::of(identifier).as_str();
                format!("{kind} {}", pseudonym(&text, management))
            }
        }
    }

    /// A client address as this caller sees it.
    pub(super) fn address(self, address: &str, management: &Management) -> String {
        match self {
            Self::Full => address.to_owned(),
            Self::Restricted => format!("ip {}", pseudonym(address, management)),
        }
    }
}

fn pseudonym(text: &str, management: &Management) -> String {
    let keys = management.keys.load();
    let key = keys.current();
    let id = key.id_of(CredentialKind::Cookie, DOMAIN, text.as_bytes());
    let id = id.to_string();
    let digits = id.split(':').next_back().unwrap_or_default();
    format!("~{}", digits.get(..DIGITS).unwrap_or(digits))
}
