//! The decision: one request report against one snapshot of registry and lists.
//!
//! Pure: no await, no lock, no IO, time is an argument. The allow list always wins; only an API with blocking on blocks.

use std::sync::Arc;

use crate::api_id::ApiId;
use crate::credential::{CredentialId, CredentialKey, CredentialKind};
use crate::identifier_list::{EntryRef, IdentifierList, ListedIdentifier, Source};
use crate::identity::{Credential, CredentialNames, Credentials, Place, Provenance};
use crate::jwt::usernames;
use crate::metadata::RequestReport;
use crate::registry::{ApiDefinition, Blocking, Found, Registry};
use crate::time::UnixMillis;
use crate::transaction::VerdictLabel;

/// What a decision looks at. Cheap to clone; a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The registered APIs.
    pub registry: Arc<Registry>,
    /// Whom to block.
    pub attack: IdentifierList,
    /// Whom never to block.
    pub allow: IdentifierList,
}

/// What ASE answers to a request, and what it found out on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The API that the request belongs to.
    pub api: Option<ApiId>,
    /// The credentials of the request; their raw values are not kept.
    pub credentials: Vec<IdentifiedCredential>,
    /// How many credential values were left out as too many of one kind.
    pub credentials_left_out: usize,
    /// The list entry that decided, on either list.
    pub listing: Option<Listing>,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Pass: no identifier is on the attack list.
    NotListed,
    /// Pass: an identifier is on the allow list.
    AllowListed,
    /// Pass: an identifier is on the attack list, and blocking is off for this API.
    WouldBlock,
    /// Block.
    Blocked,
    /// No API definition matches the path.
    UnknownApi,
    /// The path is known, but not on this host.
    UnknownHostname,
}

/// A credential by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifiedCredential {
    /// What kind of identifier it is.
    pub kind: CredentialKind,
    /// The header, parameter or cookie name.
    pub name: String,
    /// Where it stood.
    pub place: Place,
    /// How far it can be trusted.
    pub provenance: Provenance,
    /// Its keyed hash.
    pub id: CredentialId,
}

/// The list entry behind a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The identifier as listed.
    pub identifier: ListedIdentifier,
    /// Who listed it.
    pub source: Source,
    /// Why.
    pub reason: Arc<str>,
}

/// Decides on one request.
///
/// A host or path that servers read differently can belong to several APIs; the usual reading decides unless another
/// one is stricter about a listed client, so that nobody is let through by a spelling.
///
/// Which credentials count is said by the API's definition, by the gateway's own findings in the report and by
/// `user_info`. A user name of `user_info` counts as verified unless the gateway reports the same name otherwise:
/// policies fill it from a token that they have checked.
#[must_use]
pub fn decide(
    report: &RequestReport<'_>,
    snapshot: &Snapshot,
    key: &CredentialKey,
    now: UnixMillis,
) -> Decision {
    let (usual, others) = candidates(report, &snapshot.registry);
    let mut decision = decide_as(usual, report, snapshot, key, now);
    for other in others {
        let other = decide_as(Found::Api(other), report, snapshot, key, now);
        if other.verdict.strictness() > decision.verdict.strictness() {
            decision = other;
        }
    }
    decision
}

/// What the usual reading finds, and the other APIs that some reading finds.
fn candidates<'r>(
    report: &RequestReport<'_>,
    registry: &'r Registry,
) -> (Found<'r>, Vec<&'r ApiDefinition>) {
    let mut all = Vec::with_capacity(1);
    for path in &report.paths {
        if report.hosts.is_empty() {
            all.push(registry.find(None, path));
        }
        all.extend(
            report
                .hosts
                .iter()
                .map(|host| registry.find(Some(host), path)),
        );
    }
    let usual = all.first().copied().unwrap_or(Found::UnknownApi);
    let mut others: Vec<&ApiDefinition> = Vec::new();
    for found in all.into_iter().skip(1) {
        if let Found::Api(api) = found
            && !others.iter().any(|known| known.id() == api.id())
        {
            others.push(api);
        }
    }
    others.retain(|api| !matches!(usual, Found::Api(usual) if usual.id() == api.id()));
    (usual, others)
}

