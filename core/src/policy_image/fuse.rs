//! Look-ups in a binary fuse filter (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters", 2022) where it lies.
//!
//! The crate that builds it looks up as well, but by indices that it trusts; these lines take any bytes. What cannot be looked up
//! counts as held: the gateway asks then.

use std::ops::Range;

use super::member::MemberKey;
use super::read::Cursor;

/// How many bits of a hash the filter keeps: with 8 about 1 of 256 identifiers that are not listed is asked about, with 16 about 1
/// of 65,536, for twice the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FingerprintBits {
    /// 8.
    Eight,
    /// 16.
    Sixteen,
}

/// Where the filter lies and how it is cut.
#[derive(Clone, Debug)]
pub(super) struct Fuse {
    width: FingerprintBits,
    seed: u64,
    segment_length: u32,
    segment_length_mask: u32,
    segment_count_length: u32,
    fingerprints: Range<usize>,
}

impl FingerprintBits {
    /// The number.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
        }
    }

    pub(super) fn of_bits(bits: u8) -> Option<Self> {
        match bits {
            8 => Some(Self::Eight),
            16 => Some(Self::Sixteen),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }
}

impl Fuse {
    /// Reads where it is; no fingerprints are no filter.
    pub(super) fn read(cursor: &mut Cursor<'_>, width: FingerprintBits) -> Option<Option<Self>> {
        let (seed, segment_length) = (cursor.u64()?, cursor.u32()?);
        let (segment_length_mask, segment_count_length) = (cursor.u32()?, cursor.u32()?);
        let count = cursor.u32()?;
        let fingerprints = cursor.records(count, width.bytes())?;
        let fuse = Self {
            width,
            seed,
            segment_length,
            segment_length_mask,
            segment_count_length,
            fingerprints,
        };
        Some((count > 0).then_some(fuse))
    }

    /// Whether `key` may be in it.
    pub(super) fn holds(&self, image: &[u8], key: MemberKey) -> bool {
        let fingerprints = image.get(self.fingerprints.clone()).unwrap_or_default();
        let hash = mixed(key.0.wrapping_add(self.seed));
        let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
        // The upper half of the product of 64 and 32 bits, without numbers of 128 bits.
        let count = u64::from(self.segment_count_length);
        let carried = (u64::from(low(hash)) * count) >> 32;
        let first = low(((hash >> 32) * count + carried) >> 32);
        let second = first.wrapping_add(self.segment_length);
        let third = second.wrapping_add(self.segment_length);
        let places = [
            first,
            second ^ (low(hash >> 18) & self.segment_length_mask),
            third ^ (low(hash) & self.segment_length_mask),
        ];
        let mut sum = hash ^ (hash >> 32);
        for place in places {
            match self.fingerprint(fingerprints, place) {
                Some(fingerprint) => sum ^= u64::from(fingerprint),
                None => return true,
            }
        }
        match self.width {
            FingerprintBits::Eight => sum & 0xff == 0,
            FingerprintBits::Sixteen => sum & 0xffff == 0,
        }
    }

    fn fingerprint(&self, fingerprints: &[u8], place: u32) -> Option<u16> {
        let place = usize::try_from(place).ok()?;
        match self.width {
            FingerprintBits::Eight => fingerprints.get(place).copied().map(u16::from),
            FingerprintBits::Sixteen => {
                let bytes = fingerprints.get(place.checked_mul(2)?..)?.first_chunk()?;
                Some(u16::from_le_bytes(*bytes))
            }
        }
    }
}

/// The last step of MurmurHash3, 64 bits.
fn mixed(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}
