//! Finding the credentials of a request: one function, used by the gateway and by ASE.
//!
//! Every occurrence of a name counts: a listed cookie is found behind a harmless one of the same name. Servers disagree
//! about odd spellings, so a value that can be read in two ways is found in both: quoted and unquoted, percent-encoded
//! and decoded, joined by commas and apart. A reading too many only adds an identifier of the same client; a reading too
//! few would let a listed one through. An empty value identifies nobody and is left out.

use std::borrow::Cow;

use crate::credential::{CredentialId, CredentialKind};
use crate::headers::Headers;
use crate::text;

mod basic;
mod bucket;
mod header_lines;
mod parameters;
mod withheld;

pub use basic::basic_client_id;
pub use parameters::query_parameters;
pub use withheld::without_credentials;

use bucket::Bucket;
use header_lines::HeaderLines;
use parameters::{Plus, is_parameter, percent_decoded, raw_parameters, split_once};

/// Most values that are kept of one name in one place: the first half and the last half, since servers read either the first or the last of several.
pub const MAX_VALUES_PER_NAME: usize = 128;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A header of this name.
    Header,
    /// A query parameter of this name.
    Query,
    /// A cookie of this name.
    Cookie,
    /// A field of this name in a form-urlencoded body.
    Body,
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

/// A credential that the gateway has made an id of: its value is known to nobody here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedCredential<'a> {
    /// What kind of identifier it is.
    pub kind: CredentialKind,
    /// The header, parameter or cookie name.
    pub name: Cow<'a, str>,
    /// Where it stood.
    pub place: Place,
    /// Its id under a key that the gateway was given.
    pub id: CredentialId,
    /// How far it can be trusted.
    pub provenance: Provenance,
}

/// Which names hold credentials; they match in any case, and in headers `_` matches `-`, as it does behind CGI-like servers.
/// Empty lists name nothing.
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

/// Some kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

/// The credentials of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    buckets: Vec<Bucket<'a>>,
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

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(0b1111);
    /// No kind.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub fn with(self, kind: CredentialKind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    /// Whether the kind is one of these.
    #[must_use]
    pub fn include(self, kind: CredentialKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    fn bit(kind: CredentialKind) -> u8 {
        match kind {
            CredentialKind::Cookie => 1,
            CredentialKind::Token => 2,
            CredentialKind::ApiKey => 4,
            CredentialKind::Username => 8,
        }
    }
}

impl<'a> Credentials<'a> {
    /// Finds every credential that `names` points at, in the headers and in the query of `url`.
    #[must_use]
    pub fn find(headers: &'a Headers<'_>, url: &'a [u8], names: &'a CredentialNames) -> Self {
        Self::find_some(headers, url, names, Kinds::ALL)
    }

    /// As [`Self::find`], and looks for these kinds only.
    #[must_use]
    pub fn find_some(
        headers: &'a Headers<'_>,
        url: &'a [u8],
        names: &'a CredentialNames,
        kinds: Kinds,
    ) -> Self {
        let mut credentials = Self::default();
        let lines = HeaderLines::of(headers, names, kinds);
        lines.named(|kind, name, value| credentials.add_header(kind, name, value));
        credentials.find_in_query(url, names, kinds);
        credentials.find_in_cookies(lines.cookies(), names);
        credentials
    }

