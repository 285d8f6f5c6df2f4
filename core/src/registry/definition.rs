//! One API as ASE works with it. How its JSON looks is in `raw.rs`.

use crate::api_id::{ApiGroup, ApiId};
use crate::fault::{Faults, Warnings};
use crate::host::HostPattern;
use crate::identity::CredentialNames;
use crate::path::NormalPath;

use super::raw;
use super::routes::Routes;
use super::rules::Rules;

/// Most levels of an API's base path.
pub const MAX_LEVELS: usize = 10;

/// A compiled API definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiDefinition {
    pub(super) id: ApiId,
    pub(super) group: Option<ApiGroup>,
    pub(super) protocol: Protocol,
    pub(super) host: HostPattern,
    pub(super) base_path: NormalPath,
    pub(super) login_path: Option<NormalPath>,
    pub(super) credential_names: CredentialNames,
    pub(super) jwt: Option<JwtClaims>,
    pub(super) blocking: Blocking,
    pub(super) rules: Rules,
    pub(super) routes: Routes,
}

/// What an API speaks. Says nothing about how a gateway is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

/// What happens to a listed client of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// It is blocked.
    Enforced,
    /// It passes, and is counted as one that would have been blocked.
    DetectOnly,
}

/// Which claims of a JSON Web Token name the user and the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtClaims {
    pub(super) location: JwtLocation,
    pub(super) username: Option<String>,
    pub(super) client_id: Option<String>,
}

/// Where in a request the JSON Web Token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtLocation {
    /// In the query parameter of this name (`qs:<param>`).
    Query(String),
    /// In the header of this name, in lower case (`h:<header>`).
    Header(String),
    /// In `Authorization`, with the Bearer scheme (`h:authorization:bearer`).
    AuthorizationBearer,
}

impl ApiDefinition {
    /// Reads `{"api_metadata": {...}}` with the documented keys of the original's definitions, and our `group` and `routes`.
    /// Keys that have no meaning beside a gateway are read and ignored.
    ///
    /// # Errors
    /// Every fault in the document, with its path. An unknown key is only a warning.
    pub fn from_json(id: ApiId, document: &[u8]) -> Result<(Self, Warnings), Faults> {
        raw::read(id, document)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ApiId {
        &self.id
    }

    /// The group that it shares list entries with.
    #[must_use]
    pub fn group(&self) -> Option<&ApiGroup> {
        self.group.as_ref()
    }

    /// What it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The hosts that it is on.
    #[must_use]
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The path that all its requests begin with; the root for the API that catches what no other takes.
    #[must_use]
    pub fn base_path(&self) -> &NormalPath {
        &self.base_path
    }

    /// Where its clients log in; turns on the detection of login attacks.
    #[must_use]
    pub fn login_path(&self) -> Option<&NormalPath> {
        self.login_path.as_ref()
    }

    /// Where its requests carry credentials that identify a client.
    #[must_use]
    pub fn credential_names(&self) -> &CredentialNames {
        &self.credential_names
    }

    /// How to read user and client from its JSON Web Tokens.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtClaims> {
        self.jwt.as_ref()
    }

    /// Whether its listed clients are blocked.
    #[must_use]
    pub fn blocking(&self) -> Blocking {
        self.blocking
    }

    /// What its requests must be like.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Its routes, where they are declared: which segments of its paths name things.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }
}

impl JwtClaims {
    /// Claims of which only the one of the user is known.
    pub(crate) fn of_username(location: JwtLocation, username: String) -> Self {
        Self {
            location,
            username: Some(username),
            client_id: None,
        }
    }

    /// Where the token is.
    #[must_use]
    pub fn location(&self) -> &JwtLocation {
        &self.location
    }

    /// The claim that names the user; its value may be an array, whose first element counts.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The claim that names the client application; never the one of the user.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }
}
