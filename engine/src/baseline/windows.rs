//! What one client does on one API within ten minutes, in a table of fixed size.
//!
//! A client finds its window in a set of [`WAYS`]. Where the set is full the window with the fewest requests goes, so that a
//! flood of newcomers displaces itself and not those who do much.

use crate::client::Bitmap;
use crate::clock::Moment;
use crate::signs::{Answer, ApiIndex, File, Intent, Signs};

use super::quantity::Quantity;
use super::sequence::Session;

pub(super) const WINDOW_SECONDS: f32 = 10.0 * 60.0;
const WAYS: usize = 8;
/// Windows of one client and day that are learned from: nobody speaks for all.
const LEARNED_PER_DAY: u8 = 6;
const DAY_UNITS: u32 = 24 * 60 * 60 * 10;
const MEGABYTE: f32 = 1_000_000.0;

/// The windows of all clients.
#[derive(Debug)]
pub(super) struct Windows(Vec<Window>);

/// One client on one API.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Who and where; 0 is nobody.
    key: u64,
    pub(super) client: u64,
    began: Moment,
    last: Moment,
    pub(super) api: ApiIndex,
    /// The day of the engine's time that [`Self::learned`] counts for.
    day: u16,
    learned: u8,
    /// Somebody has had reason to doubt the client within the window.
    tainted: bool,
    pub(super) requests: u32,
    failures: u32,
    calls: u32,
    writes: u16,
    deletes: u16,
    bytes: f32,
    objects: Bitmap<4>,
    failed_routes: Bitmap<1>,
    /// The peak of the window.
    pub(super) surprise: f32,
    pub(super) session: Session,
}

impl Windows {
    /// A table of `capacity` windows, in whole sets and one set at least.
    pub(super) fn new(capacity: u32) -> Self {
        let sets = (capacity as usize).div_ceil(WAYS).max(1);
        Self(vec![Window::default(); sets * WAYS])
    }

    /// The window of a client on an API, and the one that had to go for it.
    pub(super) fn of(
        &mut self,
        key: u64,
        client: u64,
        signs: &Signs,
    ) -> Option<(&mut Window, Option<Window>)> {
        let sets = self.0.len() / WAYS;
        let first = ((key >> 32) as usize).checked_rem(sets)? * WAYS;
        let set = self.0.get_mut(first..first + WAYS)?;
        if let Some(place) = set.iter().position(|window| window.key == key) {
            return Some((set.get_mut(place)?, None));
        }
        let window = set.iter_mut().min_by_key(|window| window.requests)?;
        let fresh = Window {
            key,
            client,
            api: signs.api,
            began: signs.at,
            last: signs.at,
            ..Window::default()
        };
        let displaced = std::mem::replace(window, fresh);
        Some((window, (displaced.requests > 0).then_some(displaced)))
    }

    /// Empties the windows of a client.
    pub(super) fn forget(&mut self, client: u64) {
        let own = self.0.iter_mut().filter(|window| window.client == client);
        for window in own {
            *window = Window::default();
        }
    }

    /// Every window that is over.
    pub(super) fn over(&mut self, at: Moment) -> impl Iterator<Item = &mut Window> {
        self.0
            .iter_mut()
            .filter(move |window| window.requests > 0 && window.is_over(at))
    }
}

impl Window {
    pub(super) fn is_over(&self, at: Moment) -> bool {
        at.seconds_since(self.began) > WINDOW_SECONDS
    }

    /// Begins anew; what the client did before is left to the session.
    pub(super) fn restart(&mut self, at: Moment) {
        *self = Self {
            key: self.key,
            client: self.client,
            api: self.api,
            day: self.day,
            learned: self.learned,
            began: at,
            last: self.last,
            session: self.session,
            ..Self::default()
        };
    }

    /// The last moment that counted.
    pub(super) fn ended(&self) -> Moment {
        self.last
    }

    /// Counts a transaction.
    pub(super) fn count(&mut self, signs: &Signs, known_route: bool, tainted: bool) {
        if self.requests == 0 {
            self.began = signs.at;
        }
        self.last = self.last.max(signs.at);
        self.tainted |= tainted;
        self.requests = self.requests.saturating_add(1);
        self.bytes += signs.response_bytes;
        if signs.file != File::Call {
            return;
        }
        self.calls = self.calls.saturating_add(1);
        if signs.answer.is_failure() {
            self.failures = self.failures.saturating_add(1);
            if !known_route && signs.answer != Answer::Unauthorized {
                self.failed_routes.insert(signs.route);
            }
        }
        if signs.answer != Answer::Success {
            return;
        }
        match signs.intent {
            Intent::Read => drop(self.objects.insert(signs.target)),
            Intent::Write if signs.login.is_some() => {}
            Intent::Write => self.writes = self.writes.saturating_add(1),
            Intent::Delete => self.deletes = self.deletes.saturating_add(1),
            Intent::Other => {}
        }
    }

    pub(super) fn value(&self, quantity: Quantity) -> f32 {
        match quantity {
            Quantity::Calls => self.calls as f32,
            Quantity::Objects => self.objects.count().round(),
            Quantity::Megabytes => self.bytes / MEGABYTE,
            Quantity::Writes => f32::from(self.writes),
            Quantity::Deletes => f32::from(self.deletes),
            Quantity::FailedRoutes => self.failed_routes.count().round(),
            Quantity::Surprise => self.surprise,
        }
    }

    /// The share of failures among calls, in percent.
    pub(super) fn failures_percent(&self) -> f32 {
        crate::client::percent(self.failures as f32, self.calls as f32)
    }

    /// Whether the window may be learned from, which counts against what its client may teach in a day.
    pub(super) fn teaches(&mut self) -> bool {
        let day = (self.last.0 / DAY_UNITS) as u16;
        if self.day != day {
            self.day = day;
            self.learned = 0;
        }
        let teaches = !self.tainted && self.calls > 0 && self.learned < LEARNED_PER_DAY;
        self.learned += u8::from(teaches);
        teaches
    }
}
