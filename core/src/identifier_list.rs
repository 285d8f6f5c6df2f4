//! The list of identifiers that ASE blocks or always lets pass: networks and credentials, each with its scope, source and expiry.
//!
//! One type serves the attack (deny) list and the allow list. A value is a snapshot: `clone()` shares all entries, and a change to the clone
//! copies the few hundred entries around the changed one and leaves the original as it is.
//! Look-ups take the time as an argument and never return an expired entry; an empty list matches nobody.

use std::fmt;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use thiserror::Error;

use crate::address::{ClientAddress, Network, NetworkError};
use crate::api_id::{ApiGroup, ApiId};
use crate::credential::{CredentialId, CredentialKind};
use crate::identifier_list::networks::Networks;
use crate::identifier_list::table::Table;
use crate::time::UnixMillis;

mod leaf;
mod networks;
mod source;
mod table;

pub use source::{Rule, Source, SourceError, Sources};

/// Longest piece of a refused text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 60;

/// What a list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListedIdentifier {
    /// Every client of a network; one client is a network of one.
    Network(Network),
    /// One credential.
    Credential {
        /// What sort of credential.
        kind: CredentialKind,
        /// Its keyed hash.
        id: CredentialId,
    },
}

/// Where an entry counts. Text form: `all`, `api:<id>`, `group:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// For every API.
    All,
    /// For one API.
    Api(ApiId),
    /// For the APIs of one group.
    Group(ApiGroup),
}

/// Why and for how long an identifier is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the entry counts.
    pub scope: Scope,
    /// From this instant on the entry counts no more; `None` means never.
    pub expires: Option<UnixMillis>,
    /// Who listed it.
    pub source: Source,
    /// Why, for people.
    pub reason: Arc<str>,
    /// When it was listed.
    pub added: UnixMillis,
}

impl Entry {
    /// One that counts for every API, for ever.
    #[must_use]
    pub fn everywhere(source: Source, reason: impl Into<Arc<str>>, added: UnixMillis) -> Self {
        Self {
            scope: Scope::All,
            expires: None,
            source,
            reason: reason.into(),
            added,
        }
    }
}

/// Which entries of an identifier to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoveWhich {
    /// All of them.
    Every,
    /// Those of one scope, whatever the source.
    OfScope(Scope),
    /// Those of one source, whatever the scope.
    OfSource(Source),
    /// The one of this scope and source.
    Exactly(Scope, Source),
}

/// An entry as a list holds it; [`Entry`] without the ownership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'l> {
    /// Where the entry counts.
    pub scope: &'l Scope,
    /// From this instant on the entry counts no more; `None` means never.
    pub expires: Option<UnixMillis>,
    /// Who listed it.
    pub source: Source,
    /// Why, for people.
    pub reason: &'l str,
    /// When it was listed.
    pub added: UnixMillis,
}

/// A list of identifiers; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct IdentifierList {
    hasher: RandomState,
    v4: Networks<u32>,
    v6: Networks<u128>,
    cookies: Table<CredentialId>,
    tokens: Table<CredentialId>,
    api_keys: Table<CredentialId>,
    usernames: Table<CredentialId>,
}

/// What [`IdentifierList::purge_expired`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Entries taken off.
    pub entries: usize,
    /// Whether expired entries may be left.
    pub rest: Rest,
}

/// Whether a bounded piece of work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing is left to do.
    Done,
    /// The bound was reached: call again.
    More,
}

/// What a plain attack list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainList {
    /// The networks of the good lines, in order; a network that stands twice is here twice.
    pub networks: Vec<Network>,
    /// The bad lines, in order.
    pub faults: Vec<LineFault>,
}

/// A line of a plain attack list that names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct LineFault {
    /// The number of the line, 1 first.
    pub line: usize,
    /// What is wrong with it.
    pub fault: NetworkError,
}

/// A text that is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a scope: use all, api:<id> or group:<name>")]
pub struct ScopeError(String);

impl IdentifierList {
    /// Lists `identifier`. An entry of the same scope and source is replaced and returned.
    pub fn insert(&mut self, identifier: ListedIdentifier, entry: Entry) -> Option<Entry> {
        match identifier {
            ListedIdentifier::Network(network) => match network.first().ip() {
                IpAddr::V4(ip) => {
                    let key = (network.prefix(), ip.to_bits());
                    self.v4.insert(&self.hasher, key, &entry)
                }
                IpAddr::V6(ip) => {
                    let key = (network.prefix(), ip.to_bits());
                    self.v6.insert(&self.hasher, key, &entry)
                }
            },
            ListedIdentifier::Credential { kind, id } => {
                let hasher = self.hasher.clone();
                self.credentials_mut(kind).insert(&hasher, id, &entry)
            }
        }
    }

