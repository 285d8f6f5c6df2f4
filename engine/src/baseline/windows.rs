//! What one client does on one API, or on one of its routes, within ten minutes, in a table of fixed size.
//!
//! A client finds its window in a set of [`WAYS`]. Where the set is full the window with the fewest requests goes, so that a
//! flood of newcomers displaces itself and not those who do much.

use std::num::NonZeroU64;

use crate::client::Bitmap;
use crate::clock::Moment;
use crate::detectors::volume::RECEIPT;
use crate::signs::{Answer, ApiIndex, File, Intent, Signs};

use super::quantity::Quantity;
use super::sequence::Session;

pub(super) const WINDOW_SECONDS: f32 = 10.0 * 60.0;
const WAYS: usize = 8;
/// Of one client's windows one in so long is learned from: nobody speaks for all, and nobody for the morning only.
const LEARNED_EVERY: u32 = 4 * 60 * 60 * 10;
const MEGABYTE: f32 = 1_000_000.0;

/// The windows of all clients.
#[derive(Debug)]
pub(super) struct Windows {
    /// Who and where, apart from what they did: a set of them is looked through at a glance. 0 is nobody.
    keys: Vec<[u64; WAYS]>,
    windows: Vec<[Window; WAYS]>,
}

/// One client on one API or route.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    pub(super) client: u64,
    /// The route that it is of; `None`: the whole API.
    pub(super) route: Option<NonZeroU64>,
    began: Moment,
    last: Moment,
    pub(super) api: ApiIndex,
    /// The last stretch of [`LEARNED_EVERY`] that was learned from, 1 the first of the engine's time.
    learned: u16,
    /// Somebody has had reason to doubt the client within the window.
    tainted: bool,
    pub(super) requests: u32,
    failures: u32,
    calls: u32,
    writes: f32,
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
        Self {
            keys: vec![[0; WAYS]; sets],
            windows: vec![Default::default(); sets],
        }
    }

    /// The window under `key`, or `fresh` in its place with the one that had to go for it.
    pub(super) fn of(&mut self, key: u64, fresh: Window) -> Option<(&mut Window, Option<Window>)> {
        let set = ((key >> 32) as usize).checked_rem(self.keys.len())?;
        let (keys, windows) = (self.keys.get_mut(set)?, self.windows.get_mut(set)?);
        if let Some(place) = keys.iter().position(|known| *known == key) {
            return Some((windows.get_mut(place)?, None));
        }
        let numbered = windows.iter_mut().zip(keys);
        let (window, place) = numbered.min_by_key(|(window, _)| window.requests)?;
        *place = key;
        let displaced = std::mem::replace(window, fresh);
        Some((window, (displaced.requests > 0).then_some(displaced)))
    }

    /// Empties the windows of a client.
    pub(super) fn forget(&mut self, client: u64) {
        let all = self.windows.iter_mut().zip(&mut self.keys);
        for (window, key) in all.flat_map(|(windows, keys)| windows.iter_mut().zip(keys)) {
            if window.client == client {
                (*window, *key) = (Window::default(), 0);
            }
        }
    }

    /// Every window that is over.
    pub(super) fn over(&mut self, at: Moment) -> impl Iterator<Item = &mut Window> {
        let all = self.windows.iter_mut().flatten();
        all.filter(move |window| window.requests > 0 && window.is_over(at))
    }
}

impl Window {
    /// An empty one that begins at `at`.
    pub(super) fn new(client: u64, api: ApiIndex, route: Option<NonZeroU64>, at: Moment) -> Self {
        Self {
            client,
            route,
            api,
            began: at,
            last: at,
            ..Self::default()
        }
    }

    pub(super) fn is_over(&self, at: Moment) -> bool {
        at.seconds_since(self.began) > WINDOW_SECONDS
    }

    /// Begins anew; what the client did before is left to the session.
    pub(super) fn restart(&mut self, at: Moment) {
        *self = Self {
            learned: self.learned,
            last: self.last,
            session: self.session,
            ..Self::new(self.client, self.api, self.route, at)
        };
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
            Intent::Write if signs.receipt => self.writes += RECEIPT,
            Intent::Write => self.writes += 1.0,
            Intent::Delete => self.deletes = self.deletes.saturating_add(1),
            Intent::Other => {}
        }
    }

    pub(super) fn value(&self, quantity: Quantity) -> f32 {
        match quantity {
            Quantity::Calls => self.calls as f32,
            Quantity::Objects => self.objects.count().round(),
            Quantity::Megabytes => self.bytes / MEGABYTE,
            Quantity::Writes => self.writes,
            Quantity::Deletes => f32::from(self.deletes),
            Quantity::FailedRoutes => self.failed_routes.count().round(),
            Quantity::Surprise => self.surprise,
        }
    }

    /// The share of failures among calls, in percent.
    pub(super) fn failures_percent(&self) -> f32 {
        crate::client::percent(self.failures as f32, self.calls as f32)
    }

    /// Whether the window may be learned from, which counts against what its client may teach.
    pub(super) fn teaches(&mut self) -> bool {
        let stretch = (self.last.0 / LEARNED_EVERY) as u16 + 1;
        let teaches = !self.tainted && self.calls > 0 && self.learned != stretch;
        if teaches {
            self.learned = stretch;
        }
        teaches
    }
}
