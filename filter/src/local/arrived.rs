//! What ASE's answer to a call for the image is (`docs/wire.md`, Policy image).

use ase_core::headers::Headers;
use ase_core::transaction::FailureClass;

use super::ImageFailure;
use crate::exchange::{Answer, AnswerMark, Outcome};
use crate::head;

/// An answer, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Nothing is new.
    Nothing,
    /// The body is what was listed since.
    Overlay,
    /// The same, while ASE is making another image: it does not confirm this one.
    OverlayOnly,
    /// The body is a whole image.
    Image,
    /// Neither.
    Failure(ImageFailure),
}

impl Arrived {
    /// Reads the headers of an answer.
    #[must_use]
    pub fn of(headers: &Headers<'_>, mark: &AnswerMark) -> Self {
        let from_ase = mark.is_on(headers);
        let kind = headers.first(b"content-type").map(|kind| &**kind);
        match (from_ase, head::status(headers), kind) {
            (true, Some(204), _) => Self::Nothing,
            (true, Some(200), Some(b"application/vnd.ase.image")) => Self::Image,
            (true, Some(200), Some(b"application/vnd.ase.image-overlay")) => Self::Overlay,
            (true, Some(503), Some(b"application/vnd.ase.image-overlay")) => Self::OverlayOnly,
            (true, Some(404 | 503), _) => Self::Failure(ImageFailure::Absent),
            _ => Self::Failure(failure(headers, mark)),
        }
    }

    /// There was none, for this reason.
    #[must_use]
    pub fn none(class: FailureClass) -> Self {
        Self::Failure(ImageFailure::Call(class))
    }
}

fn failure(headers: &Headers<'_>, mark: &AnswerMark) -> ImageFailure {
    match Answer::of(headers, mark, Vec::new).outcome() {
        Outcome::Failure(class) => ImageFailure::Call(class),
        Outcome::Pass | Outcome::Block | Outcome::Unregistered => ImageFailure::Refused,
    }
}
