//! Whether ASE should be asked: one latch per thing that must be loaded first, and the stop.
//!
//! A latch that has dropped never rises again: a gateway is not sent away because of a reload. Only a stop makes a ready daemon
//! unready.

use std::sync::atomic::{AtomicBool, Ordering};

/// Something that must be loaded before the first question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The state file.
    State,
    /// The API definitions.
    Registry,
    /// The lists.
    Lists,
}

/// The latches.
#[derive(Debug, Default)]
pub struct Health {
    state: AtomicBool,
    registry: AtomicBool,
    lists: AtomicBool,
    draining: AtomicBool,
}

/// What a load balancer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Send questions.
    Ready,
    /// These parts are not loaded yet.
    Loading(Vec<Part>),
    /// ASE finishes what is under way and takes nothing new.
    Draining,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::State, Self::Registry, Self::Lists];

    /// Its name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Registry => "registry",
            Self::Lists => "lists",
        }
    }
}

impl Health {
    /// Drops the latch of a part.
    pub fn loaded(&self, part: Part) {
        self.latch(part).store(true, Ordering::Release);
    }

    /// The stop has begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether to send questions.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Acquire) {
            return Readiness::Draining;
        }
        let loading = |part: &Part| !self.latch(*part).load(Ordering::Acquire);
        let missing: Vec<Part> = Part::ALL.into_iter().filter(loading).collect();
        if missing.is_empty() {
            Readiness::Ready
        } else {
            Readiness::Loading(missing)
        }
    }

    fn latch(&self, part: Part) -> &AtomicBool {
        match part {
            Part::State => &self.state,
            Part::Registry => &self.registry,
            Part::Lists => &self.lists,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_part_is_loaded_and_no_stop_has_begun() {
        let health = Health::default();
        let mut missing = Part::ALL.to_vec();
        for part in Part::ALL {
            assert_eq!(health.readiness(), Readiness::Loading(missing.clone()));
            health.loaded(part);
            missing.retain(|other| *other != part);
        }
        assert_eq!(health.readiness(), Readiness::Ready);
        health.drain();
        assert_eq!(health.readiness(), Readiness::Draining);
    }
}
