//! Reading the image's bytes in place: little-endian numbers at offsets that are checked, and a checksum over all of it.

use std::ops::Range;

use thiserror::Error;

/// Why some bytes are no policy image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageFault {
    /// They are something else, or an image of another version.
    #[error("not a policy image of this version")]
    Unknown,
    /// They end too early, or go on too long.
    #[error("a policy image of another length")]
    Length,
    /// They have changed on their way.
    #[error("a policy image with a wrong checksum")]
    Checksum,
    /// A part contradicts another.
    #[error("a policy image that contradicts itself")]
    Malformed,
    /// The overlay at its end is none.
    #[error("a policy image with a bad overlay")]
    Overlay,
}

/// A place in the image, moving forward.
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    /// At the start of `bytes`.
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The place of the next `length` bytes, which are passed over.
    pub(super) fn range(&mut self, length: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(length)?;
        if end > self.bytes.len() {
            return None;
        }
        let start = std::mem::replace(&mut self.at, end);
        Some(start..end)
    }

    /// The place of `count` records of `size` bytes each.
    pub(super) fn records(&mut self, count: u32, size: usize) -> Option<Range<usize>> {
        self.range(usize::try_from(count).ok()?.checked_mul(size)?)
    }

    /// The next bytes, as many as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let range = self.range(N)?;
        self.bytes.get(range)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text behind its length.
    pub(super) fn text(&mut self) -> Option<String> {
        let length = self.u32()?;
        let range = self.records(length, 1)?;
        let text = std::str::from_utf8(self.bytes.get(range)?).ok()?;
        Some(text.to_owned())
    }

    /// What has not been passed over.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// The number at `offset`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let word = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

/// The number at `offset`.
pub(super) fn u128_at(bytes: &[u8], offset: usize) -> Option<u128> {
    let word = bytes.get(offset..)?.first_chunk()?;
    Some(u128::from_le_bytes(*word))
}

/// The first of the places `from..to` that is not `before`; all that are stand in front of all that are not.
pub(super) fn first_not(from: usize, to: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Guards against torn and mixed-up copies, not against forgers: an image comes over a connection that is trusted.
///
/// Every step is a bijection of the state and of the word, so bytes that differ within one word never have the same sum.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut take = |word: u64| {
        sum = (sum ^ word)
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .rotate_left(29);
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    take(u64::from_le_bytes(last));
    sum
}
