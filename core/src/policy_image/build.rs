//! Building an image from a snapshot: ASE's half. A gateway has no part of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use thiserror::Error;
use xorf::{BinaryFuse8, BinaryFuse16};

use crate::credential::{KeyId, KeyRing};
use crate::decision::Snapshot;
use crate::identifier_list::{IdentifierList, ListedIdentifier};

use super::fuse::FingerprintBits;
use super::member::{KeysByKind, Members};
use super::overlay::{Overlay, seal};
use super::parts::MAGIC;

mod api_tables;
mod networks;

use networks::Networks;

/// Most bytes of exact ranges: 16,384 of IPv4, or a quarter as many of IPv6.
pub const RANGES_BYTES: usize = 16_384 * super::ranges::V4_BYTES;

/// How an image is built.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'s> {
    /// How many bits of a hash the filter keeps.
    pub width: FingerprintBits,
    /// Names the build: random, and never used again.
    pub build: u64,
    /// The secret of the build's hashes: random, so that nobody can choose an address that is asked about by every gateway.
    pub seed: [u8; 16],
    /// ASE's credential keys, to tell which ones a gateway needs; the image holds no secret of theirs.
    pub keys: &'s KeyRing,
    /// Most bytes of networks that are held exactly, [`RANGES_BYTES`] but in tests; the others go into the filter.
    pub ranges_bytes: usize,
}

impl<'s> Settings<'s> {
    /// The usual ones.
    #[must_use]
    pub fn new(keys: &'s KeyRing, width: FingerprintBits, build: u64, seed: [u8; 16]) -> Self {
        Self {
            width,
            build,
            seed,
            keys,
            ranges_bytes: RANGES_BYTES,
        }
    }
}

/// Why there is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// Something takes more than four thousand million bytes.
    #[error("the policy image would be too large")]
    TooLarge,
    /// The filter could not be made; another seed will do.
    #[error("the membership filter could not be made with this seed")]
    Filter,
}

/// The image of the deny list and of the APIs, with an empty overlay. Takes about a second for a million entries.
///
/// What has expired and is still on the list counts as listed. The allow list only ever frees, so it has no part in it.
///
/// # Errors
/// When there can be none.
pub fn build(snapshot: &Snapshot, settings: &Settings<'_>) -> Result<Vec<u8>, BuildError> {
    let members = Members::new(&settings.seed);
    let listed = Listed::of(&snapshot.attack, &members, settings.ranges_bytes);
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    // Checksum and length; see the end.
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&settings.build.to_le_bytes());
    out.extend_from_slice(&settings.seed);
    out.push(settings.width.bits());
    write_ring(&mut out, settings.keys);
    out.extend_from_slice(&listed.kinds.to_bytes());
    out.extend_from_slice(&listed.networks.filtered_v4.to_bytes());
    out.extend_from_slice(&listed.networks.filtered_v6.to_bytes());
    api_tables::write(&mut out, &snapshot.registry)?;
    listed.networks.write(&mut out)?;
    write_filter(&mut out, &listed.keys, settings.width)?;
    let length = number(out.len())?;
    for (place, byte) in out.iter_mut().skip(16).zip(length.to_le_bytes()) {
        *place = byte;
    }
    seal(&mut out, 0);
    Overlay::default().write(settings.build, 0, &mut out);
    Ok(out)
}

/// Sets the checksums of an image that was changed on purpose, and of the overlay at its end, so that a fuzzer gets past them.
pub fn reseal(image: &mut [u8]) {
    let length = super::read::u32_at(image, 16).and_then(|length| usize::try_from(length).ok());
    if let Some((image, overlay)) = length.and_then(|length| image.split_at_mut_checked(length)) {
        seal(image, 0);
        seal(overlay, 0);
    }
}

/// The same for an overlay.
pub fn reseal_overlay(overlay: &mut [u8]) {
    seal(overlay, 0);
}

/// A count or an offset, as images have them.
fn number(number: usize) -> Result<u32, BuildError> {
    u32::try_from(number).map_err(|_| BuildError::TooLarge)
}

/// What the deny list comes to.
struct Listed {
    networks: Networks,
    kinds: KeysByKind,
    /// Of credentials and of the networks that are not held exactly; each once.
    keys: Vec<u64>,
}

impl Listed {
    fn of(list: &IdentifierList, members: &Members, ranges_bytes: usize) -> Self {
        let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
        let (mut kinds, mut keys) = (KeysByKind::default(), Vec::new());
        for (identifier, _) in list.iter() {
            match identifier {
                ListedIdentifier::Network(network) => match network.first().ip() {
                    IpAddr::V4(first) => {
                        let networks: &mut Vec<u32> = v4.entry(network.prefix()).or_default();
                        networks.push(first.to_bits());
                    }
                    IpAddr::V6(first) => {
                        let networks: &mut Vec<u128> = v6.entry(network.prefix()).or_default();
                        networks.push(first.to_bits());
                    }
                },
                ListedIdentifier::Credential { kind, id } => {
                    kinds.insert(kind, id.key());
                    keys.push(members.credential(kind, &id).0);
                }
            }
        }
        let networks = Networks::split(v4, v6, ranges_bytes, |key| keys.push(key.0), members);
        keys.sort_unstable();
        keys.dedup();
        Self {
            networks,
            kinds,
            keys,
        }
    }
}

fn write_ring(out: &mut Vec<u8>, keys: &KeyRing) {
    let ring = std::iter::once(keys.current()).chain(keys.previous());
    out.push(if keys.previous().is_some() { 2 } else { 1 });
    for key in ring {
        let KeyId(id) = key.id();
        out.push(id);
        out.extend_from_slice(&key.check().to_le_bytes());
    }
}

/// As [`super::fuse::Fuse::read`] reads it.
fn write_filter(out: &mut Vec<u8>, keys: &[u64], width: FingerprintBits) -> Result<(), BuildError> {
    if keys.is_empty() {
        out.extend_from_slice(&[0; 24]);
        return Ok(());
    }
    let (descriptor, fingerprints) = match width {
        FingerprintBits::Eight => {
            let fuse = BinaryFuse8::try_from(keys).map_err(|_| BuildError::Filter)?;
            (fuse.descriptor, fuse.fingerprints.into_vec())
        }
        FingerprintBits::Sixteen => {
            let fuse = BinaryFuse16::try_from(keys).map_err(|_| BuildError::Filter)?;
            let fingerprints = fuse.fingerprints.iter();
            let bytes = fingerprints.flat_map(|fingerprint| fingerprint.to_le_bytes());
            (fuse.descriptor, bytes.collect())
        }
    };
    out.extend_from_slice(&descriptor.seed.to_le_bytes());
    for word in [
        descriptor.segment_length,
        descriptor.segment_length_mask,
        descriptor.segment_count_length,
        number(fingerprints.len() / usize::from(width.bits() / 8))?,
    ] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&fingerprints);
    Ok(())
}
