//! What the VMs of one gateway tell each other about the policy image: one small datum that all of them read, and change only by compare-and-set.
//!
//! It says who fetches, which image the pieces beside it are, when ASE last confirmed it, and what was listed since. Another plugin may write where these
//! VMs share, so any bytes are read, and what is no board is as good as none.

use crate::clock::Moment;

/// What opens a board, with the version of the format.
const MAGIC: [u8; 8] = *b"ase-brd2";

/// One reading of the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Who fetches; 0 for nobody.
    pub owner: u64,
    /// Until when, unless it says so again.
    pub leased_until: Moment,
    /// Counts the images that were shared; 0 for none. It says in which of the two rows of pieces the latest lies.
    pub serial: u32,
    /// The length of that image.
    pub image_bytes: u32,
    /// Its build.
    pub build: u64,
    /// How many records `overlay` ends at.
    pub revision: u32,
    /// When ASE last confirmed all this.
    pub confirmed: Moment,
    /// When ASE last said that it has another image: whoever fetches calls for it, unless ASE has confirmed this one since.
    pub outdated: Moment,
    /// What was listed since the build.
    pub overlay: Vec<u8>,
}

impl Board {
    /// Reads a board; `None` when the bytes are none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&MAGIC)?;
        let (owner, leased_until) = (u64_of(&mut rest)?, u64_of(&mut rest)?);
        let (build, confirmed) = (u64_of(&mut rest)?, u64_of(&mut rest)?);
        let outdated = u64_of(&mut rest)?;
        let (serial, image_bytes) = (u32_of(&mut rest)?, u32_of(&mut rest)?);
        Some(Self {
            owner,
            leased_until: Moment::from_nanos(leased_until),
            serial,
            image_bytes,
            build,
            revision: u32_of(&mut rest)?,
            confirmed: Moment::from_nanos(confirmed),
            outdated: Moment::from_nanos(outdated),
            overlay: rest.to_vec(),
        })
    }

    /// The length of the image, 0 for none.
    #[must_use]
    pub fn image_len(&self) -> usize {
        usize::try_from(self.image_bytes).unwrap_or(usize::MAX)
    }

    /// As [`Self::read`] takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(60 + self.overlay.len());
        out.extend_from_slice(&MAGIC);
        for number in [
            self.owner,
            self.leased_until.nanos(),
            self.build,
            self.confirmed.nanos(),
            self.outdated.nanos(),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.serial, self.image_bytes, self.revision] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.overlay);
        out
    }
}

fn u64_of(rest: &mut &[u8]) -> Option<u64> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u64::from_le_bytes(*number))
}

fn u32_of(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_read_and_nothing_shorter_or_foreign() {
        let board = Board {
            owner: 1,
            leased_until: Moment::from_nanos(2),
            serial: 3,
            image_bytes: 4,
            build: 5,
            revision: 6,
            confirmed: Moment::from_nanos(7),
            outdated: Moment::from_nanos(8),
            overlay: b"overlay".to_vec(),
        };
        let bytes = board.to_bytes();
        assert_eq!(Board::read(&bytes).as_ref(), Some(&board));
        let shortest = bytes.len() - board.overlay.len();
        for end in 0..shortest {
            assert_eq!(Board::read(bytes.get(..end).unwrap()), None);
        }
        assert_eq!(Board::read(&[7; 100]), None);
    }
}
