//! The client in `X-Forwarded-For`, counted from the right: what stands further left anybody can write.

use std::num::NonZeroU8;

use thiserror::Error;

use super::{ClientAddress, EXCERPT_CHARS, PeerAddress};

/// A forwarding chain that names no client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForwardedError {
    /// The chain has fewer entries than trusted hops (none at all: the header is absent).
    #[error("x-forwarded-for has {found} entries, {trusted_hops} are expected")]
    TooShort {
        /// Entries found, over every occurrence of the header.
        found: usize,
        /// Entries that trusted proxies write.
        trusted_hops: NonZeroU8,
    },
    /// The chosen entry is not an address (`unknown`, an obfuscated name, garbage).
    #[error(
        "entry {trusted_hops} from the right of x-forwarded-for: {entry:?} is not an IP address"
    )]
    NotAnAddress {
        /// The place of the entry, counted from the right, 1 first.
        trusted_hops: NonZeroU8,
        /// The entry, shortened.
        entry: String,
    },
}

/// The client's address out of every `X-Forwarded-For` value, given in order of appearance: the entry in place `trusted_hops` from the right of the joined chain.
///
/// An empty entry counts as one, as in the chain that a proxy would make by joining the values with commas. An entry may carry a port or brackets.
///
/// # Errors
/// When the chain has fewer entries, or the chosen one is not an address. Entries in other places are not looked at.
pub fn forwarded_for<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    trusted_hops: NonZeroU8,
) -> Result<ClientAddress, ForwardedError> {
    let hops = usize::from(trusted_hops.get());
    // The last `hops` entries; the slot that the next entry would overwrite holds the one in that place from the right.
    let mut last: [&[u8]; 255] = [&[]; 255];
    let mut found = 0_usize;
    for entry in values.flat_map(|value| value.split(|&byte| byte == b',')) {
        if let Some(slot) = last.get_mut(found % hops) {
            *slot = entry;
        }
        found = found.saturating_add(1);
    }
    let chosen = match last.get(found % hops) {
        Some(entry) if found >= hops => *entry,
        Some(_) | None => {
            return Err(ForwardedError::TooShort {
                found,
                trusted_hops,
            });
        }
    };
    std::str::from_utf8(chosen)
        .ok()
        .and_then(|text| PeerAddress::parse(text).ok())
        .map(|peer| peer.address)
        .ok_or_else(|| ForwardedError::NotAnAddress {
            trusted_hops,
            entry: excerpt_of_bytes(chosen),
        })
}

fn excerpt_of_bytes(bytes: &[u8]) -> String {
    let start = bytes.get(..EXCERPT_CHARS).unwrap_or(bytes);
    String::from_utf8_lossy(start).into_owned()
}
