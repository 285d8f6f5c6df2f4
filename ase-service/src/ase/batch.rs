//! A batch of finished transactions: every line is dealt with, or none is taken.
//!
//! Room in the access log's queue is reserved for all new records before one is taken, and a record is remembered in the same
//! step, so a gateway may send a batch again as often as it likes. What is acknowledged is in the access log; a batch that the disk
//! refuses comes again, and then only its lines count. The effects of a decision come from the record only where no question asked
//! for it before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ase_core::json;
use ase_core::metadata::{RequestFault, RequestReport};
use ase_core::time::UnixMillis;
use ase_core::transaction::wire::read_record;
use ase_core::transaction::{
    Course, End, FailureClass, GatewayDecision, Mode, Transaction, VerdictLabel,
};
use ase_core::wire;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::answer::Answer;
use super::{Ase, Call, lock};
use crate::access_log::{Coming, Entry, Kept, NoRoom};
use crate::counters::Counter;
use crate::engine_host::Observed;
use crate::exchange::{Ending, Finding, Line, ReportMode, RequestFacts, RequestHalf, Started};
use crate::fingerprint::{Fingerprint, Standing};
use crate::policy_image::Have;
use crate::real_time::Deed;

/// A gateway's time further back than this is not believed: longer than a gateway retries a batch.
const MAX_PAST: Duration = Duration::from_secs(600);
/// A gateway's time further ahead than this is not believed.
const MAX_FUTURE: Duration = Duration::from_secs(5);
/// Most rejected lines that the answer names; all are counted.
const MAX_NAMED_LINES: usize = 100;
/// Longest text of a fault in the answer, in bytes.
const MAX_FAULT_BYTES: usize = 200;
/// Most lines of one batch that are looked at; a gateway closes a batch long before.
const MAX_LINES: usize = 200_000;
/// Longest wait of a batch for the disk; a gateway waits 5 s for the answer by default.
const DISK_PATIENCE: Duration = Duration::from_secs(2);

/// The lines of one batch, read.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    rejected: u64,
    /// The first of the rejected lines.
    named: Vec<(usize, String)>,
    incomplete: u64,
    clamped: u64,
}

/// One record, read.
struct Record {
    id: Fingerprint,
    line: Line,
    /// What it asks for beside its line; `None` when its question has asked for it.
    deed: Option<Deed>,
    /// What the engine is told.
    observed: Option<Box<Observed>>,
}

/// What has become of a batch so far.
enum Taken {
    /// An answer that waits for nothing.
    Answered(Answer),
    /// The report for the gateway, if the disk takes the lines.
    Waiting(Vec<u8>, Outstanding),
}

/// What the disk has not taken yet.
struct Outstanding {
    /// Told of the lines of this batch, after those of all batches before it.
    kept: oneshot::Receiver<Kept>,
    /// Records of batches before this one.
    duplicates: Vec<Fingerprint>,
}

impl Ase {
    /// Answers `POST /ase/batch`. A large one keeps a core busy for a while, so it is read where no question waits behind it. What is
    /// acknowledged survives the end of this process; a gateway that is told to come again sends the same ids, so nothing is doubled.
    ///
    /// `have` is the policy image that the gateway holds; the receipt brings what was listed since.
    pub async fn batch(self: &Arc<Self>, call: &Call, have: Option<Have>, body: Bytes) -> Answer {
        let (ase, call) = (Arc::clone(self), call.clone());
        // The semaphore is never closed.
        let turn = self.batch_turns.acquire().await;
        let taken = tokio::task::spawn_blocking(move || ase.take_batch(&call, &body)).await;
        drop(turn);
        let (report, outstanding) = match taken {
            Ok(Taken::Answered(answer)) => return answer,
            Ok(Taken::Waiting(report, outstanding)) => (report, outstanding),
            Err(error) => {
                tracing::error!(%error, "a batch could not be read to its end");
                return self.overloaded();
            }
        };
        match tokio::time::timeout(DISK_PATIENCE, outstanding.kept).await {
            Ok(Ok(Kept::Whole)) if self.are_logged(&outstanding.duplicates) => {
                self.receipt(report, have).await
            }
            Ok(Ok(Kept::Whole | Kept::Nothing) | Err(_)) | Err(_) => self.overloaded(),
        }
    }

