//! What a root context and its streams share: configuration, counters, breaker, outbox.
//!
//! Hooks never nest, so a cell that is borrowed twice is a defect; it is said in the log and survived, never a panic.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ase_core::transaction::{FailureClass, RecordId};

use super::complaint::{cause, level_of, refusal, refusal_level};
use super::image;
use super::metrics::Metrics;
use crate::breaker::Breaker;
use crate::capability::Capability;
use crate::clock::Moment;
use crate::config::Config;
use crate::counters::Counter;
use crate::exchange::{CalloutToken, Exchange};
use crate::host::{self, Level, MetricId};
use crate::host_profile::HostCall;
use crate::local::{ImageFailure, Local, Named};
use crate::notice::{Line, Notice};
use crate::outbox::Outbox;
use crate::site::Site;
use crate::unwritten::Unwritten;

mod delivery;

/// Time between two looks for exchanges that stay open.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a root context and its streams share.
pub(super) struct Shared {
    config: RefCell<Rc<Config>>,
    metrics: Metrics,
    breaker: RefCell<Breaker>,
    unwritten: RefCell<Unwritten>,
    outbox: RefCell<Outbox>,
    pub(super) local: RefCell<Local>,
    /// Age, length and revision of the image, once there is one.
    pub(super) image_gauges: Cell<Option<[Option<MetricId>; 3]>>,
    /// Whether the host keeps what VMs share, as far as is known.
    pub(super) may_share: Cell<bool>,
    /// Where the calls of the outbox that are under way have gone, and the image that they have named.
    sent_to: RefCell<Vec<(CalloutToken, Site, Option<Named>)>>,
    notices: RefCell<Vec<(About, Notice)>>,
    /// The root context.
    pub(super) context: u32,
    /// Makes record ids unique across root contexts.
    random: u64,
    minted: Cell<u64>,
    pub(super) last_moment: Cell<Moment>,
    last_look: Cell<Moment>,
    pub(super) level: Cell<Level>,
}

/// What a repeated line of the log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    NoVerdict(FailureClass),
    FailedOver(Site, FailureClass),
    NoDelivery(FailureClass),
    RouteMetadata,
    HostRefused(Capability),
    PortZero,
    BodyUnreadable,
    Image(ImageFailure),
    CellBusy,
}

impl Shared {
    /// Defines the metrics.
    pub(super) fn new(config: Config, context: u32) -> Self {
        let random = host::random_bits(context);
        let mut local = Local::new(random);
        if config.wants_image() {
            local.want();
        }
        Self {
            metrics: Metrics::define(config.host()),
            breaker: RefCell::new(Breaker::default()),
            unwritten: RefCell::new(Unwritten::default()),
            outbox: RefCell::new(Outbox::new(config.delivery().limits)),
            local: RefCell::new(local),
            image_gauges: Cell::new(None),
            may_share: Cell::new(true),
            sent_to: RefCell::new(Vec::new()),
            notices: RefCell::new(Vec::new()),
            context,
            random,
            minted: Cell::new(0),
            last_moment: Cell::new(Moment::default()),
            last_look: Cell::new(Moment::default()),
            level: Cell::new(log_level(&config)),
            config: RefCell::new(Rc::new(config)),
        }
    }

    /// Takes another configuration; streams that run already keep theirs.
    pub(super) fn reconfigure(&self, config: Config) {
        self.with(&self.outbox, |outbox| {
            outbox.set_limits(config.delivery().limits)
        });
        if let Some(former) = self.config()
            && former.local().key != config.local().key
        {
            image::farewell(self, &former);
        }
        if config.wants_image() {
            self.with(&self.local, Local::want);
        }
        self.with(&self.config, |current| *current = Rc::new(config));
    }

    /// The configuration for a new exchange; `None` never happens while hooks do not nest.
    pub(super) fn config(&self) -> Option<Rc<Config>> {
        self.config
            .try_borrow()
            .ok()
            .map(|config| Rc::clone(&config))
    }

    /// Whether the host takes this call.
    pub(super) fn offers(&self, call: HostCall) -> bool {
        self.config()
            .is_some_and(|config| config.host().offers(call))
    }

    /// The host's clock. Without one the last known time stands, and the breaker is kept shut, since a cool-down would never end.
    pub(super) fn now(&self) -> Moment {
        match host::now() {
            Ok(moment) => {
                self.last_moment.set(moment);
                moment
            }
            Err(_) => {
                self.with(&self.breaker, Breaker::without_clock);
                self.with(&self.local, Local::without_clock);
                self.last_moment.get()
            }
        }
    }

    /// The id of a new record.
    pub(super) fn mint(&self) -> RecordId {
        let counter = self.minted.get();
        self.minted.set(counter.wrapping_add(1));
        RecordId::mint(self.random, counter)
    }

    /// Adds one to a counter.
    pub(super) fn count(&self, counter: Counter) {
        self.metrics.count(counter, 1);
    }

    /// Takes how long a request has waited for ASE into the distribution.
    pub(super) fn asked_for(&self, wait: Duration) {
        self.metrics.asked_for(wait);
    }

