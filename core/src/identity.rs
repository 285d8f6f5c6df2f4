//! Finding the credentials of a request: one function, used by the gateway and by ASE.
//!
//! Every occurrence of a name counts: a listed cookie is found behind a harmless one of the same name. Values are
//! compared as text (see [`crate::text`]), percent-decoded in a query, without the quotes around a cookie value.
//! An empty value identifies nobody and is left out.

use std::borrow::Cow;

use crate::credential::CredentialKind;
use crate::headers::Headers;
use crate::text;

/// Most values that are kept per credential kind: the first half and the last half, since servers read either the first or the last of several.
pub const MAX_VALUES_PER_KIND: usize = 128;

/// How far an identifier can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// The client said so; nobody has checked it.
    Claimed,
    /// Seen in successful answers over time.
    Observed,
    /// The gateway verified the token that carries it.
    Verified,
}

/// Where in the request a credential stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A header of this name.
    Header,
    /// A query parameter of this name.
    Query,
    /// A cookie of this name.
    Cookie,
}

/// One credential of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential<'a> {
    /// What kind of identifier it is.
    pub kind: CredentialKind,
    /// The header, parameter or cookie name; in lower case for a header.
    pub name: Cow<'a, str>,
    /// Where it stood.
    pub place: Place,
    /// The secret itself: never logged, never stored.
    pub value: Cow<'a, str>,
    /// How far it can be trusted.
    pub provenance: Provenance,
}

/// Which names hold credentials. Header names match in any case, the others exactly. Empty lists name nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialNames {
    /// Headers with an OAuth2 access token. `authorization` counts with the Bearer scheme only; in another header the scheme may be missing.
    pub token_headers: Vec<String>,
    /// Query parameters with an OAuth2 access token.
    pub token_query: Vec<String>,
    /// Headers with an API key.
    pub api_key_headers: Vec<String>,
    /// Query parameters with an API key.
    pub api_key_query: Vec<String>,
    /// Cookies that identify a client.
    pub cookies: Vec<String>,
    /// Headers with a user name.
    pub username_headers: Vec<String>,
}

/// The distinct credentials of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    found: Vec<Credential<'a>>,
    left_out: usize,
}

impl CredentialNames {
    /// Names nothing.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: CredentialNames = CredentialNames {
            token_headers: Vec::new(),
            token_query: Vec::new(),
            api_key_headers: Vec::new(),
            api_key_query: Vec::new(),
            cookies: Vec::new(),
            username_headers: Vec::new(),
        };
        &NONE
    }
}

impl<'a> Credentials<'a> {
    /// Finds every credential that `names` points at, in the headers and in the query of `url`.
    #[must_use]
    pub fn find(headers: &'a Headers<'_>, url: &'a [u8], names: &'a CredentialNames) -> Self {
        let mut credentials = Self::default();
        credentials.find_in_headers(headers, names);
        credentials.find_in_query(url, names);
        credentials.find_in_cookies(headers, names);
        credentials
    }

