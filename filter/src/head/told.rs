//! What ASE is told of a message's headers, of its URL and of its credentials.

use std::borrow::Cow;

use ase_core::credential::CredentialKind;
use ase_core::headers::Headers;
use ase_core::identity::{
    Credential, CredentialNames, Credentials, HashedCredential, Place, is_header,
    without_credentials,
};
use ase_core::wire::Identifier;

use crate::config::{Config, CredentialForm, HeaderRules, Report};

/// Headers whose value is a credential wherever they stand.
const SECRET: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

/// Headers whose value is a URL, which may have a credential in its query.
const URLS: [&str; 7] = [
    "content-location",
    "location",
    "referer",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-original-uri",
    "x-original-url",
];

/// The headers that ASE is told of, in their order.
pub(super) fn headers<'h>(
    headers: &'h Headers<'_>,
    rules: &'h HeaderRules,
    config: &'h Config,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    super::reported(headers)
        .filter(|(name, _)| rules.tell(name))
        .filter_map(|(name, value)| match &config.report().credentials {
            CredentialForm::Values => Some((name, value)),
            CredentialForm::Ids(_) => {
                let user = &config.user_info().username_header;
                let names_the_user = user.as_ref().is_some_and(|user| is_header(name, user));
                let told = without_credentials_of(name, value, config.credentials());
                told.filter(|_| !names_the_user)
            }
            CredentialForm::Removed => without_credentials_of(name, value, config.credentials()),
        })
}

fn without_credentials_of<'h>(
    name: &'h [u8],
    value: &'h [u8],
    names: &CredentialNames,
) -> Option<(&'h [u8], &'h [u8])> {
    let own = names.token_headers.iter().chain(&names.api_key_headers);
    let secret = SECRET.into_iter().chain(own.map(String::as_str));
    if secret.into_iter().any(|known| is_header(name, known)) {
        return None;
    }
    let is_url = URLS.into_iter().any(|known| is_header(name, known));
    let query = value.iter().position(|byte| b"?#".contains(byte));
    let told = query.filter(|_| is_url).unwrap_or(value.len());
    Some((name, value.get(..told).unwrap_or_default()))
}

/// The request target.
pub(super) fn url<'u>(url: &'u [u8], config: &Config) -> Cow<'u, [u8]> {
    match config.report().credentials {
        CredentialForm::Values => Cow::Borrowed(url),
        CredentialForm::Ids(_) | CredentialForm::Removed => {
            without_credentials(url, config.credentials())
        }
    }
}

/// The credentials of a request.
pub(super) fn identifiers<'c>(
    found: &'c Credentials<'c>,
    report: &'c Report,
) -> impl Iterator<Item = Identifier<'c>> {
    found
        .iter()
        .flat_map(|credential| identifier(credential, report))
}

fn identifier<'c>(
    credential: &'c Credential<'c>,
    report: &'c Report,
) -> impl Iterator<Item = Identifier<'c>> {
    let by_value = match &report.credentials {
        // What is not told of in its place is not told of here either.
        CredentialForm::Values => is_told_of(credential, &report.request_headers),
        CredentialForm::Ids(_) => false,
        CredentialForm::Removed => credential.kind == CredentialKind::Username,
    };
    let keys = match &report.credentials {
        CredentialForm::Ids(keys) => Some(keys),
        CredentialForm::Values | CredentialForm::Removed => None,
    };
    let Credential {
        kind, name, value, ..
    } = credential;
    let ids = keys
        .into_iter()
        .flat_map(|keys| keys.ids_of(*kind, name, value));
    let by_id = ids.map(|id| {
        Identifier::Id(HashedCredential {
            kind: *kind,
            name: Cow::Borrowed(&**name),
            place: credential.place,
            id,
            provenance: credential.provenance,
        })
    });
    by_value
        .then_some(Identifier::Value(credential))
        .into_iter()
        .chain(by_id)
}

fn is_told_of(credential: &Credential<'_>, rules: &HeaderRules) -> bool {
    match credential.place {
        // A user name is asked for by its own key.
        Place::Header if credential.kind == CredentialKind::Username => true,
        Place::Header => rules.tell(credential.name.as_bytes()),
        Place::Cookie => rules.tell(b"cookie"),
        Place::Query | Place::Body => true,
    }
}

#[cfg(test)]
mod tests;
