//! What has been counted since the start, under the documented names of the original where it has one.
//!
//! Adding to a counter never blocks. Nothing that is dropped or refused goes without one of these.

use std::sync::atomic::{AtomicU64, Ordering};

use ase_core::decision::Detection;
use ase_core::metadata::{RequestFault, ResponseFault};
use ase_core::registry::{Lure, Pattern};
use ase_core::transaction::VerdictLabel;

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// A question that was refused.
    RequestsFailed,
    /// A question refused for this fault.
    Request(RequestFault),
    /// A question with an absent or wrong sideband token.
    RequestAuthentication,
    /// A question refused for another reason, such as its size.
    RequestUnknown,
    /// A response call that was refused.
    ResponsesFailed,
    /// A response call refused for this fault.
    Response(ResponseFault),
    /// A response call with an absent or wrong sideband token.
    ResponseAuthentication,
    /// A response call refused for another reason, such as its size.
    ResponseUnknown,
    /// A verdict that was given.
    Verdict(VerdictLabel),
    /// An old-style question without a correlation id: its response cannot be tied to it.
    CorrelationIdAbsent,
    /// An exchange whose response call did not come in time.
    CorrelationExpired,
    /// An exchange that made room for another.
    CorrelationEvicted,
    /// An exchange whose correlation id was used again before its response came.
    CorrelationReplaced,
    /// A batch that was taken.
    BatchesAccepted,
    /// A batch with an absent or wrong sideband token.
    BatchAuthentication,
    /// A batch refused for another reason, such as its size.
    BatchesRefused,
    /// A batch that was sent away because the queue was full.
    BatchesOverloaded,
    /// A record that was taken.
    RecordsAccepted,
    /// A record that had been taken before.
    RecordsDuplicate,
    /// A line that is not a record.
    RecordsRejected,
    /// A record whose request half lacks something required; logged as it is.
    RecordsIncomplete,
    /// A record whose time was too far from ASE's clock.
    RecordsClamped,
    /// A line that was written to the access log.
    LogLinesWritten,
    /// An old-style exchange that was not logged because the queue was full.
    LogLinesDropped,
    /// Of these, one for which there was no room in bytes.
    LogLinesDroppedForBytes,
    /// A line that could not be written.
    LogLinesFailed,
    /// A file of the access log that made room for a new one.
    LogFilesRotated,
    /// A rotation that the disk refused; the file goes on.
    LogRotationsFailed,
    /// A rotated file that was removed for its age or for the room.
    LogFilesRemoved,
    /// A rotated file that could not be compressed or removed; it is tried again.
    LogArchiveFailures,
    /// A line that standard output did not take in time.
    StdoutLinesDropped,
    /// A line that the syslog server did not take in time or at all.
    SyslogLinesDropped,
    /// A call to a path or with a method that the data port does not know.
    UnknownCalls,
    /// A refusal that was told as 200.
    LenientAnswers,
    /// A request that broke a real-time rule, whether that blocked it or not.
    Detected(Detection),
    /// A client that was not listed because too many others were being listed.
    ListingsDropped,
    /// An offence that is not in the table of detections because too many others were being stored, or because the disk refused it.
    DetectionsDropped,
    /// A client's request count that made room for others within its window.
    SpikeCountsEvicted,
    /// What happened to connections of the data port.
    DataPort(PortEvent),
    /// What became of policy images.
    Image(ImageEvent),
}

/// What became of a policy image, or of a gateway's question for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageEvent {
    /// One was built.
    Built,
    /// None could be built.
    BuildFailed,
    /// A whole image was fetched.
    FetchedWhole,
    /// What was listed since was fetched.
    FetchedOverlay,
    /// There was nothing new to fetch.
    FetchedUnchanged,
    /// What was listed since an image was fetched that has been replaced, and there was no other one yet.
    FetchedReplaced,
    /// There was none yet to fetch.
    NotReady,
    /// A question with an absent or wrong sideband token.
    Authentication,
    /// A question that could not be read.
    Refused,
    /// The receipt of a batch brought what was listed since.
    ReceiptOverlay,
    /// The receipt of a batch said that the gateway's image has been replaced.
    ReceiptStale,
}

