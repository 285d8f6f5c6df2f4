//! An entry of a list: where it counts, until when, on whose word.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::Source;
use crate::api_id::{ApiGroup, ApiId};
use crate::time::UnixMillis;

/// Longest piece of a refused text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 60;

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

/// A text that is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a scope: use all, api:<id> or group:<name>")]
pub struct ScopeError(String);

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

    pub(super) fn lasts_longer_than(&self, other: &Self) -> bool {
        match (self.expires, other.expires) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(this), Some(other)) => this > other,
        }
    }

    pub(super) fn place(&self) -> (&Scope, Source) {
        (self.scope, self.source)
    }
}

impl RemoveWhich {
    pub(super) fn selects(&self, entry: &EntryRef<'_>) -> bool {
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

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Api(api) => write!(f, "api:{api}"),
            Self::Group(group) => write!(f, "group:{group}"),
        }
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}
