//! The host's metrics of one root context.
//!
//! Steps of counters and the waits of the histogram gather here and reach the host once a tick: a call costs as much as the rest of a count many times over. Nothing gathers once no
//! tick comes any more. Assumes that hooks do not nest; a step that finds the cell busy all the same goes to the host at once.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::counters::{ASK_US, Counter, RECORDS_WAITING};
use crate::host::{self, MetricId, MetricKind};
use crate::host_profile::{HostCall, HostProfile};

/// Most waits that gather: 32 kB of memory.
const MOST_WAITS: usize = 4096;

/// The metrics of one root context. One that the host refuses stays off.
pub(super) struct Metrics {
    /// Looked through once a tick; a map would cost the module 15 kB.
    counters: Vec<(Counter, MetricId)>,
    /// What has moved since the last tick: a handful at most, so a look through it costs next to nothing.
    steps: RefCell<Vec<(Counter, u64)>>,
    /// How long requests have waited since the last tick, in µs.
    waits: RefCell<Vec<u64>>,
    no_tick_comes: Cell<bool>,
    ask_us: Option<MetricId>,
    records_waiting: Option<MetricId>,
    /// What this context has added to the gauge.
    told_waiting: Cell<i64>,
}

impl Metrics {
    /// Makes them known to the host.
    pub(super) fn define(at_host: HostProfile) -> Self {
        let counters = Counter::all()
            .into_iter()
            .filter_map(|counter| {
                let id = host::define_metric(MetricKind::Counter, &counter.name()).ok()?;
                Some((counter, id))
            })
            .collect();
        Self {
            counters,
            steps: RefCell::new(Vec::new()),
            waits: RefCell::new(Vec::new()),
            no_tick_comes: Cell::new(false),
            ask_us: host::define_metric(MetricKind::Histogram, ASK_US).ok(),
            records_waiting: (at_host.offers(HostCall::GaugeSteps))
                .then(|| host::define_metric(MetricKind::Gauge, RECORDS_WAITING).ok())
                .flatten(),
            told_waiting: Cell::new(0),
        }
    }

    /// Adds to a counter.
    pub(super) fn count(&self, counter: Counter, by: u64) {
        if by == 0 {
            return;
        }
        match self.steps.try_borrow_mut() {
            Ok(mut steps) if !self.no_tick_comes.get() => gather(&mut steps, counter, by),
            Ok(_) | Err(_) => self.tell(counter, by),
        }
    }

    /// Takes how long a request has waited for ASE into the distribution.
    pub(super) fn asked_for(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        match self.waits.try_borrow_mut() {
            Ok(mut waits) if !self.no_tick_comes.get() && waits.len() < MOST_WAITS => {
                waits.push(wait);
            }
            Ok(_) | Err(_) => self.tell_wait(wait),
        }
    }

    /// A tick: the host is told what has gathered, and how many records wait.
    pub(super) fn tick(&self, records_waiting: usize) {
        if let Ok(mut steps) = self.steps.try_borrow_mut() {
            for (counter, by) in steps.drain(..) {
                self.tell(counter, by);
            }
        }
        if let Ok(mut waits) = self.waits.try_borrow_mut() {
            for wait in waits.drain(..) {
                self.tell_wait(wait);
            }
        }
        let held = i64::try_from(records_waiting).unwrap_or(i64::MAX);
        let step = held.saturating_sub(self.told_waiting.replace(held));
        if let (Some(gauge), true) = (self.records_waiting, step != 0) {
            host::increment(gauge, step);
        }
    }

    /// As [`Self::tick`], and from now on the host is told at once: this was the last tick.
    pub(super) fn last_tick(&self, records_waiting: usize) {
        self.no_tick_comes.set(true);
        self.tick(records_waiting);
    }

    /// Whether the last tick has been.
    pub(super) fn no_tick_comes(&self) -> bool {
        self.no_tick_comes.get()
    }

    fn tell_wait(&self, wait: u64) {
        if let Some(histogram) = self.ask_us {
            host::record(histogram, wait);
        }
    }

    fn tell(&self, counter: Counter, by: u64) {
        if let Some((_, id)) = self.counters.iter().find(|(known, _)| *known == counter) {
            host::increment(*id, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }
}

fn gather(steps: &mut Vec<(Counter, u64)>, counter: Counter, by: u64) {
    match steps.iter_mut().find(|(known, _)| *known == counter) {
        Some((_, gathered)) => *gathered = gathered.saturating_add(by),
        None => steps.push((counter, by)),
    }
}
