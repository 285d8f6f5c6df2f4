//! The bodies of list changes: JSON into identifiers and entries, with every fault named.
//!
//! A raw credential becomes its id here and goes no further.

use std::sync::Arc;
use std::time::Duration;

use ase_core::address::{ClientAddress, Ipv6Width, Network};
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind};
use ase_core::fault::{FaultCollector, Faults, Fields};
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source};
use ase_core::time::UnixMillis;

use crate::lifetimes::{IdentifierType, Lifetime, Lifetimes, Origin};

/// Longest time an entry may last: ten years, in seconds.
pub(super) const MAX_TTL_SECONDS: u64 = 315_360_000;
/// The authentication scheme that a token is often copied with.
const SCHEME: &str = "bearer ";
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 200;

const TYPES: [(&str, Kind); 5] = [
    ("ip", Kind::Address),
    ("cookie", Kind::Credential(CredentialKind::Cookie)),
    ("token", Kind::Credential(CredentialKind::Token)),
    ("api_key", Kind::Credential(CredentialKind::ApiKey)),
    ("username", Kind::Credential(CredentialKind::Username)),
];

#[derive(Clone, Copy)]
enum Kind {
    Address,
    Credential(CredentialKind),
}

/// An entry to add.
pub(super) struct Addition {
    pub(super) identifier: ListedIdentifier,
    pub(super) entry: Entry,
    /// What the caller should know about how it was read.
    pub(super) note: Option<String>,
}

/// Entries to remove.
pub(super) struct Removal {
    pub(super) identifier: ListedIdentifier,
    /// `None` stands for every scope.
    pub(super) scope: Option<Scope>,
}

/// Whether an entry that hits everybody is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    Used,
    NotUsed,
}

impl Addition {
    pub(super) fn read(
        body: &[u8],
        key: &CredentialKey,
        (width, lifetimes): (Ipv6Width, &Lifetimes),
        now: UnixMillis,
    ) -> Result<Self, Faults> {
        let mut collector = FaultCollector::default();
        let document = collector.json(body).unwrap_or_default();
        let mut fields = Fields::of(&document, "", &mut collector);
        let identifier = identifier(&mut fields, key, width);
        let scope = fields.custom("scope", Scope::parse).unwrap_or(Scope::All);
        let ttl = fields
            .item("ttl_s")
            .and_then(|mut ttl| ttl.integer(0..=MAX_TTL_SECONDS));
        let reason = fields.custom("reason", reason).unwrap_or_default();
        let force = Force::of(fields.flag("force", false));
        if let Some((identifier, _)) = &identifier
            && let Err(rule) = force.permit(identifier)
        {
            fields.fault("value", rule);
        }
        fields.finish();
        let addition = identifier.map(|(identifier, note)| Self {
            note,
            entry: Entry {
                scope,
                expires: lasting(ttl, &identifier, lifetimes).map(|time| now.after(time)),
                source: Source::Manual,
                reason: Arc::from(reason),
                added: now,
            },
            identifier,
        });
        collector.into_complete(addition)
    }
}

/// How long an entry by hand lasts; `None` is for ever, which a caller says with 0.
fn lasting(
    ttl: Option<u64>,
    identifier: &ListedIdentifier,
    lifetimes: &Lifetimes,
) -> Option<Duration> {
    let kind = IdentifierType::of(identifier);
    match ttl {
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => lifetimes
            .get(Origin::Manual, kind)
            .and_then(Lifetime::duration),
    }
}

impl Force {
    pub(super) fn of(flag: bool) -> Self {
        if flag { Self::Used } else { Self::NotUsed }
    }

    /// Whether an identifier may be listed.
    ///
    /// # Errors
    /// When it names everybody and no force is used.
    pub(super) fn permit(self, identifier: &ListedIdentifier) -> Result<(), String> {
        match (identifier, self) {
            (ListedIdentifier::Network(network), Self::NotUsed) if network.prefix() == 0 => Err(
                format!("{network} is every client: say force (--force) if that is meant"),
            ),
            (ListedIdentifier::Network(_), _) | (ListedIdentifier::Credential { .. }, _) => Ok(()),
        }
    }
}