    /// Adds one credential unless its value is empty.
    pub fn add(&mut self, credential: Credential<'a>) {
        if credential.value.is_empty() {
            return;
        }
        let same = |bucket: &&mut Bucket<'a>| {
            bucket.kind == credential.kind
                && bucket.place == credential.place
                && bucket.name == credential.name
        };
        match self.buckets.iter_mut().find(same) {
            Some(bucket) => bucket.add(credential),
            None => self.buckets.push(Bucket::of(credential)),
        }
    }

    /// The credentials by name, in the order in which they were found. Of many values of one name some may come twice.
    pub fn iter(&self) -> impl Iterator<Item = &Credential<'a>> {
        self.buckets
            .iter()
            .flat_map(|bucket| bucket.first.iter().chain(&bucket.last))
    }

    /// How many values were left out because of [`MAX_VALUES_PER_NAME`].
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.left_out).sum()
    }

    /// A gateway may have joined duplicates of a header with commas, so each part counts as well as the whole.
    fn add_header(&mut self, kind: CredentialKind, name: &'a str, value: &'a [u8]) {
        let mut add = |value: Option<&'a [u8]>| {
            if let Some(value) = value {
                self.add(claimed(kind, Place::Header, name, text::of(value)));
            }
        };
        match kind {
            // A part of a user name would name somebody else.
            CredentialKind::Username | CredentialKind::Cookie => add(Some(value.trim_ascii())),
            CredentialKind::ApiKey => {
                add(Some(value.trim_ascii()));
                if value.contains(&b',') {
                    let parts = value.split(|&byte| byte == b',');
                    parts.for_each(|part| add(Some(part.trim_ascii())));
                }
            }
            CredentialKind::Token => {
                let parts = value.split(|&byte| byte == b',');
                parts.for_each(|part| add(token_of(name, part)));
            }
        }
    }

    fn find_in_query(&mut self, url: &'a [u8], names: &'a CredentialNames, kinds: Kinds) {
        let lists = [
            (CredentialKind::Token, &names.token_query),
            (CredentialKind::ApiKey, &names.api_key_query),
        ];
        let asked = |(kind, names): &&(CredentialKind, &'a Vec<String>)| {
            kinds.include(*kind) && !names.is_empty()
        };
        if lists.iter().find(asked).is_none() {
            return;
        }
        for (name, value) in raw_parameters(url) {
            let name = percent_decoded(name, Plus::IsBlank);
            for (kind, names) in lists.iter().filter(asked) {
                let known = names.iter().find(|known| is_parameter(&name, known));
                if let Some(known) = known {
                    let value = percent_decoded(value, Plus::IsBlank);
                    self.add(claimed(*kind, Place::Query, known, value));
                }
            }
        }
    }

    fn find_in_cookies(
        &mut self,
        lines: impl Iterator<Item = &'a [u8]>,
        names: &'a CredentialNames,
    ) {
        for line in lines {
            for pair in line.split(|&byte| byte == b';') {
                self.add_cookie(pair, names);
                // Older cookie syntaxes part pairs by commas or blanks.
                let parts = pair.split(|&byte| byte == b',' || byte.is_ascii_whitespace());
                if pair
                    .trim_ascii()
                    .iter()
                    .any(|&byte| byte == b',' || byte == b' ')
                {
                    parts.for_each(|part| self.add_cookie(part, names));
                }
            }
        }
    }

    fn add_cookie(&mut self, pair: &'a [u8], names: &'a CredentialNames) {
        let Some((name, value)) = split_once(pair, b'=') else {
            return;
        };
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        let known = |known: &&String| known.as_bytes().eq_ignore_ascii_case(name);
        let Some(name) = names.cookies.iter().find(known) else {
            return;
        };
        let unquoted = value
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""));
        if let Some(quoted) = unquoted.filter(|quoted| quoted.contains(&b'\\')) {
            self.add(claimed(
                CredentialKind::Cookie,
                Place::Cookie,
                name,
                unescaped(quoted),
            ));
        }
        let value = unquoted.unwrap_or(value);
        if value.contains(&b'%') {
            let decoded = percent_decoded(value, Plus::Stays);
            self.add(claimed(
                CredentialKind::Cookie,
                Place::Cookie,
                name,
                decoded,
            ));
        }
        self.add(claimed(
            CredentialKind::Cookie,
            Place::Cookie,
            name,
            text::of(value),
        ));
    }
}

fn claimed<'a>(
    kind: CredentialKind,
    place: Place,
    name: &'a str,
    value: Cow<'a, str>,
) -> Credential<'a> {
    Credential {
        kind,
        name: Cow::Borrowed(name),
        place,
        value,
        provenance: Provenance::Claimed,
    }
}

/// Whether a header has the name `known`, in any case and with `_` for `-`.
#[must_use]
pub fn is_header(name: &[u8], known: &str) -> bool {
    let spelled = |byte: u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    let alike = |(&left, right): (&u8, u8)| spelled(left) == spelled(right);
    name.len() == known.len()
        // Nearly every header is spelled as it is known, but for its case.
        && (name.eq_ignore_ascii_case(known.as_bytes())
            || name.iter().zip(known.bytes()).all(alike))
}

/// The token in a header's value: without its Bearer scheme, which `authorization` must have and other headers may.
pub(crate) fn token_of<'v>(header: &str, value: &'v [u8]) -> Option<&'v [u8]> {
    let value = value.trim_ascii();
    let bearer = value
        .split_at_checked(6)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer"))
        .filter(|(_, rest)| rest.first().is_some_and(u8::is_ascii_whitespace))
        .map(|(_, token)| token.trim_ascii());
    if is_header(header.as_bytes(), "authorization") {
        bearer
    } else {
        bearer.or(Some(value))
    }
}

/// The content of a quoted string: `\"` is `"`, and `\141` is the byte of that octal number, as some cookie parsers read it.
fn unescaped(quoted: &[u8]) -> Cow<'_, str> {
    let text = text::of(quoted);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..]) => {
                plain.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = more;
            }
            (b'\\', [escaped, more @ ..]) => {
                plain.push(*escaped);
                rest = more;
            }
            (other, _) => plain.push(other),
        }
    }
    text::of_cow(Cow::Owned(plain))
}

#[cfg(test)]
mod tests;