/// What happened to a connection of the data port, or to a call by what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortEvent {
    /// A connection over the limit of connections.
    ConnectionsRefused,
    /// A connection that could not be accepted.
    AcceptFailed,
    /// A TLS handshake that failed or took too long.
    TlsFailed,
    /// A certificate that cannot serve, so that the one before it goes on.
    CertificateRefused,
    /// A header section that was too slow.
    HeadTooSlow,
    /// A header section over a limit.
    HeadersTooLarge,
    /// What came was not HTTP.
    NotHttp,
    /// A body that was too slow.
    BodyTooSlow,
    /// A body over the limit.
    BodyTooLarge,
    /// A connection that was closed because nothing was asked.
    IdleClosed,
    /// A call that there was no room for.
    CallsShed,
    /// An HTTP/1.1 connection whose next call was not one for the fast path.
    FastPathLeft,
}

/// Counter groups and names in the order of `GET /v1/counters`.
const GROUPS: [(&str, &[Counter]); 9] = [
    (
        "request parsing errors",
        &[
            Counter::RequestsFailed,
            Counter::Request(RequestFault::BodyAbsent),
            Counter::Request(RequestFault::BodyMalformed),
            Counter::Request(RequestFault::SourceIpAbsent),
            Counter::Request(RequestFault::SourceIpInvalid),
            Counter::Request(RequestFault::MethodAbsent),
            Counter::Request(RequestFault::UrlAbsent),
            Counter::Request(RequestFault::HostAbsent),
            Counter::RequestAuthentication,
            Counter::RequestUnknown,
        ],
    ),
    (
        "response parsing errors",
        &[
            Counter::ResponsesFailed,
            Counter::Response(ResponseFault::BodyAbsent),
            Counter::Response(ResponseFault::BodyMalformed),
            Counter::Response(ResponseFault::CodeAbsent),
            Counter::ResponseAuthentication,
            Counter::Response(ResponseFault::CorrelationIdNotFound),
            Counter::ResponseUnknown,
        ],
    ),
    (
        "verdicts",
        &[
            Counter::Verdict(VerdictLabel::Allowed),
            Counter::Verdict(VerdictLabel::WouldBlock),
            Counter::Verdict(VerdictLabel::Blocked),
            Counter::Verdict(VerdictLabel::Unregistered),
            Counter::Verdict(VerdictLabel::Rejected),
            Counter::Verdict(VerdictLabel::Overloaded),
        ],
    ),
    (
        "correlation",
        &[
            Counter::CorrelationIdAbsent,
            Counter::CorrelationExpired,
            Counter::CorrelationEvicted,
            Counter::CorrelationReplaced,
        ],
    ),
    (
        "batches",
        &[
            Counter::BatchesAccepted,
            Counter::BatchAuthentication,
            Counter::BatchesRefused,
            Counter::BatchesOverloaded,
            Counter::RecordsAccepted,
            Counter::RecordsDuplicate,
            Counter::RecordsRejected,
            Counter::RecordsIncomplete,
            Counter::RecordsClamped,
        ],
    ),
    (
        "access log",
        &[
            Counter::LogLinesWritten,
            Counter::LogLinesDropped,
            Counter::LogLinesDroppedForBytes,
            Counter::LogLinesFailed,
            Counter::LogFilesRotated,
            Counter::LogRotationsFailed,
            Counter::LogFilesRemoved,
            Counter::LogArchiveFailures,
            Counter::StdoutLinesDropped,
            Counter::SyslogLinesDropped,
        ],
    ),
    (
        "data port",
        &[
            Counter::UnknownCalls,
            Counter::LenientAnswers,
            Counter::DataPort(PortEvent::ConnectionsRefused),
            Counter::DataPort(PortEvent::AcceptFailed),
            Counter::DataPort(PortEvent::TlsFailed),
            Counter::DataPort(PortEvent::CertificateRefused),
            Counter::DataPort(PortEvent::HeadTooSlow),
            Counter::DataPort(PortEvent::HeadersTooLarge),
            Counter::DataPort(PortEvent::NotHttp),
            Counter::DataPort(PortEvent::BodyTooSlow),
            Counter::DataPort(PortEvent::BodyTooLarge),
            Counter::DataPort(PortEvent::IdleClosed),
            Counter::DataPort(PortEvent::CallsShed),
            Counter::DataPort(PortEvent::FastPathLeft),
        ],
    ),
    (
        "real-time detections",
        &[
            Counter::Detected(Detection::Decoy(Lure::InContext)),
            Counter::Detected(Detection::Decoy(Lure::OutOfContext)),
            Counter::Detected(Detection::Pattern(Pattern::Protocol)),
            Counter::Detected(Detection::Pattern(Pattern::Method)),
            Counter::Detected(Detection::Pattern(Pattern::ContentType)),
            Counter::Detected(Detection::TokenMissing),
            Counter::Detected(Detection::ClientSpike),
            Counter::ListingsDropped,
            Counter::DetectionsDropped,
            Counter::SpikeCountsEvicted,
        ],
    ),
    (
        "policy image",
        &[
            Counter::Image(ImageEvent::Built),
            Counter::Image(ImageEvent::BuildFailed),
            Counter::Image(ImageEvent::FetchedWhole),
            Counter::Image(ImageEvent::FetchedOverlay),
            Counter::Image(ImageEvent::FetchedUnchanged),
            Counter::Image(ImageEvent::FetchedReplaced),
            Counter::Image(ImageEvent::NotReady),
            Counter::Image(ImageEvent::Authentication),
            Counter::Image(ImageEvent::Refused),
            Counter::Image(ImageEvent::ReceiptOverlay),
            Counter::Image(ImageEvent::ReceiptStale),
        ],
    ),
];

