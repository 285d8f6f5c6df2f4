//! The header lines of a request that may hold credentials.

use super::{CredentialNames, Kinds, is_header};
use crate::credential::CredentialKind;
use crate::headers::Headers;

/// The name of the header that cookies come in.
const COOKIE: &str = "cookie";

/// The lines of a request that a search may be about, in their order.
pub(super) struct HeaderLines<'a> {
    names: &'a CredentialNames,
    kinds: Kinds,
    /// Name and value of each; hardly more than those that are searched for.
    candidates: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> HeaderLines<'a> {
    /// Looks at each header once. Most are passed over for the length of their name.
    pub(super) fn of(headers: &'a Headers<'_>, names: &'a CredentialNames, kinds: Kinds) -> Self {
        let mut lines = Self {
            names,
            kinds,
            candidates: Vec::new(),
        };
        let mut lengths = 0;
        if lines.wants_cookies() {
            lengths |= length_bit(COOKIE.len());
        }
        for (_, list) in lines.lists() {
            for name in list {
                lengths |= length_bit(name.len());
            }
        }
        for header in headers.iter() {
            if lengths & length_bit(header.name.len()) != 0 {
                lines.candidates.push((&header.name, &header.value));
            }
        }
        lines
    }

    /// Hands every line with a known name to `take`, by the order of the names, then by that of the lines: what it holds, its name as it is known, and its value.
    pub(super) fn named(&self, mut take: impl FnMut(CredentialKind, &'a str, &'a [u8])) {
        for (kind, list) in self.lists() {
            for known in list {
                for (name, value) in &self.candidates {
                    if is_header(name, known) {
                        take(kind, known, value);
                    }
                }
            }
        }
    }

    /// The values of every `cookie` line, where cookies are searched for.
    pub(super) fn cookies(&self) -> impl Iterator<Item = &'a [u8]> {
        let wanted = self.wants_cookies();
        let lines = self.candidates.iter().filter(move |_| wanted);
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case(COOKIE.as_bytes()))
            .map(|(_, value)| *value)
    }

    fn wants_cookies(&self) -> bool {
        self.kinds.include(CredentialKind::Cookie) && !self.names.cookies.is_empty()
    }

    fn lists(&self) -> [(CredentialKind, &'a [String]); 3] {
        let lists = [
            (CredentialKind::Token, &*self.names.token_headers),
            (CredentialKind::ApiKey, &*self.names.api_key_headers),
            (CredentialKind::Username, &*self.names.username_headers),
        ];
        lists.map(|(kind, list)| (kind, if self.kinds.include(kind) { list } else { &[] }))
    }
}

/// One bit for each length; all from 63 on share the last.
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests;
