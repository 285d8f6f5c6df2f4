//! How the VMs of a gateway share one image: the lease of the VM that fetches, and the copies of the others.

use ase_core::policy_image::PolicyImage;

use super::{Board, ImageFailure, Local, LocalLimits};
use crate::clock::Moment;

/// An image is shared in pieces of this size.
pub const PIECE_BYTES: usize = 65_536;
/// Most pieces that a VM copies in one tick: two MiB take it about a millisecond.
const PIECES_PER_TICK: u32 = 32;

/// What was seen where the board is.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'b> {
    /// These bytes.
    Board(&'b [u8]),
    /// Nobody has posted one.
    Nothing,
    /// The host shares nothing: this VM is on its own.
    Alone,
}

/// What to do after a tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Post this board, unless another VM has posted one meanwhile.
    pub post: Option<Vec<u8>>,
    /// Ask ASE for news.
    pub fetch: bool,
    /// Share the image: the pieces, then [`Local::publication`].
    pub publish: bool,
    /// This VM is the one that fetches: it tells the gateway's operator about the image.
    pub holds: bool,
}

/// A piece of an image in shared data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of the two rows: the one that is being written is never the one that is read.
    pub row: u8,
    /// Its place in the row.
    pub number: u32,
}

/// A copy out of shared data under way.
#[derive(Debug)]
pub(super) struct Taking {
    /// As last seen, with what was listed since.
    board: Board,
    /// The next piece.
    number: u32,
    /// How many more this tick.
    left: u32,
}

impl Local {
    /// A tick went by, and this was seen.
    pub fn tick(&mut self, seen: Seen<'_>, now: Moment, limits: &LocalLimits) -> Wish {
        self.confirmed = self.confirmed_by(now);
        self.told = false;
        let due = self.polls.tick();
        if let Seen::Alone = seen {
            return Wish {
                fetch: due && self.lacks_news(now, limits),
                holds: true,
                ..Wish::default()
            };
        }
        let mut board = board_of(seen, now).unwrap_or_default();
        self.serial = board.serial;
        self.look(&board, limits);
        if self.taking.is_some() {
            // What is being copied may be all the news there is.
            return Wish {
                post: self.renewed(&mut board, now, limits),
                ..Wish::default()
            };
        }
        let holds = self.holds(&board, now, limits);
        if holds && board.outdated > board.confirmed {
            self.polls.hasten();
        }
        let publish = holds && board.image_bytes == 0 && self.image.is_some();
        Wish {
            post: self.renewed(&mut board, now, limits).filter(|_| !publish),
            fetch: holds && due && !publish && self.lacks_news(now, limits),
            publish,
            holds,
        }
    }

    /// Takes in what the board has: another image, or what was listed since.
    fn look(&mut self, board: &Board, limits: &LocalLimits) {
        if let Some(taking) = &mut self.taking {
            taking.left = PIECES_PER_TICK;
            if taking.board.serial == board.serial && board.image_bytes != 0 {
                taking.board = board.clone();
                return;
            }
            self.taking = None;
        }
        if board.image_bytes == 0 {
            return;
        }
        match &mut self.image {
            Some(image) if image.build() == board.build => {
                if board.revision > image.revision() {
                    // What does not fit comes with ASE's next answer, or with the next image.
                    let _comes_again = image.extend(&board.overlay);
                }
                if image.revision() >= board.revision {
                    self.confirmed = self.confirmed.max(Some(board.confirmed));
                }
            }
            Some(_) | None => self.take(board, limits),
        }
    }

    fn take(&mut self, board: &Board, limits: &LocalLimits) {
        if self.make_room(board.image_len(), limits).is_ok() {
            self.taking = Some(Taking {
                board: board.clone(),
                number: 0,
                left: PIECES_PER_TICK,
            });
        }
    }

    /// The piece to copy next; `None` when that is enough for a tick.
    #[must_use]
    pub fn wanted_piece(&self) -> Option<Piece> {
        let taking = self.taking.as_ref().filter(|taking| taking.left > 0)?;
        Some(Piece {
            row: row_of(taking.board.serial),
            number: taking.number,
        })
    }

    /// The piece that was wanted, or that it is not there. Says when the image is whole and in use.
    ///
    /// # Errors
    /// When the copy is none of a whole image; [`Self::disowned`] has it shared anew.
    pub fn piece(&mut self, piece: Option<&[u8]>) -> Result<bool, ImageFailure> {
        let Some(mut taking) = self.taking.take() else {
            return Ok(false);
        };
        let length = taking.board.image_len();
        let missing = length.saturating_sub(self.spare.len());
        let fitting = |piece: &&[u8]| piece.len() == missing.min(PIECE_BYTES);
        let piece = piece.filter(fitting).ok_or(ImageFailure::Torn)?;
        self.spare.extend_from_slice(piece);
        if self.spare.len() < length {
            taking.number += 1;
            taking.left = taking.left.saturating_sub(1);
            self.taking = Some(taking);
            return Ok(false);
        }
        self.put_to_use(&taking.board)
            .map_err(|_| ImageFailure::Torn)?;
        self.polls.replaced();
        Ok(true)
    }