const SLOTS: usize = 96;

/// All counters; zero at the start.
#[derive(Debug)]
pub struct Counters([AtomicU64; SLOTS]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; SLOTS])
    }
}

impl Counters {
    /// Adds one.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `amount`.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(slot) = self.0.get(counter.slot()) {
            slot.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.0
            .get(counter.slot())
            .map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    /// Counts a refused question under each of its faults.
    pub fn request_refused(&self, faults: &[RequestFault]) {
        self.count(Counter::RequestsFailed);
        for fault in faults {
            self.count(Counter::Request(*fault));
        }
    }

    /// Counts a refused response call under its fault.
    pub fn response_refused(&self, fault: ResponseFault) {
        self.count(Counter::ResponsesFailed);
        self.count(Counter::Response(fault));
    }

    /// Every counter: groups, and in each the names with their counts.
    pub fn groups(&self) -> impl Iterator<Item = (&'static str, Vec<(String, u64)>)> {
        GROUPS.iter().map(|(name, counters)| {
            let named = counters
                .iter()
                .map(|counter| (counter.name(), self.get(*counter)));
            (*name, named.collect())
        })
    }

    /// Every counter by group and name, for the management port.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let group = |counters: &[Counter]| -> serde_json::Map<String, serde_json::Value> {
            let entry = |counter: &Counter| (counter.name(), self.get(*counter).into());
            counters.iter().map(entry).collect()
        };
        GROUPS
            .iter()
            .map(|(name, counters)| ((*name).to_owned(), group(counters).into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl Counter {
    /// The name within its group.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Request(fault) => fault.to_string(),
            Self::Response(fault) => fault.to_string(),
            Self::Verdict(label) => label.as_str().to_owned(),
            Self::RequestsFailed => "total requests failed".to_owned(),
            Self::RequestAuthentication => "request authentication failure".to_owned(),
            Self::RequestUnknown => "request error unknown".to_owned(),
            Self::ResponsesFailed => "total responses failed".to_owned(),
            Self::ResponseAuthentication => "response authentication failure".to_owned(),
            Self::ResponseUnknown => "response error unknown".to_owned(),
            Self::CorrelationIdAbsent => "request correlation id absent".to_owned(),
            Self::CorrelationExpired => "expired".to_owned(),
            Self::CorrelationEvicted => "evicted".to_owned(),
            Self::CorrelationReplaced => "replaced by the same id".to_owned(),
            Self::BatchesAccepted => "accepted".to_owned(),
            Self::BatchAuthentication => "authentication failure".to_owned(),
            Self::BatchesRefused => "refused".to_owned(),
            Self::BatchesOverloaded => "overloaded".to_owned(),
            Self::RecordsAccepted => "records accepted".to_owned(),
            Self::RecordsDuplicate => "records duplicate".to_owned(),
            Self::RecordsRejected => "records rejected".to_owned(),
            Self::RecordsIncomplete => "records incomplete".to_owned(),
            Self::RecordsClamped => "records clamped".to_owned(),
            Self::LogLinesWritten => "lines written".to_owned(),
            Self::LogLinesDropped => "lines dropped".to_owned(),
            Self::LogLinesDroppedForBytes => "lines dropped for bytes".to_owned(),
            Self::LogLinesFailed => "lines failed".to_owned(),
            Self::LogFilesRotated => "files rotated".to_owned(),
            Self::LogRotationsFailed => "rotations failed".to_owned(),
            Self::LogFilesRemoved => "files removed".to_owned(),
            Self::LogArchiveFailures => "archive failures".to_owned(),
            Self::StdoutLinesDropped => "stdout lines dropped".to_owned(),
            Self::SyslogLinesDropped => "syslog lines dropped".to_owned(),
            Self::UnknownCalls => "unknown calls".to_owned(),
            Self::LenientAnswers => "lenient answers".to_owned(),
            Self::Detected(Detection::Decoy(Lure::InContext)) => "decoy in context".to_owned(),
            Self::Detected(Detection::Decoy(Lure::OutOfContext)) => {
                "decoy out of context".to_owned()
            }
            Self::Detected(detection) => detection.as_str().to_owned(),
            Self::ListingsDropped => "listings dropped".to_owned(),
            Self::DetectionsDropped => "detections dropped".to_owned(),
            Self::SpikeCountsEvicted => "spike counts evicted".to_owned(),
            Self::DataPort(event) => event.name().to_owned(),
            Self::Image(event) => event.name().to_owned(),
        }
    }

    fn slot(self) -> usize {
        match self {
            Self::RequestsFailed => 0,
            Self::RequestAuthentication => 1,
            Self::RequestUnknown => 2,
            Self::ResponsesFailed => 3,
            Self::ResponseAuthentication => 4,
            Self::ResponseUnknown => 5,
            Self::CorrelationIdAbsent => 6,
            Self::CorrelationExpired => 7,
            Self::CorrelationEvicted => 8,
            Self::CorrelationReplaced => 9,
            Self::BatchesAccepted => 10,
            Self::BatchAuthentication => 11,
            Self::BatchesRefused => 12,
            Self::BatchesOverloaded => 13,
            Self::RecordsAccepted => 14,
            Self::RecordsDuplicate => 15,
            Self::RecordsRejected => 16,
            Self::RecordsIncomplete => 17,
            Self::RecordsClamped => 18,
            Self::LogLinesWritten => 19,
            Self::LogLinesDropped => 20,
            Self::LogLinesFailed => 21,
            Self::UnknownCalls => 22,
            Self::Request(RequestFault::BodyAbsent) => 23,
            Self::Request(RequestFault::BodyMalformed) => 24,
            Self::Request(RequestFault::SourceIpAbsent) => 25,
            Self::Request(RequestFault::SourceIpInvalid) => 26,
            Self::Request(RequestFault::MethodAbsent) => 27,
            Self::Request(RequestFault::UrlAbsent) => 28,
            Self::Request(RequestFault::HostAbsent) => 29,
            Self::Response(ResponseFault::BodyAbsent) => 30,
            Self::Response(ResponseFault::BodyMalformed) => 31,
            Self::Response(ResponseFault::CodeAbsent) => 32,
            Self::Response(ResponseFault::CorrelationIdNotFound) => 33,
            Self::Verdict(VerdictLabel::Allowed) => 34,
            Self::Verdict(VerdictLabel::WouldBlock) => 35,
            Self::Verdict(VerdictLabel::Blocked) => 36,
            Self::Verdict(VerdictLabel::Rejected) => 37,
            Self::Verdict(VerdictLabel::Unregistered) => 38,
            Self::Verdict(VerdictLabel::Overloaded) => 39,
            Self::LenientAnswers => 40,
            Self::LogFilesRotated => 41,
            Self::LogRotationsFailed => 42,
            Self::LogFilesRemoved => 43,
            Self::LogArchiveFailures => 44,
            Self::StdoutLinesDropped => 45,
            Self::SyslogLinesDropped => 46,
            Self::LogLinesDroppedForBytes => 47,
            Self::Detected(Detection::Decoy(Lure::InContext)) => 48,
            Self::Detected(Detection::Decoy(Lure::OutOfContext)) => 49,
            Self::Detected(Detection::Pattern(Pattern::Protocol)) => 50,
            Self::Detected(Detection::Pattern(Pattern::Method)) => 51,
            Self::Detected(Detection::Pattern(Pattern::ContentType)) => 52,
            Self::Detected(Detection::TokenMissing) => 53,
            Self::Detected(Detection::ClientSpike) => 54,
            Self::ListingsDropped => 55,
            Self::SpikeCountsEvicted => 56,
            Self::DetectionsDropped => 57,
            Self::DataPort(event) => event.slot(),
            Self::Image(event) => event.slot(),
        }
    }
}

