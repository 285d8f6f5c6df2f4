//! Where the parts of an image are; found once, when it is read.

use crate::credential::KeyId;

use super::apis::Apis;
use super::fuse::{FingerprintBits, Fuse};
use super::member::{KeysByKind, Members, Numbers};
use super::ranges::Ranges;
use super::read::{Cursor, ImageFault, checksum};

/// What opens an image, with the version of the format.
pub(super) const MAGIC: [u8; 8] = *b"ase-img1";
/// Most credential keys that are valid at a time.
const MAX_RING_KEYS: u8 = 2;

/// The parts of an image but its overlay.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// Of all of them, in bytes.
    pub(super) length: usize,
    pub(super) build: u64,
    pub(super) width: FingerprintBits,
    pub(super) members: Members,
    /// The credential keys that ASE has.
    pub(super) ring: Vec<RingKey>,
    pub(super) kinds: KeysByKind,
    /// The prefix lengths whose networks are in the filter.
    pub(super) v4: Numbers,
    pub(super) v6: Numbers,
    pub(super) apis: Apis,
    pub(super) ranges: Ranges,
    pub(super) fuse: Option<Fuse>,
}

/// A credential key that ASE has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingKey {
    pub(super) id: KeyId,
    /// Tells keys of one id apart.
    pub(super) check: u64,
}

impl Parts {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ImageFault> {
        let mut cursor = Cursor::new(bytes);
        if cursor.array() != Some(MAGIC) {
            return Err(ImageFault::Unknown);
        }
        let (Some(sum), Some(length)) = (cursor.u64(), cursor.u32()) else {
            return Err(ImageFault::Length);
        };
        let length = usize::try_from(length).map_err(|_| ImageFault::Length)?;
        let image = bytes.get(..length).ok_or(ImageFault::Length)?;
        if image.get(16..).map(checksum) != Some(sum) {
            return Err(ImageFault::Checksum);
        }
        // What comes behind the end is no part of these.
        let mut cursor = Cursor::new(image);
        let parts = Self::behind_checksum(&mut cursor, length);
        parts
            .filter(|_| cursor.rest().is_empty())
            .ok_or(ImageFault::Malformed)
    }

    fn behind_checksum(cursor: &mut Cursor<'_>, length: usize) -> Option<Self> {
        cursor.range(20)?;
        let build = cursor.u64()?;
        let members = Members::new(&cursor.array()?);
        let width = FingerprintBits::of_bits(cursor.u8()?)?;
        let ring_keys = cursor.u8()?;
        if ring_keys > MAX_RING_KEYS {
            return None;
        }
        let mut ring = Vec::new();
        for _ in 0..ring_keys {
            let (id, check) = (KeyId(cursor.u8()?), cursor.u64()?);
            ring.push(RingKey { id, check });
        }
        Some(Self {
            length,
            build,
            width,
            members,
            ring,
            kinds: KeysByKind::read(cursor)?,
            v4: Numbers::of_bytes(&cursor.array()?),
            v6: Numbers::of_bytes(&cursor.array()?),
            apis: Apis::read(cursor)?,
            ranges: Ranges::read(cursor)?,
            fuse: Fuse::read(cursor, width)?,
        })
    }
}