    /// Which ASE a call of the root context goes to.
    pub(super) fn choose_site(&self, config: &Config) -> Site {
        let (rest, now) = (config.breaker().rest, self.last_moment.get());
        self.with_breaker(|breaker| breaker.sites().choose(rest, now))
    }

    /// A call of the root context to an ASE failed.
    pub(super) fn site_failed(&self, site: Site, class: FailureClass, config: &Config) {
        let (rest, now) = (config.breaker().rest, self.last_moment.get());
        self.with_breaker(|breaker| breaker.sites().failed(site, class, rest, now));
    }

    /// Runs `act` on the breaker.
    pub(super) fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        match self.breaker.try_borrow_mut() {
            Ok(mut breaker) => act(&mut breaker),
            Err(_) => {
                self.cell_is_busy();
                act(&mut Breaker::default())
            }
        }
    }

    /// Writes a line that describes one request, where the host wants such lines.
    pub(super) fn debug(&self, line: impl FnOnce() -> String) {
        if self.level.get() <= Level::Debug {
            host::log(Level::Debug, &format!("ase: {}", line()));
        }
    }

    /// Says `line` once, and once a minute after that how often it came again.
    pub(super) fn notice(&self, about: About, level: Level, line: impl FnOnce() -> String) {
        self.notice_many(about, level, 1, line);
    }

    fn notice_many(&self, about: About, level: Level, times: u64, line: impl FnOnce() -> String) {
        let now = self.last_moment.get();
        let due = match self.notices.try_borrow_mut() {
            Ok(mut notices) => events(&mut notices, about, times, now),
            Err(_) => Line::HeldBack,
        };
        match due {
            Line::First => host::log(level, &format!("ase: {}", line())),
            Line::Again(times) => host::log(
                level,
                &format!("ase: {} ({times} times since this was last said)", line()),
            ),
            Line::HeldBack => {}
        }
    }

    /// Counts a failure to get a verdict and says so now and then.
    pub(super) fn no_verdict(&self, class: FailureClass, site: Site, config: &Config) {
        self.count(Counter::Failure(class));
        self.notice(About::NoVerdict(class), level_of(class), || {
            format!("no verdict: {}", cause(class, site, config))
        });
    }

    /// Counts that the other ASE is asked as well and says so now and then.
    pub(super) fn failed_over(&self, exchange: &Exchange, config: &Config) {
        if let Some(class) = exchange.failed_over() {
            let site = exchange.site().other();
            self.count(Counter::FailedOver);
            self.notice(About::FailedOver(site, class), level_of(class), || {
                format!("the other ASE is asked: {}", cause(class, site, config))
            });
        }
    }

    /// Time went on by one tick.
    pub(super) fn tick(&self) {
        let Some(config) = self.config() else {
            return;
        };
        self.level.set(log_level(&config));
        let now = self.now();
        image::tick(self, &config, now);
        self.write_records();
        self.with(&self.outbox, |outbox| outbox.tick(config.delivery().tick));
        self.send(&config);
        self.tell_refusals();
        self.metrics.tick(self.records_waiting());
    }

    /// Whether it is time to look for exchanges that stay open: once in [`LOOK_INTERVAL`], so that a look through thousands of streams costs nothing.
    pub(super) fn look_is_due(&self) -> bool {
        let (now, last) = (self.last_moment.get(), self.last_look.get());
        // Before the last look only when the clock was set back.
        let is_due = now < last || now.since(last) >= LOOK_INTERVAL;
        if is_due {
            self.last_look.set(now);
        }
        is_due
    }

    /// What the host has refused since the last tick.
    fn tell_refusals(&self) {
        for (call, times) in host::take_refusals() {
            let times = u64::from(times);
            self.metrics.count(Counter::HostRefused(call), times);
            self.notice_many(About::HostRefused(call), refusal_level(call), times, || {
                refusal(call)
            });
        }
    }

    pub(super) fn with<C, T>(&self, cell: &RefCell<C>, act: impl FnOnce(&mut C) -> T) -> Option<T> {
        match cell.try_borrow_mut() {
            Ok(mut content) => Some(act(&mut content)),
            Err(_) => {
                self.cell_is_busy();
                None
            }
        }
    }

    fn cell_is_busy(&self) {
        self.notice(About::CellBusy, Level::Error, || {
            "the host called a hook within a hook: a record or a breaker step is lost".to_owned()
        });
    }
}

/// Hosts that do not tell it get no debug lines.
fn log_level(config: &Config) -> Level {
    if config.host().offers(HostCall::LogLevel) {
        host::log_level()
    } else {
        Level::Info
    }
}

/// Counts events of that kind.
fn events(notices: &mut Vec<(About, Notice)>, about: About, times: u64, now: Moment) -> Line {
    if let Some((_, notice)) = notices.iter_mut().find(|(known, _)| *known == about) {
        return notice.events(times, now);
    }
    let mut notice = Notice::default();
    let line = notice.events(times, now);
    notices.push((about, notice));
    line
}
