//! The header lines of a request that may hold credentials, found in one pass.

use super::{CredentialNames, Kinds, is_header};
use crate::credential::CredentialKind;
use crate::headers::Headers;

/// The name of the header that cookies come in.
const COOKIE: &[u8] = b"cookie";

/// The lines that a search is about.
pub(super) struct HeaderLines<'a> {
    /// How many names were looked for.
    names: usize,
    /// In order of appearance, each with the place of its name.
    named: Vec<(usize, Named<'a>)>,
    /// The values of every `cookie` line.
    pub(super) cookies: Vec<&'a [u8]>,
}

/// A header that was looked for: what it holds, its name as it is known, and its value.
type Named<'a> = (CredentialKind, &'a str, &'a [u8]);

impl<'a> HeaderLines<'a> {
    /// Looks at each header once. Most are passed over for the length of their name.
    pub(super) fn of(headers: &'a Headers<'_>, names: &'a CredentialNames, kinds: Kinds) -> Self {
        let known = || known(names, kinds);
        let wants_cookies = kinds.include(CredentialKind::Cookie) && !names.cookies.is_empty();
        let of_cookies = if wants_cookies {
            length_bit(COOKIE.len())
        } else {
            0
        };
        let (names, lengths) = known().fold((0, of_cookies), |(names, lengths), (_, name)| {
            (names + 1, lengths | length_bit(name.len()))
        });
        let mut lines = Self {
            names,
            named: Vec::new(),
            cookies: Vec::new(),
        };
        for header in headers.iter() {
            if lengths & length_bit(header.name.len()) == 0 {
                continue;
            }
            if wants_cookies && header.name.eq_ignore_ascii_case(COOKIE) {
                lines.cookies.push(&header.value);
            }
            for (place, (kind, name)) in known().enumerate() {
                if is_header(&header.name, name) {
                    lines.named.push((place, (kind, name, &header.value)));
                }
            }
        }
        lines
    }

    /// Every named line: by the order of the names, then by that of the headers.
    pub(super) fn in_order_of_names(&self) -> impl Iterator<Item = Named<'a>> {
        let places = if self.named.is_empty() { 0 } else { self.names };
        (0..places).flat_map(|place| {
            let here = self.named.iter().filter(move |(at, _)| *at == place);
            here.map(|(_, line)| *line)
        })
    }
}

fn known(names: &CredentialNames, kinds: Kinds) -> impl Iterator<Item = (CredentialKind, &str)> {
    let lists = [
        (CredentialKind::Token, &names.token_headers),
        (CredentialKind::ApiKey, &names.api_key_headers),
        (CredentialKind::Username, &names.username_headers),
    ];
    let wanted = lists
        .into_iter()
        .filter(move |(kind, _)| kinds.include(*kind));
    wanted.flat_map(|(kind, names)| names.iter().map(move |name| (kind, name.as_str())))
}

/// One bit for each length; all from 63 on share the last.
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests;