fn decide_as(
    found: Found<'_>,
    report: &RequestReport<'_>,
    snapshot: &Snapshot,
    key: &CredentialKey,
    now: UnixMillis,
) -> Decision {
    let (api, names) = match found {
        Found::Api(api) => (Some(api), api.credential_names()),
        Found::UnknownApi | Found::UnknownHostname => (None, CredentialNames::none()),
    };
    let mut credentials = credentials_of(report, names);
    let jwt = api.and_then(ApiDefinition::jwt);
    for claimed in jwt.map_or_else(Vec::new, |jwt| {
        usernames(&report.metadata.headers, report.url, jwt)
    }) {
        credentials.add(Credential {
            kind: CredentialKind::Username,
            name: "jwt".into(),
            place: claimed.place,
            value: claimed.username.into(),
            provenance: Provenance::Claimed,
        });
    }
    let mut decision = Decision {
        verdict: match found {
            Found::Api(_) => Verdict::NotListed,
            Found::UnknownApi => Verdict::UnknownApi,
            Found::UnknownHostname => Verdict::UnknownHostname,
        },
        api: api.map(|api| api.id().clone()),
        credentials_left_out: credentials.left_out(),
        credentials: credentials.iter().map(|c| identified(c, key)).collect(),
        listing: None,
    };
    let Some(api) = api else {
        return decision;
    };
    let look_up = |list: &IdentifierList, counts: fn(&IdentifiedCredential) -> bool| {
        let credentials = decision.credentials.iter().filter(|found| counts(found));
        listed(list, report, credentials, api, now)
    };
    if let Some(listing) = look_up(&snapshot.allow, may_allow) {
        decision.verdict = Verdict::AllowListed;
        decision.listing = Some(listing);
    } else if let Some(listing) = look_up(&snapshot.attack, |_| true) {
        decision.verdict = match api.blocking() {
            Blocking::Enforced => Verdict::Blocked,
            Blocking::DetectOnly => Verdict::WouldBlock,
        };
        decision.listing = Some(listing);
    }
    decision
}

/// A user name is no secret: only one that the gateway verified opens the door.
fn may_allow(credential: &IdentifiedCredential) -> bool {
    match credential.kind {
        CredentialKind::Username => credential.provenance == Provenance::Verified,
        CredentialKind::Cookie | CredentialKind::Token | CredentialKind::ApiKey => true,
    }
}

impl Verdict {
    /// The same in one word for `x-ase-verdict`.
    #[must_use]
    pub fn label(self) -> VerdictLabel {
        match self {
            Self::NotListed | Self::AllowListed => VerdictLabel::Allowed,
            Self::WouldBlock => VerdictLabel::WouldBlock,
            Self::Blocked => VerdictLabel::Blocked,
            Self::UnknownApi | Self::UnknownHostname => VerdictLabel::Unregistered,
        }
    }

    /// Orders verdicts by what they do to a listed client.
    fn strictness(self) -> u8 {
        match self {
            Self::NotListed | Self::AllowListed | Self::UnknownApi | Self::UnknownHostname => 0,
            Self::WouldBlock => 1,
            Self::Blocked => 2,
        }
    }
}

fn credentials_of<'a>(
    report: &'a RequestReport<'_>,
    names: &'a CredentialNames,
) -> Credentials<'a> {
    let metadata = report.metadata;
    let mut credentials = Credentials::find(&metadata.headers, report.url.as_bytes(), names);
    for credential in &metadata.credentials {
        credentials.add(credential.clone());
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
    credentials
}

fn identified(credential: &Credential<'_>, key: &CredentialKey) -> IdentifiedCredential {
    let Credential {
        kind, name, value, ..
    } = credential;
    IdentifiedCredential {
        kind: *kind,
        name: name.clone().into_owned(),
        place: credential.place,
        provenance: credential.provenance,
        id: key.id_of(*kind, name, value.as_bytes()),
    }
}

fn listed<'c>(
    list: &IdentifierList,
    report: &RequestReport<'_>,
    mut credentials: impl Iterator<Item = &'c IdentifiedCredential>,
    api: &ApiDefinition,
    now: UnixMillis,
) -> Option<Listing> {
    let (id, group) = (api.id(), api.group());
    if let Some((network, entry)) = list.look_up_address(report.client, id, group, now) {
        return Some(listing(ListedIdentifier::Network(network), entry));
    }
    credentials.find_map(|credential| {
        let entry = list.look_up_credential(credential.kind, &credential.id, id, group, now)?;
        let identifier = ListedIdentifier::Credential {
            kind: credential.kind,
            id: credential.id,
        };
        Some(listing(identifier, entry))
    })
}

fn listing(identifier: ListedIdentifier, entry: EntryRef<'_>) -> Listing {
    Listing {
        identifier,
        source: entry.source,
        reason: Arc::from(entry.reason),
    }
}

#[cfg(test)]
mod tests;
