//! ASE itself: what a question, a response call and a batch do, apart from how they travel.
//!
//! The registry and the lists are read from one snapshot per question, without a lock. Nothing here waits: what must be written
//! goes to the access log's queue.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ase_core::credential::KeyRing;
use ase_core::decision::{self, Decision, Identified, Snapshot, Verdict};
use ase_core::metadata::{RequestFault, RequestReport, ResponseFault};
use ase_core::time::UnixMillis;
use ase_core::transaction::{End, GatewayDecision, VerdictLabel};
use ase_core::wire;
use tokio::sync::Semaphore;

use crate::access_log::{AccessLog, recall};
use crate::config::Limits;
use crate::correlation::{AbortCause, Aborted, Correlation, Finished, Opened};
use crate::counters::{Counter, Counters};
use crate::engine_host::EngineHost;
use crate::exchange::{self, Ending, Finding, ReportMode, RequestFacts, RequestHalf, Started};
use crate::fingerprint::{Fingerprinter, Seen};
use crate::leniency::Leniency;
use crate::policy_image::Images;
use crate::real_time::{Deed, Pending, RealTime};
use crate::telemetry::Telemetry;
use crate::tokens::{Gateway, Tokens};

pub mod answer;
mod batch;
mod image;

use answer::Answer;

/// Most batches that are read at a time: fewer than there are threads for work off the request path, so that list changes find
/// one whatever gateways send.
pub const BATCHES_AT_ONCE: usize = 8;

/// What all calls share.
pub struct Ase {
    /// Who may call.
    pub tokens: Tokens,
    /// Bounds of bodies.
    pub limits: Limits,
    /// Who is told 200 instead of a refusal.
    pub leniency: Leniency,
    /// Registry and lists as of the last change.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// What has been counted.
    pub counters: Arc<Counters>,
    /// Where exchanges go.
    pub log: AccessLog,
    /// What is measured beside the counters.
    pub telemetry: Arc<Telemetry>,
    /// Who studies the exchanges.
    pub engine: EngineHost,
    /// What gateways tell harmless requests by on their own.
    pub images: Images,
    keys: Arc<ArcSwap<KeyRing>>,
    real_time: RealTime,
    batch_turns: Semaphore,
    fingerprinter: Fingerprinter,
    correlation: Mutex<Correlation>,
    /// Shared with what waits for the access log.
    seen: Arc<Mutex<Seen>>,
}

/// What came with a call beside its body.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who called.
    pub gateway: Gateway,
    /// The value of `X-CorrelationID`; never empty.
    pub correlation_id: Option<Vec<u8>>,
    /// How the rest of the exchange will come.
    pub delivery: Delivery,
    /// When, by the monotonic clock.
    pub at: Instant,
    /// When, by the wall clock.
    pub now: UnixMillis,
}

/// How the rest of an exchange will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As a batch record that stands alone.
    Batch,
    /// As a response call.
    PerCall,
}

