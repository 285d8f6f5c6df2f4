//! Bounds of everything that could grow.

use std::time::Duration;

use ase_core::fault::Fields;

use super::transport::TransportLimits;

const MIB: usize = 1024 * 1024;

/// Bounds of everything that could grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of a request or response call, in bytes.
    pub body_bytes: usize,
    /// Largest batch, in bytes.
    pub batch_bytes: usize,
    /// Most exchanges that wait for their response call.
    pub correlation_entries: usize,
    /// Most bytes of their log lines together.
    pub correlation_bytes: usize,
    /// How long they wait.
    pub correlation_ttl: Duration,
    /// Most lines that wait for the access log's writer.
    pub access_log_queue: usize,
    /// Most bytes that they have together.
    pub access_log_queue_bytes: usize,
    /// Most record ids that are remembered to recognise a retry.
    pub record_ids: usize,
    /// How long a stop may take.
    pub drain: Duration,
    /// What the connections of the data port may cost.
    pub transport: TransportLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: MIB,
            batch_bytes: 16 * MIB,
            correlation_entries: 100_000,
            correlation_bytes: 256 * MIB,
            correlation_ttl: Duration::from_secs(180),
            access_log_queue: 65_536,
            access_log_queue_bytes: 128 * MIB,
            record_ids: 1_000_000,
            drain: Duration::from_secs(10),
            transport: TransportLimits::default(),
        }
    }
}

pub(super) fn read_limits(fields: &mut Fields<'_, '_>) -> Limits {
    let default = Limits::default();
    let mut limits = fields.object("limits");
    let mut count = |key: &str, low: usize, high: usize, default: usize| {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let found = limits.integer(key, wide(low)..=wide(high), wide(default));
        usize::try_from(found).unwrap_or(default)
    };
    let body_bytes = count("body_bytes", 1024, 64 * MIB, default.body_bytes);
    let batch_bytes = count("batch_bytes", 1024, 256 * MIB, default.batch_bytes);
    let correlation_entries = count(
        "correlation_entries",
        1,
        10_000_000,
        default.correlation_entries,
    );
    let correlation_bytes = count(
        "correlation_bytes",
        65_536,
        64 * 1024 * MIB,
        default.correlation_bytes,
    );
    let access_log_queue = count("access_log_queue", 1, 10_000_000, default.access_log_queue);
    let access_log_queue_bytes = count(
        "access_log_queue_bytes",
        65_536,
        64 * 1024 * MIB,
        default.access_log_queue_bytes,
    );
    let record_ids = count("record_ids", 2, 100_000_000, default.record_ids);
    let ttl = limits.integer(
        "correlation_ttl_s",
        1..=86_400_u64,
        default.correlation_ttl.as_secs(),
    );
    let drain = limits.integer("drain_s", 1..=3600_u64, default.drain.as_secs());
    let transport = TransportLimits::read(&mut limits);
    limits.finish();
    Limits {
        body_bytes,
        batch_bytes,
        correlation_entries,
        correlation_bytes,
        correlation_ttl: Duration::from_secs(ttl),
        access_log_queue,
        access_log_queue_bytes,
        record_ids,
        drain: Duration::from_secs(drain),
        transport,
    }
}
