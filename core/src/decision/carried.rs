//! The credentials that a request carries, by its API's definition and by the gateway's own findings.

use std::borrow::Cow;

use crate::credential::{CredentialId, CredentialKind, KeyRing};
use crate::identity::{
    Credential, CredentialNames, Credentials, HashedCredential, Kinds, Place, Provenance,
};
use crate::jwt::usernames;
use crate::metadata::RequestReport;
use crate::registry::ApiDefinition;

/// A credential by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifiedCredential<'a> {
    /// What kind of identifier it is.
    pub kind: CredentialKind,
    /// The header, parameter or cookie name.
    pub name: Cow<'a, str>,
    /// Where it stood.
    pub place: Place,
    /// How far it can be trusted.
    pub provenance: Provenance,
    /// Its keyed hash.
    pub id: CredentialId,
}

/// The credentials of a request by their ids; their raw values are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identified<'a> {
    /// In the order in which they were found.
    pub credentials: Vec<IdentifiedCredential<'a>>,
    /// How many values were left out as too many of one kind.
    pub left_out: usize,
}

impl<'a> Identified<'a> {
    /// Names every credential of a request to `api`, for a log. A decision does not need it.
    #[must_use]
    pub fn of(
        report: &'a RequestReport<'_>,
        api: Option<&'a ApiDefinition>,
        keys: &KeyRing,
    ) -> Self {
        Self::named(report, &carried(report, api, Kinds::ALL), keys)
    }

    /// The same of credentials that have been found, all kinds of them.
    pub(super) fn named(
        report: &'a RequestReport<'_>,
        carried: &Credentials<'a>,
        keys: &KeyRing,
    ) -> Self {
        Self {
            left_out: carried.left_out(),
            credentials: carried
                .iter()
                .map(|found| identified(found, keys))
                .chain(report.metadata.hashed.iter().map(by_its_id))
                .collect(),
        }
    }
}

/// The credentials of some kinds.
///
/// A user name of `user_info` counts as verified unless the gateway reports the same name otherwise: policies fill it from
/// a token that they have checked.
pub(super) fn carried<'a>(
    report: &'a RequestReport<'_>,
    api: Option<&'a ApiDefinition>,
    kinds: Kinds,
) -> Credentials<'a> {
    let metadata = report.metadata;
    let names = api.map_or(CredentialNames::none(), ApiDefinition::credential_names);
    let url = report.url.as_bytes();
    let mut credentials = Credentials::find_some(&metadata.headers, url, names, kinds);
    let reported = metadata.credentials.iter();
    for credential in reported.filter(|found| kinds.include(found.kind)) {
        credentials.add(credential.clone());
    }
    if !kinds.include(CredentialKind::Username) {
        return credentials;
    }
    for username in &metadata.usernames {
        let reported = |known: &&Credential<'_>| {
            known.kind == CredentialKind::Username && known.value == *username
        };
        if metadata.credentials.iter().find(reported).is_none() {
            credentials.add(Credential {
                kind: CredentialKind::Username,
                name: "user_info".into(),
                place: Place::Header,
                value: username.clone(),
                provenance: Provenance::Verified,
            });
        }
    }
    if let Some(jwt) = api.and_then(ApiDefinition::jwt) {
        for claimed in usernames(&metadata.headers, report.url, jwt) {
            credentials.add(Credential {
                kind: CredentialKind::Username,
                name: "jwt".into(),
                place: claimed.place,
                value: claimed.username.into(),
                provenance: Provenance::Claimed,
            });
        }
    }
    credentials
}

fn identified<'a>(credential: &Credential<'a>, keys: &KeyRing) -> IdentifiedCredential<'a> {
    let Credential {
        kind, name, value, ..
    } = credential;
    IdentifiedCredential {
        kind: *kind,
        id: keys.current().id_of(*kind, name, value.as_bytes()),
        name: name.clone(),
        place: credential.place,
        provenance: credential.provenance,
    }
}

fn by_its_id<'a>(credential: &'a HashedCredential<'_>) -> IdentifiedCredential<'a> {
    IdentifiedCredential {
        kind: credential.kind,
        name: Cow::Borrowed(&*credential.name),
        place: credential.place,
        provenance: credential.provenance,
        id: credential.id,
    }
}
