//! What operators watch: readiness, counts per API, latencies, and the page of metrics.
//!
//! On the path of a question there is one relaxed addition per fact, never a lock. Labels are bounded: API ids, names of our own
//! enums, nothing that a client chooses.

use std::sync::Arc;

use ase_core::api_id::ApiId;
use ase_core::transaction::VerdictLabel;

use crate::config::otel::OtelSettings;
use crate::health::Health;

pub mod connections;
pub mod exchanges;
pub mod exposition;
pub mod histogram;
pub mod list_sizes;
pub mod metrics;
pub mod otlp;
pub mod port;
pub mod process;
pub mod sideband_stats;
pub mod tally;
pub mod trace;

use connections::Connections;
use histogram::Histogram;
use list_sizes::ListSizes;
use tally::Tally;
use trace::Tracer;

/// Everything that is measured outside the counters.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Whether ASE should be asked.
    pub health: Health,
    /// Connections that gateways have open.
    pub connections: Connections,
    /// How long a question took, from its whole body to its answer.
    pub question_time: Histogram,
    /// How long a batch took, from its whole body to its answer; the wait for the disk included.
    pub batch_time: Histogram,
    /// How many entries the lists hold.
    pub list_sizes: ListSizes,
    /// Verdicts of questions by API, in the order of [`VerdictLabel::ALL`].
    pub verdicts: Tally<ApiId, { VerdictLabel::ALL.len() }>,
    /// Keeps spans, where that is configured.
    pub tracer: Option<Tracer>,
    /// What became of spans.
    pub spans: Arc<otlp::Counts>,
}

impl Telemetry {
    /// With spans, where they are configured; call it within a runtime.
    #[must_use]
    pub fn start(otel: Option<OtelSettings>) -> Self {
        let spans = Arc::default();
        Self {
            tracer: otel.map(|settings| Tracer::start(settings, Arc::clone(&spans))),
            spans,
            ..Self::default()
        }
    }

    /// Counts a verdict for its API.
    pub fn verdict(&self, api: &ApiId, label: VerdictLabel) {
        self.verdicts.add(api, label as usize, 1);
    }
}
