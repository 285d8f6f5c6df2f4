//! The list of identifiers that ASE blocks or always lets pass: networks and credentials, each with its scope, source and expiry.
//!
//! One type serves the attack (deny) list and the allow list. A value is a snapshot: `clone()` shares all entries, and a change to the clone
//! copies the few hundred entries around the changed one and leaves the original as it is.
//! Look-ups take the time as an argument and never return an expired entry; an empty list matches nobody.

use std::fmt;
use std::hash::RandomState;
use std::net::IpAddr;

use crate::address::{ClientAddress, Network};
use crate::api_id::{ApiGroup, ApiId};
use crate::credential::{CredentialId, CredentialKind};
use crate::identifier_list::networks::Networks;
use crate::identifier_list::table::Table;
use crate::time::UnixMillis;

mod block;
mod entry;
mod leaf;
mod networks;
mod plain;
mod source;
mod table;

use block::Of;

pub use block::Block;
pub use entry::{Entry, EntryRef, RemoveWhich, Scope, ScopeError};
pub use plain::{LineFault, PlainList, parse_plain};
pub use source::{Rule, Source, SourceError, Sources};

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
        self.blocks().flat_map(Block::entries)
    }

    /// The same in blocks of some hundred, for whoever cannot go through all of it at once: the same value gives the same blocks in the same order each
    /// time, and to pass one over costs next to nothing.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let v4 = self.v4.longest_first();
        let v4 =
            v4.flat_map(|(prefix, table)| table.leaves().map(move |leaf| Of::V4(prefix, leaf)));
        let v6 = self.v6.longest_first();
        let v6 =
            v6.flat_map(|(prefix, table)| table.leaves().map(move |leaf| Of::V6(prefix, leaf)));
        let credentials = CredentialKind::ALL.into_iter().flat_map(|kind| {
            let leaves = self.credentials(kind).leaves();
            leaves.map(move |leaf| Of::Credentials(kind, leaf))
        });
        v4.chain(v6).chain(credentials).map(Block)
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

impl fmt::Display for ListedIdentifier {
    /// A network, or the kind and id of a credential: `cookie k1:0123…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Credential { kind, id } => write!(f, "{kind} {id}"),
        }
    }
}

#[cfg(test)]
mod tests;
