//! What was listed since the image was built: an append-only log of small records, so that a copy of it is told by a number.
//!
//! A document is a piece of the log, with the build that it belongs to. Nothing is ever taken out: an entry that has gone since
//! costs a question until the next build.

use thiserror::Error;

use super::member::{KeysByKind, MemberKey, Numbers, Probe};
use super::read::{Cursor, checksum};

/// Longest log; ASE builds anew long before.
pub const MAX_OVERLAY_RECORDS: u32 = 16_384;

/// What opens a document, with the version of the format.
const MAGIC: [u8; 8] = *b"ase-ovl1";
/// Where the part of a document begins that its checksum covers.
const CHECKED_FROM: usize = 16;
/// What finds it, and its key.
const RECORD_BYTES: usize = 10;

/// Why some bytes are no addition to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OverlayFault {
    /// They are no overlay, or have changed on their way.
    #[error("not an overlay")]
    Malformed,
    /// They are of another build: the whole image has to be fetched.
    #[error("an overlay of another build")]
    OtherBuild,
    /// They go on from a revision that the image has not reached.
    #[error("an overlay with a gap before it")]
    Gap,
    /// With them the overlay would have too many records.
    #[error("an overlay of too many records")]
    TooLong,
}

/// The records so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    records: Vec<u8>,
    revision: u32,
    keys: KeySet,
    pub(super) v4: Numbers,
    pub(super) v6: Numbers,
    /// The credential keys under which something was added.
    pub(super) kinds: KeysByKind,
}

/// A piece of the log, as it came.
struct Piece<'b> {
    build: u64,
    from: u32,
    to: u32,
    records: &'b [u8],
}

/// A set of keys, which are hashes already: open addressing, never more than half full.
#[derive(Clone, Debug, Default)]
struct KeySet {
    slots: Vec<u64>,
    len: usize,
}

impl Overlay {
    pub(super) fn revision(&self) -> u32 {
        self.revision
    }

    pub(super) fn holds(&self, key: MemberKey) -> bool {
        self.keys.has(key.0)
    }

    /// Adds one record, if there is room.
    pub(super) fn push(&mut self, probe: Probe, key: MemberKey) -> Result<(), OverlayFault> {
        if self.revision >= MAX_OVERLAY_RECORDS {
            return Err(OverlayFault::TooLong);
        }
        match probe {
            Probe::V4(prefix) => self.v4.insert(prefix),
            Probe::V6(prefix) => self.v6.insert(prefix),
            Probe::Credential(kind, id) => self.kinds.insert(kind, id),
        }
        self.keys.insert(key.0);
        self.records.extend_from_slice(&probe.to_bytes());
        self.records.extend_from_slice(&key.0.to_le_bytes());
        self.revision += 1;
        Ok(())
    }

    /// Adds what a document has behind the present revision; all of it or nothing.
    pub(super) fn extend(&mut self, build: u64, document: &[u8]) -> Result<(), OverlayFault> {
        let piece = Piece::read(document).ok_or(OverlayFault::Malformed)?;
        if piece.build != build {
            return Err(OverlayFault::OtherBuild);
        }
        if piece.from > self.revision {
            return Err(OverlayFault::Gap);
        }
        if piece.to > MAX_OVERLAY_RECORDS {
            return Err(OverlayFault::TooLong);
        }
        let known = usize::try_from(self.revision - piece.from).unwrap_or(usize::MAX);
        let (records, _) = piece.records.as_chunks::<RECORD_BYTES>();
        let read = |record: &[u8; RECORD_BYTES]| {
            let [tag, number, key @ ..] = *record;
            let probe = Probe::of_bytes([tag, number])?;
            Some((probe, MemberKey(u64::from_le_bytes(key))))
        };
        if !records.iter().all(|record| read(record).is_some()) {
            return Err(OverlayFault::Malformed);
        }
        for (probe, key) in records.iter().skip(known).filter_map(read) {
            self.push(probe, key)?;
        }
        Ok(())
    }

    /// Appends the document of the records behind revision `from`.
    pub(super) fn write(&self, build: u64, from: u32, out: &mut Vec<u8>) {
        let from = from.min(self.revision);
        let skipped = usize::try_from(from).unwrap_or(0) * RECORD_BYTES;
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&build.to_le_bytes());
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(self.records.get(skipped..).unwrap_or_default());
        seal(out, start);
    }
}

impl<'b> Piece<'b> {
    fn read(document: &'b [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(document);
        let (magic, sum) = (cursor.array::<8>()?, cursor.u64()?);
        if magic != MAGIC || sum != checksum(cursor.rest()) {
            return None;
        }
        let (build, from, to) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
        let records = cursor.rest();
        let count = usize::try_from(to.checked_sub(from)?).ok()?;
        let whole = records.len() == count.checked_mul(RECORD_BYTES)?;
        whole.then_some(Self {
            build,
            from,
            to,
            records,
        })
    }
}

impl KeySet {
    fn has(&self, key: u64) -> bool {
        self.place(key).is_some_and(|(_, held)| held != 0)
    }

    fn insert(&mut self, key: u64) {
        if (self.len + 1) * 2 > self.slots.len() {
            let slots = vec![0; (self.slots.len() * 2).max(64)];
            let held = std::mem::replace(&mut self.slots, slots);
            for key in held.into_iter().filter(|key| *key != 0) {
                self.put(key);
            }
        }
        if self.put(key) {
            self.len += 1;
        }
    }

    /// Puts a key into a free slot; `false` when it is there already.
    fn put(&mut self, key: u64) -> bool {
        let Some((place, 0)) = self.place(key) else {
            return false;
        };
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = key.max(1);
        }
        true
    }

    /// The slot of a key, or the free one where it belongs, and what is in it. Zero marks a free slot, so it stands for one.
    fn place(&self, key: u64) -> Option<(usize, u64)> {
        let key = key.max(1);
        let last = self.slots.len().checked_sub(1)?;
        // The number of slots is a power of two.
        let start = usize::try_from(key & u64::try_from(last).ok()?).ok()?;
        for step in 0..=last {
            let place = (start + step) & last;
            let held = *self.slots.get(place)?;
            if held == 0 || held == key {
                return Some((place, held));
            }
        }
        None
    }
}

/// Sets the checksum of the document that begins at `start`.
pub(super) fn seal(out: &mut [u8], start: usize) {
    let Some(document) = out.get_mut(start..) else {
        return;
    };
    let sum = checksum(document.get(CHECKED_FROM..).unwrap_or_default());
    for (place, byte) in document.iter_mut().skip(8).zip(sum.to_le_bytes()) {
        *place = byte;
    }
}
