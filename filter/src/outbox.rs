//! The records that wait for ASE: bounded in bytes and number, sent in batches (or call by call), tried again within bounds.
//!
//! Every record is accounted for: queued = delivered + dropped (each with a reason) + waiting. Only the root context sends: a reply to a stream that
//! is gone is lost. Its clock is the sum of ticks, so back-off needs nothing from the host and is as coarse as a tick.

use std::collections::VecDeque;
use std::time::Duration;

use ase_core::transaction::wire::{Record, write_record};
use ase_core::transaction::{FailureClass, RecordId};

use crate::exchange::{Answer, CalloutToken, DispatchRefusal, Outcome};
use crate::site::Site;

mod parcel;
mod receipt;
mod tally;

pub use parcel::{Call, Endpoint};
pub use receipt::{News, Receipt};
pub use tally::{DropReason, Tally};

use parcel::{Content, Parcel};

/// Most records that wait at once, whatever their size.
pub const MAX_RECORDS: usize = 100_000;

/// Wait after the first failure; four times as long after each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(250);
/// Longest wait of the filter's own choice.
const MAX_BACK_OFF: Duration = Duration::from_secs(10);
/// Longest wait that ASE can ask for.
const MAX_RETRY_AFTER_SECS: u32 = 60;
/// Longest wait while the root context is ending: with the usual attempts an ASE that is away for a quarter of a minute loses nothing.
const MAX_DRAINING_WAIT: Duration = Duration::from_secs(1);

/// Bounds of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// A batch is closed at this size; only a single larger record makes a larger batch.
    pub batch_bytes: usize,
    /// Records over this are dropped.
    pub queue_bytes: usize,
    /// Calls under way at once.
    pub in_flight: usize,
    /// Tries per call.
    pub attempts: u32,
}

/// The halves of an exchange that `per_call` delivery has to send.
#[derive(Clone, Debug)]
pub enum Halves {
    /// ASE has not seen the request: first the request, then the response, if there was one.
    RequestThenResponse(Vec<u8>, Option<Vec<u8>>),
    /// This ASE has seen the request as a question.
    Response(Vec<u8>, Site),
}

/// Where the outbox is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// The root context is ending: waits are short, and what fails for good counts as lost by shutdown.
    Draining,
    /// Nobody would send any more.
    Closed,
}

