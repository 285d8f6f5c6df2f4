//! The way of a finished exchange: kept, written as a record, sent with others, answered, counted.

use ase_core::transaction::Course;
use ase_core::transaction::wire::Record;

use super::{About, Shared};
use crate::config::{Config, DeliveryKind};
use crate::counters::Counter;
use crate::exchange::{Answer, CalloutToken, DispatchRefusal, Outcome};
use crate::host_profile::HostCall;
use crate::kept::Kept;
use crate::local::Named;
use crate::outbox::{Call, Outbox, Receipt};
use crate::plugin::complaint::{cause, level_of};
use crate::plugin::halves::halves_to_send;
use crate::plugin::{callout, image};
use crate::site::Site;
use crate::unwritten::Finished;

impl Shared {
    /// Takes a finished exchange, whose record is written when there are some more of them, by the next tick at the latest.
    pub(in super::super) fn report(&self, finished: Finished) {
        let is_time = self.with(&self.unwritten, |unwritten| unwritten.push(finished));
        if self.metrics.no_tick_comes() {
            self.write_records();
            self.count_outbox();
        } else if is_time == Some(true) {
            self.write_records();
        }
    }

    /// Takes the record of an exchange that is still open.
    pub(in super::super) fn report_open(
        &self,
        course: &Course,
        kept: &Kept,
        site: Site,
        config: &Config,
    ) {
        kept.record(course, None, config, |record| {
            self.post(record, site, config)
        });
    }

    /// Whether records of exchanges that are still open have room: those of finished ones come first.
    pub(in super::super) fn has_room_for_open_ones(&self) -> bool {
        self.with(&self.outbox, |outbox| outbox.is_half_empty())
            .unwrap_or(false)
    }

    pub(super) fn write_records(&self) {
        self.with(&self.unwritten, |unwritten| {
            unwritten.write(|record, site, config| self.post(record, site, config));
        });
    }

    fn post(&self, record: &Record<'_>, site: Site, config: &Config) {
        self.with(&self.outbox, |outbox| match config.delivery().kind {
            DeliveryKind::Batch => outbox.record(record),
            DeliveryKind::PerCall => {
                if let Some(halves) = halves_to_send(record, site) {
                    outbox.calls(&record.course.id, halves);
                }
            }
        });
    }

    pub(super) fn records_waiting(&self) -> usize {
        self.with(&self.outbox, |outbox| outbox.held_records())
            .unwrap_or(0)
    }

    /// A call of the root context was answered.
    pub(in super::super) fn delivery_answered(
        &self,
        token: CalloutToken,
        answer: &Answer,
        body: &[u8],
    ) {
        let Some(config) = self.config() else {
            return;
        };
        let Some((site, named)) = self.sent_to(token) else {
            // The answer to a call that was given up.
            return;
        };
        let mut receipt = Receipt::parse(body);
        let news = receipt
            .as_mut()
            .map(|receipt| std::mem::take(&mut receipt.image));
        let (rest, now) = (config.breaker().rest, self.last_moment.get());
        self.with_breaker(|breaker| match answer.outcome() {
            Outcome::Failure(class) => breaker.sites().failed(site, class, rest, now),
            Outcome::Pass | Outcome::Block | Outcome::Unregistered => {
                breaker.sites().answered(site)
            }
        });
        self.with(&self.outbox, |outbox| {
            outbox.answered(token, site, answer, receipt)
        });
        if let (Outcome::Pass, Some((news, named))) = (answer.outcome(), news.zip(named)) {
            image::heard(self, &config, &news, named, site);
        }
        if config.host().offers(HostCall::CallFromAnswer) {
            self.send(&config);
        } else {
            self.count_outbox();
        }
    }

    /// The root context is to end. Whether it may do so at once.
    pub(in super::super) fn drain(&self) -> bool {
        let Some(config) = self.config() else {
            return true;
        };
        image::farewell(self, &config);
        self.write_records();
        self.with(&self.outbox, Outbox::drain);
        self.send(&config);
        let empty = self
            .with(&self.outbox, |outbox| outbox.is_empty())
            .unwrap_or(true);
        if empty {
            self.close();
        }
        empty
    }

    /// Whether the end of the root context waited for the outbox, which is empty at last. True once.
    pub(in super::super) fn drained(&self) -> bool {
        self.write_records();
        let drained = self
            .with(&self.outbox, |outbox| {
                outbox.is_draining() && outbox.is_empty()
            })
            .unwrap_or(false);
        if drained {
            self.close();
        }
        drained
    }

    fn close(&self) {
        self.with(&self.outbox, Outbox::close);
        self.count_outbox();
        self.metrics.last_tick(self.records_waiting());
    }

    pub(super) fn send(&self, config: &Config) {
        self.with(&self.outbox, |outbox| {
            outbox.dispatch(|call| self.deliver(config, call))
        });
        self.count_outbox();
    }

    fn deliver(&self, config: &Config, call: &Call<'_>) -> Result<CalloutToken, DispatchRefusal> {
        let site = call.site.unwrap_or_else(|| self.choose_site(config));
        let named = self.image(|local| local.named(self.last_moment.get()));
        let image = named.flatten().map(|named| named.image);
        let sent = callout::deliver(config, self.context, site, call, image);
        match sent {
            Ok(token) => {
                self.with(&self.sent_to, |sent_to| {
                    sent_to.push((token, site, named.flatten()))
                });
            }
            Err(refusal) => self.site_failed(site, refusal.class(), config),
        }
        sent
    }

    /// Where a call of the outbox has gone, once.
    fn sent_to(&self, token: CalloutToken) -> Option<(Site, Option<Named>)> {
        let found = self.with(&self.sent_to, |sent_to| {
            let index = sent_to.iter().position(|(known, ..)| *known == token)?;
            let (_, site, named) = sent_to.swap_remove(index);
            Some((site, named))
        });
        found.flatten()
    }

    fn count_outbox(&self) {
        let Some(tally) = self.with(&self.outbox, Outbox::take_tally) else {
            return;
        };
        self.metrics.count(Counter::RecordsQueued, tally.queued);
        self.metrics
            .count(Counter::RecordsDelivered, tally.delivered);
        for (reason, records) in tally.dropped() {
            self.metrics.count(Counter::RecordsDropped(reason), records);
        }
        let Some(config) = self.config() else {
            return;
        };
        for (class, times) in tally.failures() {
            self.metrics.count(Counter::DeliveryFailure(class), times);
            self.notice(About::NoDelivery(class), level_of(class), || {
                format!(
                    "records not delivered: {}",
                    cause(class, Site::Primary, &config)
                )
            });
        }
    }
}
