//! What outlives a VM and is seen from outside: the log, the metrics and the shared data of one gateway.
//!
//! Shared between the working VM and its canaries, as Envoy's process-wide stores are. Must never be shared between gateways.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::Status;

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Finest.
    Trace = 0,
    /// For the developer.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// The worst.
    Critical,
}

impl LogLevel {
    /// The ABI's number of a level; unknown ones are critical.
    pub(super) fn from_abi(number: u32) -> Self {
        match number {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            _ => Self::Critical,
        }
    }
}

/// One line of the guest's or the host's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The ABI's kinds of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Default)]
struct Stores {
    log: Vec<LogLine>,
    metrics: Vec<(String, MetricKind, i64)>,
    shared_data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    host_calls: BTreeMap<(&'static str, &'static str), u64>,
}

/// The log, the metrics and the shared data of one gateway.
#[derive(Debug, Default)]
pub(super) struct Telemetry {
    stores: Mutex<Stores>,
    /// The ABI's number of the lowest level that is written.
    level: AtomicU8,
    /// Lines of the guest's that were left out.
    left_out: AtomicU64,
}

impl Telemetry {
    pub(super) fn log(&self, level: LogLevel, text: impl Into<String>) {
        if level as u8 >= self.level() {
            self.stores().log.push(LogLine {
                level,
                text: text.into(),
            });
        }
    }

    /// A line of the guest's; one that is left out was made in vain.
    pub(super) fn guest_log(&self, level: LogLevel, text: String) {
        if (level as u8) < self.level() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        self.log(level, text);
    }

    /// Leaves out what is less grave from now on, and tells the guest so.
    pub(super) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// How many lines of the guest's were left out so far.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// The ABI's number of the lowest level that is written.
    pub(super) fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    pub(super) fn lines(&self) -> Vec<LogLine> {
        self.stores().log.clone()
    }

    /// How many lines there are, to ask later for those [`Self::since`].
    pub(super) fn mark(&self) -> usize {
        self.stores().log.len()
    }

    pub(super) fn since(&self, mark: usize) -> Vec<String> {
        self.stores()
            .log
            .iter()
            .skip(mark)
            .map(|line| line.text.clone())
            .collect()
    }

    /// Every metric by name; a histogram's value is its number of samples.
    pub(super) fn metrics(&self) -> BTreeMap<String, i64> {
        self.stores()
            .metrics
            .iter()
            .map(|(name, _, value)| (name.clone(), *value))
            .collect()
    }

    pub(super) fn count_call(&self, hook: &'static str, call: &'static str) {
        *self.stores().host_calls.entry((hook, call)).or_default() += 1;
    }

    /// How often the guest has called the host, by hook and function.
    pub(super) fn host_calls(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.stores().host_calls.clone()
    }

    /// Defines a metric, or finds the one of that name and kind.
    pub(super) fn define_metric(&self, kind: u32, name: String) -> Result<u32, Status> {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        let metrics = &mut self.stores().metrics;
        let known = metrics
            .iter()
            .position(|(known, known_kind, _)| *known == name && *known_kind == kind);
        let index = known.unwrap_or(metrics.len());
        if known.is_none() {
            metrics.push((name, kind, 0));
        }
        u32::try_from(index + 1).map_err(|_| Status::InternalFailure)
    }

    /// Counters take positive steps only, gauges any, histograms none.
    pub(super) fn increment_metric(&self, id: u32, offset: i64) -> Result<(), Status> {
        self.with_metric(id, |kind, value| match kind {
            MetricKind::Counter if offset <= 0 => Err(Status::BadArgument),
            MetricKind::Histogram => Err(Status::BadArgument),
            MetricKind::Counter | MetricKind::Gauge => {
                *value += offset;
                Ok(())
            }
        })
    }

    pub(super) fn record_metric(&self, id: u32, recorded: u64) -> Result<(), Status> {
        let recorded = i64::try_from(recorded).unwrap_or(i64::MAX);
        self.with_metric(id, |kind, value| {
            match kind {
                MetricKind::Counter => *value += recorded,
                MetricKind::Gauge => *value = recorded,
                MetricKind::Histogram => *value += 1,
            }
            Ok(())
        })
    }

    pub(super) fn metric(&self, id: u32) -> Result<i64, Status> {
        self.with_metric(id, |kind, value| match kind {
            MetricKind::Counter | MetricKind::Gauge => Ok(*value),
            MetricKind::Histogram => Err(Status::BadArgument),
        })
    }

    pub(super) fn shared_datum(&self, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        self.stores()
            .shared_data
            .get(key)
            .cloned()
            .ok_or(Status::NotFound)
    }

    /// Writes a shared datum; `cas` 0 means unconditionally.
    pub(super) fn set_shared_datum(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
        cas: u32,
    ) -> Result<(), Status> {
        let shared = &mut self.stores().shared_data;
        let current = shared.get(&key).map(|(_, cas)| *cas);
        if cas != 0 && current.is_some_and(|current| current != cas) {
            return Err(Status::CasMismatch);
        }
        shared.insert(key, (value, current.unwrap_or(0) + 1));
        Ok(())
    }

    fn with_metric<T>(
        &self,
        id: u32,
        act: impl FnOnce(MetricKind, &mut i64) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let index = usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1);
        match self.stores().metrics.get_mut(index) {
            Some((_, kind, value)) => act(*kind, value),
            None => Err(Status::NotFound),
        }
    }

    fn stores(&self) -> MutexGuard<'_, Stores> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