/// The records that wait for ASE.
#[derive(Debug)]
pub struct Outbox {
    limits: OutboxLimits,
    life: Life,
    open: Vec<u8>,
    open_records: u32,
    waiting: VecDeque<Parcel>,
    under_way: Vec<(CalloutToken, Parcel)>,
    spare: Vec<Vec<u8>>,
    held_bytes: usize,
    held_records: usize,
    clock: Duration,
    hold_until: Duration,
    tally: Tally,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            life: Life::Running,
            open: Vec::new(),
            open_records: 0,
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            spare: Vec::new(),
            held_bytes: 0,
            held_records: 0,
            clock: Duration::ZERO,
            hold_until: Duration::ZERO,
            tally: Tally::default(),
        }
    }

    /// Takes other bounds; what waits already stays.
    pub fn set_limits(&mut self, limits: OutboxLimits) {
        self.limits = limits;
    }

    /// Takes a finished exchange for batch delivery.
    pub fn record(&mut self, record: &Record<'_>) {
        self.tally.queued += 1;
        let start = self.open.len();
        write_record(&mut self.open, record);
        let size = self.open.len().saturating_sub(start);
        if let Err(reason) = self.room_for(size) {
            self.open.truncate(start);
            self.tally.drop_records(reason, 1);
            return;
        }
        if start > 0 && self.open.len() > self.limits.batch_bytes {
            let mut next = self.spare.pop().unwrap_or_default();
            next.extend_from_slice(self.open.get(start..).unwrap_or_default());
            self.open.truncate(start);
            self.close_batch();
            self.open = next;
        }
        self.open_records += 1;
        self.hold(size);
        if self.open.len() >= self.limits.batch_bytes {
            self.close_batch();
        }
    }

    /// Takes a finished exchange for delivery call by call.
    pub fn calls(&mut self, id: &RecordId, halves: Halves) {
        self.tally.queued += 1;
        let parcel = Parcel::of_halves(id, halves);
        match self.room_for(parcel.bytes()) {
            Ok(()) => {
                self.hold(parcel.bytes());
                self.waiting.push_back(parcel);
            }
            Err(reason) => self.tally.drop_records(reason, 1),
        }
    }

    /// Time goes on: `elapsed` since the last tick. What has gathered becomes a batch, unless closed batches wait already.
    pub fn tick(&mut self, elapsed: Duration) {
        self.clock = self.clock.saturating_add(elapsed);
        if self.waiting.is_empty() {
            self.close_batch();
        }
    }

    /// The root context is ending: everything that waits is sent at once, and again after short waits only.
    pub fn drain(&mut self) {
        if self.life == Life::Running {
            self.life = Life::Draining;
            self.hold_until = Duration::ZERO;
        }
        self.close_batch();
    }

    /// Nobody sends any more: whatever waits or comes is lost, and counted.
    pub fn close(&mut self) {
        self.drain();
        self.life = Life::Closed;
        let under_way = std::mem::take(&mut self.under_way)
            .into_iter()
            .map(|(_, parcel)| parcel);
        let all: Vec<Parcel> = std::mem::take(&mut self.waiting)
            .into_iter()
            .chain(under_way)
            .collect();
        for parcel in all {
            self.lose(parcel, DropReason::Shutdown);
        }
    }

    /// Whether the root context is ending and still has something to send.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.life == Life::Draining
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held_records == 0
    }

    /// How many records wait or are under way.
    #[must_use]
    pub fn held_records(&self) -> usize {
        self.held_records
    }

    /// Whether at most half of its room is taken.
    #[must_use]
    pub fn is_half_empty(&self) -> bool {
        self.held_bytes <= self.limits.queue_bytes / 2 && self.held_records <= MAX_RECORDS / 2
    }

    /// Sends what is due through `send`, as far as the bounds allow.
    pub fn dispatch(
        &mut self,
        mut send: impl FnMut(&Call<'_>) -> Result<CalloutToken, DispatchRefusal>,
    ) {
        if self.life == Life::Draining {
            self.close_batch();
        }
        while self.under_way.len() < self.limits.in_flight && self.may_send() {
            let Some(mut parcel) = self.waiting.pop_front() else {
                return;
            };
            parcel.attempts += 1;
            match send(&parcel.call()) {
                Ok(token) => self.under_way.push((token, parcel)),
                Err(refusal) => self.failed(parcel, refusal.class(), None),
            }
        }
    }

    /// A call was answered by the ASE at `site`. `receipt` is ASE's account of a batch; without one a 200 does not tell that ASE has it, and it comes again. An answer to no
    /// call of the outbox is ignored.
    pub fn answered(
        &mut self,
        token: CalloutToken,
        site: Site,
        answer: &Answer,
        receipt: Option<Receipt>,
    ) {
        let Some(index) = self.under_way.iter().position(|(known, _)| *known == token) else {
            return;
        };
        let (_, parcel) = self.under_way.swap_remove(index);
        let rejected = match (&parcel.content, answer.outcome(), receipt) {
            (_, Outcome::Failure(class), _) => {
                return self.failed(parcel, class, answer.retry_after_secs());
            }
            (Content::Batch { .. }, Outcome::Pass, Some(receipt)) => receipt.rejected,
            (Content::Batch { .. }, Outcome::Pass, None)
            | (Content::Batch { .. } | Content::Response, Outcome::Block, _) => {
                return self.failed(parcel, FailureClass::BadReply, None);
            }
            (Content::Batch { .. } | Content::Response, Outcome::Unregistered, _) => {
                return self.failed(parcel, FailureClass::Ase5xx, answer.retry_after_secs());
            }
            (Content::Response, Outcome::Pass, _)
            | (
                Content::Request { .. },
                Outcome::Pass | Outcome::Block | Outcome::Unregistered,
                _,
            ) => 0,
        };
        self.hold_until = Duration::ZERO;
        // ASE keeps nothing about an API that it does not know, so the response would be refused.
        let response_is_wanted = answer.outcome() != Outcome::Unregistered;
        let bytes = parcel.bytes();
        match parcel.delivered(site, response_is_wanted) {
            Ok(response) => {
                self.held_bytes = self
                    .held_bytes
                    .saturating_sub(bytes)
                    .saturating_add(response.bytes());
                self.waiting.push_front(response);
            }
            Err(parcel) => {
                let rejected = rejected.min(parcel.records());
                self.tally.delivered += u64::from(parcel.records() - rejected);
                self.tally
                    .drop_records(DropReason::Rejected, u64::from(rejected));
                self.release(parcel);
            }
        }
    }

    /// What happened since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn room_for(&self, bytes: usize) -> Result<(), DropReason> {
        if self.life == Life::Closed {
            Err(DropReason::Shutdown)
        } else if bytes > self.limits.queue_bytes {
            Err(DropReason::TooLarge)
        } else if self.held_bytes.saturating_add(bytes) > self.limits.queue_bytes
            || self.held_records >= MAX_RECORDS
        {
            Err(DropReason::QueueFull)
        } else {
            Ok(())
        }
    }

    fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
        self.held_records += 1;
    }

    fn may_send(&self) -> bool {
        match self.life {
            Life::Running | Life::Draining => self.clock >= self.hold_until,
            Life::Closed => false,
        }
    }

    fn close_batch(&mut self) {
        if self.open_records == 0 {
            return;
        }
        let next = self.spare.pop().unwrap_or_default();
        let body = std::mem::replace(&mut self.open, next);
        let records = std::mem::take(&mut self.open_records);
        self.waiting.push_back(Parcel::of_batch(body, records));
    }

    fn failed(&mut self, parcel: Parcel, class: FailureClass, retry_after_secs: Option<u32>) {
        self.tally.fail(class);
        match class {
            FailureClass::Undecidable | FailureClass::AseRejected => {
                return self.lose(parcel, DropReason::Rejected);
            }
            FailureClass::Timeout
            | FailureClass::Unreachable
            | FailureClass::BadReply
            | FailureClass::ResetAfterHeaders
            | FailureClass::Ase5xx
            | FailureClass::NotDispatched
            | FailureClass::Misconfigured
            | FailureClass::CoolingDown => {}
        }
        let asked_for = Duration::from_secs(u64::from(
            retry_after_secs.unwrap_or(0).min(MAX_RETRY_AFTER_SECS),
        ));
        let longest = match self.life {
            Life::Running => Duration::MAX,
            Life::Draining | Life::Closed => MAX_DRAINING_WAIT,
        };
        let wait = back_off(parcel.attempts).max(asked_for).min(longest);
        self.hold_until = self.hold_until.max(self.clock.saturating_add(wait));
        if parcel.attempts < self.limits.attempts {
            self.waiting.push_front(parcel);
        } else {
            let reason = match self.life {
                Life::Running => DropReason::Attempts,
                Life::Draining | Life::Closed => DropReason::Shutdown,
            };
            self.lose(parcel, reason);
        }
    }

    fn lose(&mut self, parcel: Parcel, reason: DropReason) {
        self.tally.drop_records(reason, u64::from(parcel.records()));
        self.release(parcel);
    }

    /// Forgets a parcel and keeps its buffer for a later batch.
    fn release(&mut self, parcel: Parcel) {
        self.held_bytes = self.held_bytes.saturating_sub(parcel.bytes());
        let records = usize::try_from(parcel.records()).unwrap_or(usize::MAX);
        self.held_records = self.held_records.saturating_sub(records);
        let mut buffer = parcel.into_body();
        if self.spare.len() <= self.limits.in_flight
            && buffer.capacity() <= self.limits.batch_bytes.saturating_mul(2)
        {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

fn back_off(attempts: u32) -> Duration {
    let factor = 4_u32.saturating_pow(attempts.saturating_sub(1).min(9));
    FIRST_BACK_OFF.saturating_mul(factor).min(MAX_BACK_OFF)
}

#[cfg(test)]
mod tests;