    fn take_batch(&self, call: &Call, body: &[u8]) -> Taken {
        if self.log.free() == 0 {
            return Taken::Answered(self.overloaded());
        }
        if body.trim_ascii().is_empty() {
            self.counters.count(Counter::BatchesRefused);
            return Taken::Answered(Answer::malformed(&[RequestFault::BodyAbsent]));
        }
        if body.split(|&byte| byte == b'\n').nth(MAX_LINES).is_some() {
            self.counters.count(Counter::BatchesRefused);
            return Taken::Answered(Answer::TooLarge);
        }
        let Batch {
            records,
            rejected,
            named,
            incomplete,
            clamped,
        } = self.read(call, body);
        let total = records.len();
        let outstanding = match self.take(records, call.now) {
            Ok(outstanding) => outstanding,
            Err(NoRoom::Full(_)) => return Taken::Answered(self.overloaded()),
            Err(NoRoom::Never) => {
                self.counters.count(Counter::BatchesRefused);
                return Taken::Answered(Answer::TooLarge);
            }
        };
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let duplicates = outstanding.duplicates.len();
        let accepted = total.saturating_sub(duplicates);
        self.counters.count(Counter::BatchesAccepted);
        self.counters.add(Counter::RecordsAccepted, wide(accepted));
        self.counters
            .add(Counter::RecordsDuplicate, wide(duplicates));
        self.counters.add(Counter::RecordsRejected, rejected);
        self.counters.add(Counter::RecordsIncomplete, incomplete);
        self.counters.add(Counter::RecordsClamped, clamped);
        let mut report = Vec::new();
        json::object(&mut report, |o| {
            o.number("accepted", wide(accepted));
            o.number("duplicates", wide(duplicates));
            o.number("rejected_count", rejected);
            o.array("rejected", |a| {
                for (line, fault) in &named {
                    a.object(|r| {
                        r.number("line", wide(*line));
                        r.text("fault", fault.as_bytes());
                    });
                }
            });
        });
        Taken::Waiting(report, outstanding)
    }

    /// Whether the lines of these records, which came with other batches, are on the disk as far as it was asked.
    fn are_logged(&self, records: &[Fingerprint]) -> bool {
        let seen = lock(&self.seen);
        records
            .iter()
            .all(|id| seen.standing(id) != Standing::Refused)
    }

    fn overloaded(&self) -> Answer {
        self.counters.count(Counter::BatchesOverloaded);
        Answer::Overloaded
    }

    fn read(&self, call: &Call, body: &[u8]) -> Batch {
        let mut batch = Batch::default();
        for (number, line) in (1..).zip(body.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if line.len() > self.limits.body_bytes {
                let fault = format!("is longer than {} bytes", self.limits.body_bytes);
                batch.reject(number, fault);
                continue;
            }
            match read_record(&wire::body_text(line)) {
                Ok(transaction) => {
                    let id = transaction.course.id.as_str().as_bytes();
                    let id = self.fingerprinter.of(&call.gateway, id);
                    let record = self.record(call, id, &transaction, &mut batch);
                    batch.records.push(record);
                }
                Err(fault) => batch.reject(number, fault.to_string()),
            }
        }
        batch
    }

    fn record(
        &self,
        call: &Call,
        id: Fingerprint,
        transaction: &Transaction<'_>,
        batch: &mut Batch,
    ) -> Record {
        let Transaction {
            course,
            request,
            response,
        } = transaction;
        let started = clamped(course.started, call.now);
        let report = RequestReport::of(request).ok();
        if report.is_none() {
            batch.incomplete = batch.incomplete.saturating_add(1);
        }
        let snapshot = self.snapshot.load();
        let deed = report
            .as_ref()
            .map(|report| self.decide_and_identify(report, &snapshot, (call.now, started.at())));
        let (deed, identified) = deed.unzip();
        let found = deed
            .as_ref()
            .zip(identified)
            .map(|(deed, identified)| Finding {
                decision: &deed.decision,
                identified,
            });
        match started {
            Started::At(_) => {}
            Started::Clamped(_) => batch.clamped = batch.clamped.saturating_add(1),
        }
        let own_label = || {
            found
                .as_ref()
                .map(|found| unasked(found.decision.verdict.label()))
        };
        let facts = RequestFacts {
            started,
            id: course.id.as_str(),
            gateway: call.gateway.as_str(),
            mode: ReportMode::Batch(course.mode),
            metadata: request,
            decision: course.decision,
            verdict: course.verdict.or_else(own_label),
            found: found.as_ref(),
        };
        // The engine and the rules deal with the record of its end: then there is all to judge by, and nothing to judge twice.
        let is_open = course.end == End::Open;
        let mut observed = report
            .as_ref()
            .filter(|_| !is_open)
            .and_then(|report| self.engine.begun(report, &facts));
        if let Some(observed) = &mut observed {
            observed.end(response.as_ref(), Some(course.duration));
        }
        let line = RequestHalf::of(&facts).finish(&Ending {
            outcome: course.end,
            response: response.as_ref(),
            duration: Some(course.duration),
            asked_for: course.asked_for,
        });
        drop(found);
        let deed = match question_of(course) {
            Question::Asked => None,
            Question::NotAsked => deed.filter(|_| !is_open),
        };
        Record {
            id,
            line,
            deed,
            observed,
        }
    }

