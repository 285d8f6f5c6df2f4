//! The names of the user and of the client application, from every source that is configured.

use std::borrow::Cow;

use ase_core::credential::CredentialKind;
use ase_core::headers::Headers;
use ase_core::identity::{Credential, Credentials, Place, Provenance, is_header};
use ase_core::jwt::{Claims, of_request};
use ase_core::text;

use super::{SeenRequest, value_of};
use crate::config::{ClaimedJwt, Config, UserInfo};
use crate::token_request::TokenRequest;

/// What the host has verified, as it shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verified<'a> {
    /// The user name.
    pub username: Option<&'a [u8]>,
    /// The client id.
    pub client_id: Option<&'a [u8]>,
}

/// The claims of the tokens of a request, as the client sent them.
pub(super) struct Tokens<'c> {
    jwt: Option<&'c ClaimedJwt>,
    claims: Vec<Claims>,
}

/// The names that a request is reported under.
pub(super) struct Names<'n> {
    pub(super) username: Option<Cow<'n, [u8]>>,
    pub(super) client_id: Option<Cow<'n, [u8]>>,
}

impl<'c> Tokens<'c> {
    pub(super) fn of(seen: &SeenRequest<'_>, url: &[u8], config: &'c Config) -> Self {
        let jwt = config.user_info().claimed.as_ref();
        let claims = jwt.map(|jwt| of_request(seen.headers, url, &jwt.location));
        Self {
            jwt,
            claims: claims.unwrap_or_default(),
        }
    }

    fn texts<'t>(&'t self, claim: Option<&'t str>) -> impl Iterator<Item = (Place, &'t str)> {
        claim.into_iter().flat_map(|claim| {
            self.claims
                .iter()
                .filter_map(move |token| Some((token.place(), token.text(claim)?)))
        })
    }

    fn usernames(&self) -> impl Iterator<Item = (Place, &str)> {
        self.texts(self.jwt.and_then(|jwt| jwt.username.as_deref()))
    }

    fn client_ids(&self) -> impl Iterator<Item = (Place, &str)> {
        self.texts(self.jwt.and_then(|jwt| jwt.client_id.as_deref()))
    }
}

/// The most certain names; where a header and a token disagree, all user names are among the identifiers.
pub(super) fn names<'n>(
    seen: &SeenRequest<'n>,
    tokens: &'n Tokens<'_>,
    config: &Config,
) -> Names<'n> {
    let user_info = config.user_info();
    let header = |name: &Option<String>| {
        let value = value_of(seen.headers, name.as_ref()?.as_bytes())?;
        Some(Cow::Borrowed(value))
    };
    let told = |(_, text): (Place, &'n str)| Cow::Borrowed(text.as_bytes());
    Names {
        username: readable(seen.verified.username)
            .or_else(|| verified_header(seen.headers, user_info))
            .map(Cow::Borrowed)
            .or_else(|| tokens.usernames().next().map(told))
            .or_else(|| header(&user_info.username_header)),
        client_id: readable(seen.verified.client_id)
            .map(Cow::Borrowed)
            .or_else(|| tokens.client_ids().next().map(told))
            .or_else(|| header(&user_info.client_id_header)),
    }
}

/// Adds the user names of tokens and of a header that the gateway may vouch for, each with its provenance.
pub(super) fn add_usernames<'u>(
    credentials: &mut Credentials<'u>,
    seen: &SeenRequest<'u>,
    tokens: &'u Tokens<'_>,
    user_info: &'u UserInfo,
) {
    let mut add = |place, name: &'u str, value, provenance| {
        credentials.add(Credential {
            kind: CredentialKind::Username,
            name: Cow::Borrowed(name),
            place,
            value,
            provenance,
        });
    };
    if let Some(username) = readable(seen.verified.username) {
        add(
            Place::Header,
            "jwt_authn",
            text::of(username),
            Provenance::Verified,
        );
    }
    if let (Provenance::Verified, Some(name)) =
        (user_info.header_provenance, &user_info.username_header)
    {
        let provenance = match verified_header(seen.headers, user_info) {
            Some(_) => Provenance::Verified,
            None => Provenance::Claimed,
        };
        for (_, username) in named(seen.headers, name) {
            add(Place::Header, name, text::of(username), provenance);
        }
    }
    for (place, username) in tokens.usernames() {
        add(place, "jwt", Cow::Borrowed(username), Provenance::Claimed);
    }
}

/// The user name and the client id that a token request says.
pub(super) fn names_of(request: &TokenRequest) -> (Option<&[u8]>, Option<&[u8]>) {
    (readable(request.username()), readable(request.client_id()))
}

/// Adds the user name of a body.
pub(super) fn add_username_of_body<'u>(
    credentials: &mut Credentials<'u>,
    username: Option<&'u [u8]>,
) {
    credentials.add(Credential {
        kind: CredentialKind::Username,
        name: Cow::Borrowed("username"),
        place: Place::Body,
        value: text::of(username.unwrap_or_default()),
        provenance: Provenance::Claimed,
    });
}

/// The user name in the header that the gateway vouches for. A second one in any spelling shows that the client's own was not taken off, and nobody can tell
/// whose is whose: then it vouches for none.
fn verified_header<'h>(headers: &'h Headers<'_>, user_info: &UserInfo) -> Option<&'h [u8]> {
    let name = user_info.username_header.as_ref()?;
    let mut all =
        named(headers, name).filter(|_| user_info.header_provenance == Provenance::Verified);
    let (spelled, value) = all.next().filter(|_| all.next().is_none())?;
    readable(Some(value)).filter(|_| spelled.eq_ignore_ascii_case(name.as_bytes()))
}

fn named<'h>(headers: &'h Headers<'_>, name: &str) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    headers
        .iter()
        .filter(move |header| is_header(&header.name, name))
        .map(|header| (&*header.name, &*header.value))
}

/// A number comes as eight bytes, which are no text that names anybody.
fn readable(claim: Option<&[u8]>) -> Option<&[u8]> {
    claim.filter(|text| !text.is_empty() && !text.iter().any(u8::is_ascii_control))
}

#[cfg(test)]
mod tests;