impl PortEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::ConnectionsRefused => "connections over the limit",
            Self::AcceptFailed => "accept failed",
            Self::TlsFailed => "tls handshakes failed",
            Self::CertificateRefused => "certificates refused",
            Self::HeadTooSlow => "headers too slow",
            Self::HeadersTooLarge => "headers too large",
            Self::NotHttp => "not http",
            Self::BodyTooSlow => "bodies too slow",
            Self::BodyTooLarge => "bodies too large",
            Self::IdleClosed => "idle connections closed",
            Self::CallsShed => "calls shed",
            Self::FastPathLeft => "fast path left",
        }
    }

    const fn slot(self) -> usize {
        match self {
            Self::ConnectionsRefused => 80,
            Self::AcceptFailed => 81,
            Self::TlsFailed => 82,
            Self::CertificateRefused => 83,
            Self::HeadTooSlow => 84,
            Self::HeadersTooLarge => 85,
            Self::NotHttp => 86,
            Self::BodyTooSlow => 87,
            Self::BodyTooLarge => 88,
            Self::IdleClosed => 89,
            Self::CallsShed => 90,
            Self::FastPathLeft => 91,
        }
    }
}

impl ImageEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::BuildFailed => "builds failed",
            Self::FetchedWhole => "fetched whole",
            Self::FetchedOverlay => "fetched overlay",
            Self::FetchedUnchanged => "fetched unchanged",
            Self::FetchedReplaced => "fetched overlay of a replaced image",
            Self::NotReady => "not ready",
            Self::Authentication => "authentication failure",
            Self::Refused => "refused",
            Self::ReceiptOverlay => "receipts with overlay",
            Self::ReceiptStale => "receipts of another build",
        }
    }

    const fn slot(self) -> usize {
        match self {
            Self::Built => 60,
            Self::BuildFailed => 61,
            Self::FetchedWhole => 62,
            Self::FetchedOverlay => 63,
            Self::FetchedUnchanged => 64,
            Self::NotReady => 65,
            Self::Authentication => 66,
            Self::Refused => 67,
            Self::ReceiptOverlay => 68,
            Self::ReceiptStale => 69,
            Self::FetchedReplaced => 70,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_slot_and_is_shown() {
        let counters = Counters::default();
        let all: Vec<Counter> = GROUPS
            .iter()
            .flat_map(|(_, group)| *group)
            .copied()
            .collect();
        for (amount, counter) in (1..).zip(&all) {
            counters.add(*counter, amount);
        }
        for (amount, counter) in (1..).zip(&all) {
            assert_eq!(counters.get(*counter), amount, "{counter:?}");
        }
        let shown = counters.to_json();
        assert_eq!(
            shown["request parsing errors"]["request source ip absent"],
            4
        );
    }
}
