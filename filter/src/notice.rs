//! Says something once, then at most once a minute with the count of what was held back.

use std::time::Duration;

use crate::clock::Moment;

/// Shortest time between two lines about the same thing.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// What is known about one repeated event.
#[derive(Debug, Default)]
pub struct Notice {
    last_line: Option<Moment>,
    held_back: u64,
}

/// Whether an event deserves a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first of its kind: say it in full.
    First,
    /// So many since the last line, this one included.
    Again(u64),
    /// Too soon.
    HeldBack,
}

impl Notice {
    /// Counts so many events.
    pub fn events(&mut self, times: u64, now: Moment) -> Line {
        self.held_back = self.held_back.saturating_add(times);
        match self.last_line {
            Some(last) if now.since(last) < INTERVAL => return Line::HeldBack,
            Some(_) | None => {}
        }
        let line = match self.last_line {
            Some(_) => Line::Again(self.held_back),
            None => Line::First,
        };
        self.last_line = Some(now);
        self.held_back = 0;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_told_once_a_minute() {
        let mut notice = Notice::default();
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        assert_eq!(notice.events(1, at(100)), Line::First);
        assert_eq!(notice.events(1, at(101)), Line::HeldBack);
        assert_eq!(notice.events(1, at(159)), Line::HeldBack);
        assert_eq!(notice.events(5, at(160)), Line::Again(7));
        assert_eq!(notice.events(1, at(161)), Line::HeldBack);
    }
}
