//! The list of identifiers that ASE blocks or always lets pass: networks and credentials, each with its scope, source and expiry.
//!
//! One type serves the attack (deny) list and the allow list. A value is a snapshot: `clone()` shares the bulk of the entries, a change to the clone
//! touches a small overlay and leaves the original as it is, and [`IdentifierList::merge`] folds the overlay back, off the request path.
//! Look-ups take the time as an argument and never return an expired entry; an empty list matches nobody.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::address::{ClientAddress, Network, NetworkError};
use crate::api_id::{ApiGroup, ApiId};
use crate::credential::{CredentialId, CredentialKind};
use crate::identifier_list::layered::Layered;
use crate::identifier_list::prefix_lengths::PrefixLengths;
use crate::time::UnixMillis;

mod layered;
mod prefix_lengths;

/// Over this many changed identifiers a list wants a merge: a clone copies the overlay, about 10 ns for each.
const OVERLAY_BOUND: usize = 1024;

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

/// Who put an entry on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A person, through the management port.
    Manual,
    /// The attack list file.
    File,
    /// A rule that acts on the request at hand (a decoy hit, for example).
    RealTime,
    /// The behaviour engine.
    Engine,
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

/// A list of identifiers; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct IdentifierList {
    /// The entries of an identifier are never empty and sorted by scope and source, each pair once.
    entries: Layered<ListedIdentifier, Entry>,
    /// Entries, over all identifiers.
    len: usize,
    v4_lengths: PrefixLengths,
    v6_lengths: PrefixLengths,
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

/// A text that is not a source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a source: use manual, file, real_time or engine")]
pub struct SourceError(String);

impl IdentifierList {
    /// Lists `identifier`. An entry of the same scope and source is replaced and returned.
    pub fn insert(&mut self, identifier: ListedIdentifier, entry: Entry) -> Option<Entry> {
        let mut entries = self.entries_of(&identifier).to_vec();
        let place = entries.binary_search_by(|held| held.place().cmp(&entry.place()));
        let replaced = match place.map(|at| entries.get_mut(at)) {
            Ok(Some(held)) => Some(std::mem::replace(held, entry)),
            Ok(None) => None,
            Err(at) => {
                entries.insert(at, entry);
                None
            }
        };
        self.replace(identifier, entries);
        replaced
    }

    /// Takes entries of `identifier` off the list and says how many.
    pub fn remove(&mut self, identifier: &ListedIdentifier, which: &RemoveWhich) -> usize {
        self.retain_of(identifier, |entry| !which.selects(entry))
    }

    /// Takes every entry of `source` off the list and says how many. Walks the whole list.
    pub fn clear(&mut self, source: Source) -> usize {
        self.retain(|entry| entry.source != source)
    }

    /// Takes every entry off the list that has expired at `now` and says how many. Walks the whole list: call it off the request path.
    pub fn purge_expired(&mut self, now: UnixMillis) -> usize {
        self.retain(|entry| !entry.is_expired(now))
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
    ) -> Option<(Network, &Entry)> {
        let lengths = if address.ip().is_ipv4() {
            &self.v4_lengths
        } else {
            &self.v6_lengths
        };
        lengths.longest_first().find_map(|prefix| {
            let network = address.prefixed(prefix);
            let entry = self.live_entry(&ListedIdentifier::Network(network), api, group, now)?;
            Some((network, entry))
        })
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
    ) -> Option<&Entry> {
        self.live_entry(
            &ListedIdentifier::Credential { kind, id: *id },
            api,
            group,
            now,
        )
    }

    /// The entries of `identifier`, expired ones included, by scope and source.
    #[must_use]
    pub fn entries_of(&self, identifier: &ListedIdentifier) -> &[Entry] {
        self.entries.get(identifier)
    }

    /// The number of entries. An expired one counts until [`Self::purge_expired`] takes it off.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every entry, expired ones included: IPv4 networks, IPv6 networks, credentials by kind; then by scope and source.
    pub fn iter_sorted(&self) -> impl Iterator<Item = (ListedIdentifier, &Entry)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_unstable_by_key(|(identifier, _)| *identifier);
        all.into_iter()
            .flat_map(|(identifier, entries)| entries.iter().map(move |entry| (identifier, entry)))
    }

    /// Whether the overlay has outgrown its bound, so that clones get slow; ask after any change to a clone.
    #[must_use]
    pub fn wants_merge(&self) -> bool {
        self.entries.overlay_len() > OVERLAY_BOUND
    }

    /// Folds the overlay into the base; changes no answer. Copies the base when a clone shares it (some 100 ms at a million entries): call it off the request path.
    pub fn merge(&mut self) {
        self.entries.merge();
    }

    fn live_entry(
        &self,
        identifier: &ListedIdentifier,
        api: &ApiId,
        group: Option<&ApiGroup>,
        now: UnixMillis,
    ) -> Option<&Entry> {
        let live = |entry: &&Entry| !entry.is_expired(now) && entry.scope.covers(api, group);
        let candidates = self.entries.get(identifier).iter().filter(live);
        candidates.reduce(|best, entry| {
            if entry.lasts_longer_than(best) {
                entry
            } else {
                best
            }
        })
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> usize {
        let touched: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entries)| !entries.iter().all(&keep))
            .map(|(identifier, _)| identifier)
            .collect();
        touched
            .iter()
            .map(|identifier| self.retain_of(identifier, &keep))
            .sum()
    }

    fn retain_of(&mut self, identifier: &ListedIdentifier, keep: impl Fn(&Entry) -> bool) -> usize {
        let held = self.entries_of(identifier);
        let before = held.len();
        let kept: Vec<_> = held.iter().filter(|entry| keep(entry)).cloned().collect();
        let removed = before.saturating_sub(kept.len());
        if removed > 0 {
            self.replace(*identifier, kept);
        }
        removed
    }

    /// The only place that changes entries, so that the counts follow.
    fn replace(&mut self, identifier: ListedIdentifier, entries: Vec<Entry>) {
        let before = self.entries_of(&identifier).len();
        self.len = self
            .len
            .saturating_sub(before)
            .saturating_add(entries.len());
        if let ListedIdentifier::Network(network) = identifier {
            let lengths = if network.first().ip().is_ipv4() {
                &mut self.v4_lengths
            } else {
                &mut self.v6_lengths
            };
            match (before == 0, entries.is_empty()) {
                (true, false) => lengths.add(network.prefix()),
                (false, true) => lengths.remove(network.prefix()),
                (true, true) | (false, false) => {}
            }
        }
        self.entries.set(identifier, entries);
    }
}

impl Entry {
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
        (&self.scope, self.source)
    }
}

impl RemoveWhich {
    fn selects(&self, entry: &Entry) -> bool {
        match self {
            Self::Every => true,
            Self::OfScope(scope) => entry.scope == *scope,
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

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Manual, Self::File, Self::RealTime, Self::Engine];

    /// The name in lists and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::File => "file",
            Self::RealTime => "real_time",
            Self::Engine => "engine",
        }
    }

    /// Reads the name of a source.
    ///
    /// # Errors
    /// When no source has that name.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let source = Self::ALL.into_iter().find(|source| source.as_str() == text);
        source.ok_or_else(|| SourceError(excerpt(text)))
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