    /// Takes entries of `identifier` off the list and says how many.
    pub fn remove(&mut self, identifier: &ListedIdentifier, which: &RemoveWhich) -> usize {
        match identifier {
            ListedIdentifier::Network(network) => match network.first().ip() {
                IpAddr::V4(ip) => {
                    self.v4
                        .remove(&self.hasher, (network.prefix(), ip.to_bits()), which)
                }
                IpAddr::V6(ip) => {
                    self.v6
                        .remove(&self.hasher, (network.prefix(), ip.to_bits()), which)
                }
            },
            ListedIdentifier::Credential { kind, id } => {
                let hasher = self.hasher.clone();
                self.credentials_mut(*kind).remove(&hasher, *id, which)
            }
        }
    }

    /// Takes every entry of some sources off the list and says how many. Walks the whole list.
    pub fn clear(&mut self, sources: Sources) -> usize {
        let mut unbounded = usize::MAX;
        self.take_off(
            |_| true,
            |entry| sources.include(entry.source),
            &mut unbounded,
        )
    }

    /// Takes entries off that have expired at `now`, as long as that changes at most `leaves` blocks of a few hundred entries.
    pub fn purge_expired(&mut self, now: UnixMillis, leaves: usize) -> Purged {
        let mut budget = leaves;
        let entries = self.take_off(
            |soonest| now >= soonest,
            |entry| entry.is_expired(now),
            &mut budget,
        );
        let rest = if budget == 0 { Rest::More } else { Rest::Done };
        Purged { entries, rest }
    }

    /// The entry that lists `address` for an API at `now`, with the network that it names.
    ///
    /// The most specific network that has a live entry for the API wins; among its entries the one that lasts longest,
    /// and among equals the first in the order of [`Scope`] and [`Source`].
    #[must_use]
    pub fn look_up_address(
        &self,
        address: ClientAddress,
        api: &ApiId,
        group: Option<&ApiGroup>,
        now: UnixMillis,
    ) -> Option<(Network, EntryRef<'_>)> {
        let hasher = &self.hasher;
        let masked = |prefix| address.prefixed(prefix).first().ip();
        match address.ip() {
            IpAddr::V4(_) => self.v4.longest_first().find_map(|(prefix, table)| {
                let IpAddr::V4(first) = masked(prefix) else {
                    return None;
                };
                let entry = table.live(hasher, first.to_bits(), (api, group), now)?;
                Some((address.prefixed(prefix), entry))
            }),
            IpAddr::V6(_) => self.v6.longest_first().find_map(|(prefix, table)| {
                let IpAddr::V6(first) = masked(prefix) else {
                    return None;
                };
                let entry = table.live(hasher, first.to_bits(), (api, group), now)?;
                Some((address.prefixed(prefix), entry))
            }),
        }
    }

    /// The entry that lists a credential for an API at `now`; among several the one that lasts longest, ties as in [`Self::look_up_address`].
    #[must_use]
    pub fn look_up_credential(
        &self,
        kind: CredentialKind,
        id: &CredentialId,
        api: &ApiId,
        group: Option<&ApiGroup>,
        now: UnixMillis,
    ) -> Option<EntryRef<'_>> {
        self.credentials(kind)
            .live(&self.hasher, *id, (api, group), now)
    }

    /// The entries of `identifier`, expired ones included, by scope and source.
    #[must_use]
    pub fn entries_of(&self, identifier: &ListedIdentifier) -> Vec<EntryRef<'_>> {
        let hasher = &self.hasher;
        match identifier {
            ListedIdentifier::Network(network) => {
                let prefix = network.prefix();
                match network.first().ip() {
                    IpAddr::V4(ip) => self
                        .v4
                        .table(prefix)
                        .map(|t| t.of_key(hasher, ip.to_bits())),
                    IpAddr::V6(ip) => self
                        .v6
                        .table(prefix)
                        .map(|t| t.of_key(hasher, ip.to_bits())),
                }
                .unwrap_or_default()
            }
            ListedIdentifier::Credential { kind, id } => {
                self.credentials(*kind).of_key(hasher, *id)
            }
        }
    }

    /// The number of entries. An expired one counts until [`Self::purge_expired`] takes it off.
    #[must_use]
    pub fn len(&self) -> usize {
        let credentials = CredentialKind::ALL.map(|kind| self.credentials_listed(kind));
        self.v4.len() + self.v6.len() + credentials.iter().sum::<usize>()
    }

    /// The number of entries that name a credential of this kind: when it is 0, no id of that kind need be made.
    #[must_use]
    pub fn credentials_listed(&self, kind: CredentialKind) -> usize {
        self.credentials(kind).len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every entry, expired ones included, in no order that means anything. It holds no copy of the list.
    pub fn iter(&self) -> impl Iterator<Item = (ListedIdentifier, EntryRef<'_>)> {
        let v4 = self.v4.iter().map(|(prefix, bits, entry)| {
            let address = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            (ListedIdentifier::Network(address.prefixed(prefix)), entry)
        });
        let v6 = self.v6.iter().map(|(prefix, bits, entry)| {
            let network = Network::v6(bits, prefix);
            (ListedIdentifier::Network(network), entry)
        });
        let credentials = CredentialKind::ALL.into_iter().flat_map(|kind| {
            let entries = self.credentials(kind).iter();
            entries.map(move |(id, entry)| (ListedIdentifier::Credential { kind, id }, entry))
        });
        v4.chain(v6).chain(credentials)
    }

    /// Every entry, expired ones included: IPv4 networks, IPv6 networks, credentials by kind; then by scope and source. Gathers the whole list first.
    pub fn iter_sorted(&self) -> impl Iterator<Item = (ListedIdentifier, EntryRef<'_>)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by(|(left, one), (right, other)| {
            left.cmp(right)
                .then_with(|| one.place().cmp(&other.place()))
        });
        all.into_iter()
    }

    fn take_off(
        &mut self,
        may: impl Fn(UnixMillis) -> bool,
        goes: impl Fn(&EntryRef<'_>) -> bool,
        budget: &mut usize,
    ) -> usize {
        let v4 = self.v4.take_off(&may, &goes, budget);
        let v6 = self.v6.take_off(&may, &goes, budget);
        let credentials = CredentialKind::ALL
            .map(|kind| self.credentials_mut(kind).take_off(&may, &goes, budget));
        v4 + v6 + credentials.iter().sum::<usize>()
    }

    fn credentials(&self, kind: CredentialKind) -> &Table<CredentialId> {
        match kind {
            CredentialKind::Cookie => &self.cookies,
            CredentialKind::Token => &self.tokens,
            CredentialKind::ApiKey => &self.api_keys,
            CredentialKind::Username => &self.usernames,
        }
    }

    fn credentials_mut(&mut self, kind: CredentialKind) -> &mut Table<CredentialId> {
        match kind {
            CredentialKind::Cookie => &mut self.cookies,
            CredentialKind::Token => &mut self.tokens,
            CredentialKind::ApiKey => &mut self.api_keys,
            CredentialKind::Username => &mut self.usernames,
        }
    }
}