impl Ase {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        (tokens, limits): (Tokens, Limits),
        snapshot: Arc<ArcSwap<Snapshot>>,
        keys: Arc<ArcSwap<KeyRing>>,
        (counters, log): (Arc<Counters>, AccessLog),
        real_time: RealTime,
    ) -> Self {
        Self {
            tokens,
            leniency: Leniency::default(),
            snapshot,
            counters,
            log,
            telemetry: Arc::default(),
            engine: EngineHost::off(),
            images: Images::off(),
            keys,
            real_time,
            fingerprinter: Fingerprinter::default(),
            correlation: Mutex::new(Correlation::new(
                limits.correlation_entries,
                limits.correlation_bytes,
                limits.correlation_ttl,
            )),
            seen: Arc::new(Mutex::new(Seen::new(limits.record_ids))),
            batch_turns: Semaphore::new(BATCHES_AT_ONCE),
            limits,
        }
    }

    /// The same, lenient to these gateways.
    #[must_use]
    pub fn lenient(self, leniency: Leniency) -> Self {
        Self { leniency, ..self }
    }

    /// The same, measured there.
    #[must_use]
    pub fn measured(self, telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, ..self }
    }

    /// The same, studied by this engine.
    #[must_use]
    pub fn studied(self, engine: EngineHost) -> Self {
        Self { engine, ..self }
    }

    /// The same, with policy images for gateways.
    #[must_use]
    pub fn imaged(self, images: Images) -> Self {
        Self { images, ..self }
    }

    /// The same, knowing the records at the end of this access log: a batch whose answer a crash has lost comes again. Blocks on the disk.
    #[must_use]
    pub fn recalling(self, access_log: &Path) -> Self {
        let mut seen = lock(&self.seen);
        recall::records(access_log, |gateway, id| {
            seen.logged(self.fingerprinter.of_named(gateway, id.as_bytes()));
        });
        drop(seen);
        self
    }

    /// Answers `POST /ase/request`. Only the answer to a client that is being listed waits, and not for long.
    pub async fn request(&self, call: &Call, body: &[u8]) -> Answer {
        let (answer, pending) = self.answer(call, body);
        if let Some(pending) = pending {
            Box::pin(pending.listed()).await;
        }
        answer
    }

    fn answer(&self, call: &Call, body: &[u8]) -> (Answer, Option<Pending>) {
        let text = wire::body_text(body);
        let metadata = match wire::read_request(&text) {
            Ok(metadata) => metadata,
            Err(fault) => return (self.refuse_request(&[fault]), None),
        };
        let report = match RequestReport::of(&metadata) {
            Ok(report) => report,
            Err(faults) => return (self.refuse_request(&faults), None),
        };
        let snapshot = self.snapshot.load();
        let times = (call.now, call.now);
        let deed = match call.delivery {
            Delivery::Batch => self.decide(&report, &snapshot, times),
            Delivery::PerCall => {
                let (deed, identified) = self.decide_and_identify(&report, &snapshot, times);
                self.keep(call, &report, (&deed.decision, identified));
                deed
            }
        };
        let pending = self.real_time.carry_out(&deed, &snapshot, call.now);
        let found = &deed.decision;
        let label = found.verdict.label();
        self.counters.count(Counter::Verdict(label));
        if let Some(api) = &found.api {
            self.telemetry.verdict(api.id(), label);
        }
        let answer = match found.verdict {
            Verdict::NotListed | Verdict::AllowListed => Answer::Allowed,
            Verdict::WouldBlock => Answer::WouldBlock,
            Verdict::Blocked => Answer::Blocked,
            Verdict::UnknownApi => Answer::UnknownApi,
            Verdict::UnknownHostname => Answer::UnknownHostname,
        };
        (answer, pending)
    }

    /// Answers `POST /ase/response`.
    pub fn response(&self, call: &Call, body: &[u8]) -> Answer {
        let text = wire::body_text(body);
        let response = match wire::read_response(&text) {
            Ok(response) => response,
            Err(fault) => return self.refuse_response(fault),
        };
        let Some(id) = call.correlation_id.as_deref() else {
            return self.refuse_response(ResponseFault::CorrelationIdNotFound);
        };
        let id = self.fingerprinter.of(&call.gateway, id);
        match lock(&self.correlation).finish(id, call.at) {
            Finished::Unknown => self.refuse_response(ResponseFault::CorrelationIdNotFound),
            Finished::Logged => Answer::Accepted,
            Finished::Half(mut half, duration) => {
                let observed = half.take_observed();
                self.engine.ended(observed, Some(&response), Some(duration));
                self.log.log(half.finish(&Ending {
                    outcome: End::Upstream,
                    response: Some(&response),
                    duration: Some(duration),
                    asked_for: None,
                }));
                Answer::Accepted
            }
        }
    }

    /// Logs the exchanges whose response did not come in time.
    pub fn expire(&self, now: Instant) {
        let aborted = lock(&self.correlation).expire(now);
        self.log_aborted(aborted);
    }

    /// Logs the exchanges that still wait for their response, at the end.
    pub fn abort_waiting(&self) {
        let aborted = lock(&self.correlation).drain();
        self.log_aborted(aborted);
    }

    /// Waits, not for long, until every detection up to this moment is stored.
    pub async fn settle_detections(&self) {
        self.real_time.settle().await;
    }

    /// How many exchanges wait for their response.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.correlation).len()
    }

    /// Entries count as of `now`, requests as of `made`.
    fn decide(
        &self,
        report: &RequestReport<'_>,
        snapshot: &Snapshot,
        (now, made): (UnixMillis, UnixMillis),
    ) -> Deed {
        let (counts, keys) = (self.real_time.counts_at(made), self.keys.load());
        let decision = decision::decide(report, snapshot, &keys, &counts, now);
        let evidence = decision.detection.map(|_| {
            let identified = Identified::of(report, decision.api.as_deref(), &keys);
            exchange::evidence(report.metadata, &identified)
        });
        Deed {
            client: report.client,
            decision,
            evidence,
            at: made,
        }
    }

    /// The same for an exchange that is logged, with the names of its credentials.
    fn decide_and_identify<'a>(
        &self,
        report: &'a RequestReport<'_>,
        snapshot: &'a Snapshot,
        (now, made): (UnixMillis, UnixMillis),
    ) -> (Deed, Identified<'a>) {
        let (counts, keys) = (self.real_time.counts_at(made), self.keys.load());
        let (decision, identified) =
            decision::decide_and_identify(report, snapshot, &keys, &counts, now);
        let shown = |_| exchange::evidence(report.metadata, &identified);
        let deed = Deed {
            client: report.client,
            evidence: decision.detection.map(shown),
            decision,
            at: made,
        };
        (deed, identified)
    }

    /// Logs an exchange that has ended with its question, or keeps it for its response call.
    fn keep(
        &self,
        call: &Call,
        report: &RequestReport<'_>,
        (found, identified): (&Decision, Identified<'_>),
    ) {
        let finding = Finding {
            decision: found,
            identified,
        };
        let label = found.verdict.label();
        let id = call.correlation_id.as_deref();
        let keys = id.map(|id| {
            let fingerprinter = &self.fingerprinter;
            let question = (report.method, report.url, report.client);
            (
                fingerprinter.of(&call.gateway, id),
                fingerprinter.of_any(&question),
            )
        });
        if let Some((id, question)) = keys
            && lock(&self.correlation).repeats(id, question, call.at)
        {
            return;
        }
        let id = id.map_or_else(|| "-".into(), wire::body_text);
        let facts = RequestFacts {
            started: Started::At(call.now),
            id: &id,
            gateway: call.gateway.as_str(),
            mode: ReportMode::Sideband,
            metadata: report.metadata,
            decision: sideband_decision(found.verdict),
            verdict: Some(label),
            found: Some(&finding),
        };
        let mut half = RequestHalf::of(&facts);
        let observed = self.engine.begun(report, &facts);
        let denied = label == VerdictLabel::Blocked;
        let outcome = if denied { End::Denied } else { End::Aborted };
        let ended = |duration| Ending {
            outcome,
            response: None,
            duration,
            asked_for: None,
        };
        let Some((id, question)) = keys else {
            self.counters.count(Counter::CorrelationIdAbsent);
            self.engine.ended(observed, None, None);
            self.log.log(half.finish(&ended(None)));
            return;
        };
        let opened = if denied {
            self.log.log(half.finish(&ended(Some(Duration::ZERO))));
            Opened::Logged
        } else {
            half.watch(observed);
            Opened::Half(half)
        };
        let aborted = lock(&self.correlation).open(id, question, opened, call.at);
        self.log_aborted(aborted);
    }

    fn log_aborted(&self, aborted: Vec<Aborted>) {
        for Aborted { mut half, cause } in aborted {
            self.engine.ended(half.take_observed(), None, None);
            match cause {
                AbortCause::Expired => self.counters.count(Counter::CorrelationExpired),
                AbortCause::Evicted => self.counters.count(Counter::CorrelationEvicted),
                AbortCause::Replaced => self.counters.count(Counter::CorrelationReplaced),
                AbortCause::Stopped => {}
            }
            self.log.log(half.finish(&Ending {
                outcome: End::Aborted,
                response: None,
                duration: None,
                asked_for: None,
            }));
        }
    }

    fn refuse_request(&self, faults: &[RequestFault]) -> Answer {
        self.counters.request_refused(faults);
        self.counters
            .count(Counter::Verdict(VerdictLabel::Rejected));
        Answer::malformed(faults)
    }

    fn refuse_response(&self, fault: ResponseFault) -> Answer {
        self.counters.response_refused(fault);
        Answer::malformed(&[fault])
    }
}

/// What an old policy does with an answer: it blocks on 403 and passes everything else.
fn sideband_decision(verdict: Verdict) -> GatewayDecision {
    match verdict {
        Verdict::NotListed | Verdict::AllowListed | Verdict::WouldBlock => GatewayDecision::Verdict,
        Verdict::Blocked => GatewayDecision::Denied,
        Verdict::UnknownApi | Verdict::UnknownHostname => GatewayDecision::Unregistered,
    }
}

/// A panic while the lock was held leaves the tables whole: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