    /// A board from which the image is gone, so that the VM that fetches shares it again; `None` when the board is about another one by now.
    #[must_use]
    pub fn disowned(&self, seen: Seen<'_>, now: Moment) -> Option<Vec<u8>> {
        let mut board = board_of(seen, now)?;
        let unlike = |image: &PolicyImage| image.build() != board.build;
        let meant = self.image.as_ref().is_none_or(unlike) && board.image_bytes != 0;
        board.image_bytes = 0;
        meant.then(|| board.to_bytes())
    }

    /// The row for the pieces of the image, and the board that says that they are there. The pieces go first. `None` when another VM has shared one since this
    /// VM asked for its own: its answer may have been so long under way that the other one is newer.
    #[must_use]
    pub fn publication(&self, seen: Seen<'_>, now: Moment) -> Option<(u8, Vec<u8>)> {
        let image = self.image.as_ref()?;
        let mut board = board_of(seen, now).unwrap_or_default();
        if board.image_bytes != 0 && board.serial != self.succeeds {
            return None;
        }
        board.serial = board.serial.wrapping_add(1);
        board.image_bytes = u32::try_from(image.as_bytes().len()).ok()?;
        board.build = image.build();
        (board.confirmed, board.outdated) = Default::default();
        self.tell(image, &mut board, now);
        Some((row_of(board.serial), board.to_bytes()))
    }

    /// The board with what is newer here; `None` when nothing is, or when it is about another image.
    #[must_use]
    pub fn news(&self, seen: Seen<'_>, now: Moment) -> Option<Vec<u8>> {
        let (image, mut board) = (self.image.as_ref()?, board_of(seen, now)?);
        let same = board.build == image.build() && board.image_bytes != 0;
        let is_later = self.confirmed_by(now) > Some(board.confirmed);
        let is_outdated = self.outdated > board.outdated.max(board.confirmed);
        let newer = image.revision() > board.revision || is_later || is_outdated;
        if !same || !newer || image.revision() < board.revision {
            return None;
        }
        self.tell(image, &mut board, now);
        Some(board.to_bytes())
    }

    /// The board without this VM's lease, when the root context ends.
    #[must_use]
    pub fn farewell(&self, seen: Seen<'_>, now: Moment) -> Option<Vec<u8>> {
        let mut board = board_of(seen, now).filter(|board| board.owner == self.me)?;
        board.owner = 0;
        Some(board.to_bytes())
    }

    fn tell(&self, image: &PolicyImage, board: &mut Board, now: Moment) {
        let confirmed = self.confirmed_by(now).unwrap_or_default();
        board.confirmed = board.confirmed.max(confirmed);
        board.outdated = board.outdated.max(self.outdated);
        board.revision = image.revision();
        board.overlay.clear();
        image.write_overlay(0, &mut board.overlay);
    }

    fn holds(&self, board: &Board, now: Moment, limits: &LocalLimits) -> bool {
        board.owner == self.me && is_leased(board, now, limits)
    }

    /// The board with a lease of this VM's, where nobody holds one or its own is half over.
    fn renewed(&self, board: &mut Board, now: Moment, limits: &LocalLimits) -> Option<Vec<u8>> {
        let half = now.after(limits.lease / 2);
        if is_leased(board, now, limits) && (board.owner != self.me || half < board.leased_until) {
            return None;
        }
        board.owner = self.me;
        board.leased_until = now.after(limits.lease);
        Some(board.to_bytes())
    }
}

/// No lease ends further ahead than its length, unless the clock was set back: then it is over.
fn is_leased(board: &Board, now: Moment, limits: &LocalLimits) -> bool {
    let (until, longest) = (board.leased_until, now.after(limits.lease));
    board.owner != 0 && now < until && until <= longest
}

fn row_of(serial: u32) -> u8 {
    u8::from(serial % 2 == 1)
}

/// The board; what was said after `now`, by a clock that was set back since, is not said.
fn board_of(seen: Seen<'_>, now: Moment) -> Option<Board> {
    let mut board = match seen {
        Seen::Board(bytes) => Board::read(bytes)?,
        Seen::Nothing | Seen::Alone => return None,
    };
    for said in [&mut board.confirmed, &mut board.outdated] {
        if *said > now {
            *said = Moment::default();
        }
    }
    Some(board)
}