    /// Queues every record that the log does not have, carries out the effects of those that are new, and says which are neither.
    fn take(&self, records: Vec<Record>, now: UnixMillis) -> Result<Outstanding, NoRoom> {
        let mut seen = lock(&self.seen);
        let mut of_batch = HashSet::with_capacity(records.len());
        let (mut ids, mut entries, mut deeds) = (Vec::new(), Vec::new(), Vec::new());
        let mut exchanges = Vec::new();
        let mut duplicates = Vec::new();
        let mut bytes = 0_usize;
        for record in records {
            let Record { id, line, deed, .. } = record;
            let coming = match seen.standing(&id) {
                _ if !of_batch.insert(id) => None,
                Standing::New => Some(Coming::First),
                Standing::Refused => Some(Coming::Again),
                Standing::Logged => None,
            };
            let Some(coming) = coming else {
                duplicates.push(id);
                continue;
            };
            bytes = bytes.saturating_add(line.as_bytes().len());
            match coming {
                Coming::First => {
                    deeds.extend(deed);
                    exchanges.extend(record.observed.map(|observed| *observed));
                }
                Coming::Again => {}
            }
            ids.push(id);
            entries.push(Entry { line, coming });
        }
        let room = self.log.reserve(entries.len(), bytes)?;
        for id in &ids {
            seen.logged(*id);
        }
        let (told, kept) = oneshot::channel();
        let memory = Arc::clone(&self.seen);
        // Under the lock, so that a batch with the same records is told after this one.
        room.log(entries, move |kept| {
            match kept {
                Kept::Whole => {}
                Kept::Nothing => {
                    let mut seen = lock(&memory);
                    for id in ids {
                        seen.refused(id);
                    }
                }
            }
            // Whoever asked may have been answered before.
            let _left = told.send(kept);
        });
        drop(seen);
        self.engine.observe(exchanges);
        let snapshot = self.snapshot.load();
        for deed in deeds {
            // Nobody waits: the request was answered long ago.
            drop(self.real_time.carry_out(&deed, &snapshot, now));
        }
        Ok(Outstanding { kept, duplicates })
    }
}

/// Whether ASE has decided on a record's request before, so that its effects have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Asked,
    NotAsked,
}

/// A question that may have reached ASE counts as asked: what it missed comes with the client's next one.
fn question_of(course: &Course) -> Question {
    match (course.mode, course.decision) {
        (Mode::Async, _)
        | (
            Mode::Sync | Mode::Shadow | Mode::Local,
            GatewayDecision::Async | GatewayDecision::Local,
        ) => Question::NotAsked,
        (
            Mode::Sync | Mode::Shadow | Mode::Local,
            GatewayDecision::FailOpen(class)
            | GatewayDecision::FailedClosed(class)
            | GatewayDecision::ShadowFailedClosed(class),
        ) => match class {
            FailureClass::Unreachable
            | FailureClass::Undecidable
            | FailureClass::AseRejected
            | FailureClass::Ase5xx
            | FailureClass::NotDispatched
            | FailureClass::Misconfigured
            | FailureClass::CoolingDown => Question::NotAsked,
            FailureClass::Timeout | FailureClass::BadReply | FailureClass::ResetAfterHeaders => {
                Question::Asked
            }
        },
        (
            Mode::Sync | Mode::Shadow | Mode::Local,
            GatewayDecision::Verdict
            | GatewayDecision::Unregistered
            | GatewayDecision::Denied
            | GatewayDecision::UnregisteredBlocked
            | GatewayDecision::ShadowDenied
            | GatewayDecision::ShadowUnregisteredBlocked
            | GatewayDecision::Undecided,
        ) => Question::Asked,
    }
}

impl Batch {
    fn reject(&mut self, line: usize, mut fault: String) {
        self.rejected = self.rejected.saturating_add(1);
        if self.named.len() < MAX_NAMED_LINES {
            fault.truncate(fault.floor_char_boundary(MAX_FAULT_BYTES));
            self.named.push((line, fault));
        }
    }
}

/// What ASE would have said to a gateway that did not get its answer: such a request was not blocked by a verdict.
fn unasked(label: VerdictLabel) -> VerdictLabel {
    match label {
        VerdictLabel::Blocked => VerdictLabel::WouldBlock,
        VerdictLabel::Allowed
        | VerdictLabel::WouldBlock
        | VerdictLabel::Rejected
        | VerdictLabel::Unregistered
        | VerdictLabel::Overloaded => label,
    }
}

fn clamped(started: UnixMillis, now: UnixMillis) -> Started {
    let past = u64::try_from(MAX_PAST.as_millis()).unwrap_or(u64::MAX);
    let earliest = UnixMillis(now.0.saturating_sub(past));
    let latest = now.after(MAX_FUTURE);
    if started < earliest {
        Started::Clamped(earliest)
    } else if started > latest {
        Started::Clamped(latest)
    } else {
        Started::At(started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_clock_is_believed_within_its_bounds_only() {
        let now = UnixMillis(10_000_000);
        for (started, expected) in [
            (9_400_000, Started::At(UnixMillis(9_400_000))),
            (9_399_999, Started::Clamped(UnixMillis(9_400_000))),
            (10_005_000, Started::At(UnixMillis(10_005_000))),
            (10_005_001, Started::Clamped(UnixMillis(10_005_000))),
            (u64::MAX, Started::Clamped(UnixMillis(10_005_000))),
        ] {
            assert_eq!(clamped(UnixMillis(started), now), expected, "{started}");
        }
    }
}