    /// Adds one credential unless its value is empty or already there under the same kind and name.
    pub fn add(&mut self, credential: Credential<'a>) {
        if credential.value.is_empty() {
            return;
        }
        let same = |known: &&mut Credential<'a>| {
            known.kind == credential.kind
                && known.name == credential.name
                && known.place == credential.place
                && known.value == credential.value
        };
        if let Some(known) = self.found.iter_mut().find(same) {
            known.provenance = known.provenance.max(credential.provenance);
            return;
        }
        let of_kind = |known: &Credential<'a>| known.kind == credential.kind;
        if self.found.iter().filter(|known| of_kind(known)).count() < MAX_VALUES_PER_KIND {
            self.found.push(credential);
            return;
        }
        self.left_out += 1;
        let oldest_of_last_half = self
            .found
            .iter()
            .enumerate()
            .filter(|(_, known)| of_kind(known))
            .nth(MAX_VALUES_PER_KIND / 2)
            .map(|(index, _)| index);
        if let Some(index) = oldest_of_last_half {
            self.found.remove(index);
            self.found.push(credential);
        }
    }

    /// The credentials in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Credential<'a>> {
        self.found.iter()
    }

    /// How many values were left out because of [`MAX_VALUES_PER_KIND`].
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn find_in_headers(&mut self, headers: &'a Headers<'_>, names: &'a CredentialNames) {
        let kinds = [
            (CredentialKind::Token, &names.token_headers),
            (CredentialKind::ApiKey, &names.api_key_headers),
            (CredentialKind::Username, &names.username_headers),
        ];
        for (kind, names) in kinds {
            for name in names {
                for value in headers.values_of(name.as_bytes()) {
                    self.add_header(kind, name, value);
                }
            }
        }
    }

    /// A gateway may have joined duplicates of a header with commas, so each part counts as well as the whole.
    fn add_header(&mut self, kind: CredentialKind, name: &'a str, value: &'a [u8]) {
        let mut add = |value: &'a [u8]| {
            let value = match kind {
                CredentialKind::Token => match token_of(name, value) {
                    Some(token) => token,
                    None => return,
                },
                CredentialKind::ApiKey | CredentialKind::Username | CredentialKind::Cookie => {
                    text::trimmed(value)
                }
            };
            self.add(Credential {
                kind,
                name: Cow::Borrowed(name),
                place: Place::Header,
                value: text::of(value),
                provenance: Provenance::Claimed,
            });
        };
        let joined = value.contains(&b',');
        if !joined || kind != CredentialKind::Token {
            add(value);
        }
        if joined {
            value.split(|&byte| byte == b',').for_each(add);
        }
    }

    fn find_in_query(&mut self, url: &'a [u8], names: &'a CredentialNames) {
        if names.token_query.is_empty() && names.api_key_query.is_empty() {
            return;
        }
        for (name, value) in query_parameters(url) {
            let lists = [
                (CredentialKind::Token, &names.token_query),
                (CredentialKind::ApiKey, &names.api_key_query),
            ];
            for (kind, names) in lists {
                if let Some(name) = names.iter().find(|known| known.as_bytes() == &*name) {
                    self.add(Credential {
                        kind,
                        name: Cow::Borrowed(name),
                        place: Place::Query,
                        value: text::of_cow(&value),
                        provenance: Provenance::Claimed,
                    });
                }
            }
        }
    }

    fn find_in_cookies(&mut self, headers: &'a Headers<'_>, names: &'a CredentialNames) {
        if names.cookies.is_empty() {
            return;
        }
        for line in headers.values_of(b"cookie") {
            for (name, value) in cookies(line) {
                if let Some(name) = names.cookies.iter().find(|known| known.as_bytes() == name) {
                    self.add(Credential {
                        kind: CredentialKind::Cookie,
                        name: Cow::Borrowed(name),
                        place: Place::Cookie,
                        value: text::of(value),
                        provenance: Provenance::Claimed,
                    });
                }
            }
        }
    }
}

/// The name and value of each query parameter of a request target, percent-decoded, `+` read as a blank. Invalid escapes stay as they are.
pub fn query_parameters(url: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let query = match url.iter().position(|&byte| byte == b'?') {
        Some(mark) => url.get(mark + 1..).unwrap_or_default(),
        None => &[],
    };
    let query = query.split(|&byte| byte == b'#').next().unwrap_or_default();
    query
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
            (percent_decoded(name), percent_decoded(value))
        })
}

fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|&byte| byte == b';')
        .filter_map(|pair| split_once(pair, b'='))
        .map(|(name, value)| (text::trimmed(name), unquoted(text::trimmed(value))))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

fn token_of<'v>(header: &str, value: &'v [u8]) -> Option<&'v [u8]> {
    let value = text::trimmed(value);
    let bearer = value
        .split_at_checked(7)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
        .map(|(_, token)| text::trimmed(token));
    if header.eq_ignore_ascii_case("authorization") {
        bearer
    } else {
        bearer.or(Some(value))
    }
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn percent_decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.iter().any(|&byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after_escape @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push((high << 4) | low);
                    rest = after_escape;
                }
                _ => decoded.push(b'%'),
            },
            (other, _) => decoded.push(other),
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