impl Removal {
    pub(super) fn read(body: &[u8], key: &CredentialKey, width: Ipv6Width) -> Result<Self, Faults> {
        let mut collector = FaultCollector::default();
        let document = collector.json(body).unwrap_or_default();
        let mut fields = Fields::of(&document, "", &mut collector);
        let identifier = identifier(&mut fields, key, width);
        let scope = fields.custom("scope", Scope::parse);
        fields.finish();
        collector.into_complete(identifier.map(|(identifier, _)| Self { identifier, scope }))
    }
}

pub(super) fn identifier(
    fields: &mut Fields<'_, '_>,
    key: &CredentialKey,
    width: Ipv6Width,
) -> Option<(ListedIdentifier, Option<String>)> {
    match fields.required_choice("type", &TYPES)? {
        Kind::Address => {
            fields.refuse("name", "has no meaning with type ip");
            fields.required_custom("value", |text| network(text, width))
        }
        Kind::Credential(kind) => {
            let (value, note) = fields.required_custom("value", |text| bare(kind, text))?;
            let known_id = CredentialId::parse(&value).ok();
            let name = match (kind, &known_id) {
                (CredentialKind::Cookie, None) => fields.required_custom("name", non_empty)?,
                (CredentialKind::Cookie, Some(_))
                | (CredentialKind::Token | CredentialKind::ApiKey | CredentialKind::Username, _) => {
                    fields.text("name").unwrap_or_default()
                }
            };
            let id = known_id.unwrap_or_else(|| key.id_of(kind, &name, value.as_bytes()));
            Some((ListedIdentifier::Credential { kind, id }, note))
        }
    }
}

/// A client as lists name it: a network, or the kind of a credential and its id.
pub(super) fn named(text: &str, width: Ipv6Width) -> Result<ListedIdentifier, String> {
    match text.split_once(' ') {
        None => network(text, width).map(|(identifier, _)| identifier),
        Some((kind, id)) => Ok(ListedIdentifier::Credential {
            kind: CredentialKind::parse(kind).map_err(|error| error.to_string())?,
            id: CredentialId::parse(id).map_err(|error| error.to_string())?,
        }),
    }
}

/// A bare IPv6 address stands for one client, which is a whole network; a prefix is taken as given.
fn network(text: &str, width: Ipv6Width) -> Result<(ListedIdentifier, Option<String>), String> {
    if text.contains('/') {
        let network = Network::parse(text).map_err(|error| error.to_string())?;
        return Ok((ListedIdentifier::Network(network), None));
    }
    let address = ClientAddress::parse(text).map_err(|error| error.to_string())?;
    let network = address.network(width);
    let widened = network != Network::of(address);
    let note = widened.then(|| format!("{address} is listed as its client network {network}; write {address}/128 for the address alone"));
    Ok((ListedIdentifier::Network(network), note))
}

/// The value of a credential, and what the caller should know when that is not all that was given.
pub(super) fn bare(
    kind: CredentialKind,
    text: &str,
) -> Result<(String, Option<String>), &'static str> {
    let scheme = text.get(..SCHEME.len());
    let has_scheme = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let token = match kind {
        CredentialKind::Token if has_scheme => text.get(SCHEME.len()..).map(str::trim_start),
        CredentialKind::Token
        | CredentialKind::Cookie
        | CredentialKind::ApiKey
        | CredentialKind::Username => None,
    };
    let note = "the value is taken without \"Bearer\", which is the scheme and no part of a token";
    match token {
        Some(token) => Ok((non_empty(token)?, Some(note.to_owned()))),
        None => Ok((non_empty(text)?, None)),
    }
}

fn non_empty(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        Err("must not be empty")
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_REASON_CHARS || text.chars().any(char::is_control) {
        return Err(format!(
            "a reason has at most {MAX_REASON_CHARS} characters and no control characters"
        ));
    }
    Ok(text.to_owned())
}