impl Entry {
    /// The same without ownership.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            scope: &self.scope,
            expires: self.expires,
            source: self.source,
            reason: &self.reason,
            added: self.added,
        }
    }

    /// Whether the entry has run out: an entry that expires at `now` has.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.as_ref().is_expired(now)
    }
}

impl EntryRef<'_> {
    /// The same with ownership.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry {
            scope: self.scope.clone(),
            expires: self.expires,
            source: self.source,
            reason: Arc::from(self.reason),
            added: self.added,
        }
    }

    /// Whether the entry has run out: an entry that expires at `now` has.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    fn lasts_longer_than(&self, other: &Self) -> bool {
        match (self.expires, other.expires) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(this), Some(other)) => this > other,
        }
    }

    fn place(&self) -> (&Scope, Source) {
        (self.scope, self.source)
    }
}

impl RemoveWhich {
    fn selects(&self, entry: &EntryRef<'_>) -> bool {
        match self {
            Self::Every => true,
            Self::OfScope(scope) => entry.scope == scope,
            Self::OfSource(source) => entry.source == *source,
            Self::Exactly(scope, source) => entry.place() == (scope, *source),
        }
    }
}

impl Scope {
    /// Whether an entry of this scope counts for `api`, a member of `group`.
    #[must_use]
    pub fn covers(&self, api: &ApiId, group: Option<&ApiGroup>) -> bool {
        match self {
            Self::All => true,
            Self::Api(own) => own == api,
            Self::Group(own) => group == Some(own),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// When the text is none, or the name in it is not one.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let scope = match text.split_once(':') {
            None if text == "all" => Some(Self::All),
            Some(("api", name)) => ApiId::parse(name).ok().map(Self::Api),
            Some(("group", name)) => ApiGroup::parse(name).ok().map(Self::Group),
            Some(_) | None => None,
        };
        scope.ok_or_else(|| ScopeError(excerpt(text)))
    }
}

impl fmt::Display for ListedIdentifier {
    /// A network, or the kind and id of a credential: `cookie k1:0123…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Credential { kind, id } => write!(f, "{kind} {id}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Api(api) => write!(f, "api:{api}"),
            Self::Group(group) => write!(f, "group:{group}"),
        }
    }
}

/// Reads a plain attack list: one address or network a line, in the first column; further columns (after blanks or tabs), blank lines and what follows a `#` are ignored.
///
/// A bad line is a fault and takes nothing else down.
#[must_use]
pub fn parse_plain(text: &str) -> PlainList {
    let mut list = PlainList::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1_usize..).zip(text.lines()) {
        let content = line.split('#').next().unwrap_or_default();
        let Some(column) = content.split_ascii_whitespace().next() else {
            continue;
        };
        match Network::parse(column) {
            Ok(network) => list.networks.push(network),
            Err(fault) => list.faults.push(LineFault {
                line: number,
                fault,
            }),
        }
    }
    list
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests;
