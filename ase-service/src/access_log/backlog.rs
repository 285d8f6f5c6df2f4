//! How many lines wait for the writer and how many bytes they have, each within its bound.
//!
//! Whoever hands lines over enters them first; the writer lets them go when it takes them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Of the number of lines.
    Lines,
    /// Of the bytes in them.
    Bytes,
}

/// What waits.
#[derive(Debug)]
pub(crate) struct Backlog {
    lines: Amount,
    bytes: Amount,
}

#[derive(Debug)]
struct Amount {
    now: AtomicUsize,
    most: usize,
}

impl Backlog {
    pub(crate) fn new(lines: usize, bytes: usize) -> Self {
        let amount = |most| Amount {
            now: AtomicUsize::new(0),
            most,
        };
        Self {
            lines: amount(lines),
            bytes: amount(bytes),
        }
    }

    /// Room for these, or the bound that they break.
    pub(crate) fn enter(&self, lines: usize, bytes: usize) -> Result<(), Bound> {
        if !self.lines.enter(lines) {
            return Err(Bound::Lines);
        }
        if !self.bytes.enter(bytes) {
            self.lines.leave(lines);
            return Err(Bound::Bytes);
        }
        Ok(())
    }

    pub(crate) fn leave(&self, lines: usize, bytes: usize) {
        self.lines.leave(lines);
        self.bytes.leave(bytes);
    }

    /// Whether an empty queue would hold these.
    pub(crate) fn could_hold(&self, lines: usize, bytes: usize) -> bool {
        lines <= self.lines.most && bytes <= self.bytes.most
    }

    pub(crate) fn waiting(&self) -> (usize, usize) {
        let of = |amount: &Amount| amount.now.load(Ordering::Relaxed);
        (of(&self.lines), of(&self.bytes))
    }

    pub(crate) fn most(&self) -> (usize, usize) {
        (self.lines.most, self.bytes.most)
    }
}

impl Amount {
    fn enter(&self, amount: usize) -> bool {
        let more = |now: usize| {
            let after = now.checked_add(amount)?;
            (after <= self.most).then_some(after)
        };
        self.now
            .try_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    fn leave(&self, amount: usize) {
        self.now.fetch_sub(amount, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_lines_and_in_bytes_and_a_refusal_keeps_no_room() {
        let backlog = Backlog::new(3, 100);
        assert_eq!(backlog.enter(2, 60), Ok(()));
        assert_eq!(backlog.enter(2, 1), Err(Bound::Lines));
        assert_eq!(backlog.enter(1, 41), Err(Bound::Bytes));
        assert_eq!(backlog.waiting(), (2, 60));
        assert_eq!(backlog.enter(1, 40), Ok(()));
        backlog.leave(2, 60);
        assert_eq!(backlog.waiting(), (1, 40));
        assert!(backlog.could_hold(3, 100) && !backlog.could_hold(1, 101));
    }
}
