//! What the engine sees of one finished exchange. Borrowed throughout: building one allocates nothing.

use std::time::Duration;

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::decision::Detection;
use ase_core::identity::{Place, Provenance};
use ase_core::path::NormalPath;
use ase_core::registry::{Parameters, Routes};
use ase_core::time::UnixMillis;

/// One finished exchange.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'a> {
    /// A fingerprint of the record's id, so that a record that comes twice counts once; `None` where records have no id.
    pub record: Option<u64>,
    /// When the request came, by the gateway's clock. Clamped to the engine's own within bounds.
    pub at: UnixMillis,
    /// The API that it belongs to; `None` for traffic that no definition covers.
    pub api: Option<ApiFacts<'a>>,
    /// The client's address.
    pub client: ClientAddress,
    /// The credentials that the request carried.
    pub credentials: &'a [Carried],
    /// The method as sent.
    pub method: &'a str,
    /// The request target as sent, query included. It is looked at and never kept: samples hold the path and the query's keys.
    pub target: &'a str,
    /// The usual reading of the target's path.
    pub path: &'a NormalPath,
    /// The user agent, where sent.
    pub user_agent: Option<&'a str>,
    /// The status that the client got; `None` when the exchange broke off.
    pub status: Option<u16>,
    /// The size of the request's body, where known.
    pub request_bytes: Option<u64>,
    /// The size of the response's body, where known.
    pub response_bytes: Option<u64>,
    /// From the request's headers to the end, where known.
    pub duration: Option<Duration>,
    /// What became of the request at the gateway.
    pub fate: Fate,
    /// The real-time rule that it broke, as ASE found.
    pub broken_rule: Option<Detection>,
    /// The account that a login attempt was for, as a keyed id; where known.
    pub account: Option<CredentialId>,
    /// Where the request seems to carry credentials; looked at where no definition says it, empty elsewhere.
    pub carriers: &'a [Carrier],
}

/// What the engine needs to know of an API.
#[derive(Clone, Copy, Debug)]
pub struct ApiFacts<'a> {
    /// Its name.
    pub id: &'a ApiId,
    /// Where its clients log in, relative to nothing: the whole path.
    pub login: Option<&'a NormalPath>,
    /// Whose traffic it covers.
    pub covers: Covers,
    /// Its routes, where its definition declares them; those of other paths are learned.
    pub routes: Option<&'a Routes>,
}

/// Which traffic a definition covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// That of its API.
    Own,
    /// Everything that no other definition covers: there may be undeclared APIs in it.
    Rest,
}

impl<'a> ApiFacts<'a> {
    /// An API that covers its own traffic.
    #[must_use]
    pub fn of(id: &'a ApiId, login: Option<&'a NormalPath>) -> Self {
        Self {
            id,
            login,
            covers: Covers::Own,
            routes: None,
        }
    }
}

/// A place of requests that seems to carry a credential. Its name alone, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Carrier {
    /// What kind of identifier it seems to be.
    pub kind: CredentialKind,
    /// Header, query parameter or cookie.
    pub place: Place,
    /// The name of it; in lower case for a header.
    pub name: Box<str>,
}

/// One credential of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What kind of identifier it is.
    pub kind: CredentialKind,
    /// Its keyed hash.
    pub id: CredentialId,
    /// How far it can be trusted.
    pub provenance: Provenance,
}

/// What became of a request at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It passed.
    Passed,
    /// It was blocked: its response says nothing about the API.
    Blocked,
    /// It passed, and would have been blocked were blocking on.
    WouldBlock,
}

impl Transaction<'_> {
    /// What the API's definition says about the path's route.
    pub(crate) fn declared(&self) -> Declared {
        match self.api.and_then(|api| api.routes) {
            None => Declared::Nothing,
            Some(routes) => match routes.parameters(self.path) {
                None => Declared::Other,
                Some(parameters) => Declared::Route(parameters),
            },
        }
    }
}

/// What a definition says about a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// It declares no routes.
    Nothing,
    /// It declares others.
    Other,
    /// It declares this one, with these parameters.
    Route(Parameters),
}
