//! Layer three: what many clients do together and none of them does enough of alone.
//!
//! Logins are followed per API, absent routes per API and user agent, in windows of ten minutes. A crowd of clients that
//! mostly fail is one incident; it names those members that have done nothing else, and stays open while it goes on.

use std::collections::BTreeMap;

use crate::client::{Bitmap, percent};
use crate::clients::Slot;
use crate::clock::Moment;
use crate::signs::ApiIndex;

const WINDOW_SECONDS: f32 = 10.0 * 60.0;
const MAX_CROWDS: usize = 1024;
const MAX_MEMBERS: usize = 128;

/// The crowds of all APIs.
#[derive(Debug, Default)]
pub(crate) struct Campaigns(BTreeMap<Meeting, Crowd>);

/// What makes clients a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meeting {
    /// They log in to the same API.
    Logins(ApiIndex),
    /// They look for what is not there, with the same program.
    Probes(ApiIndex, u16),
}

/// Clients that do the same within one window.
#[derive(Debug)]
pub(crate) struct Crowd {
    began: Moment,
    failed: f32,
    answered: f32,
    clients: Bitmap<4>,
    routes: Bitmap<4>,
    pub(crate) members: Vec<Slot>,
    /// The crowd has been reported: who joins is a member at once.
    pub(crate) reported: bool,
}

/// One step of one client in a crowd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) slot: Slot,
    pub(crate) client: u64,
    pub(crate) route: u64,
    pub(crate) failed: bool,
    pub(crate) at: Moment,
}

impl Campaigns {
    /// Adds a step; a crowd whose window is over begins anew, and the one begun first makes room for a new one.
    pub(crate) fn step(&mut self, meeting: Meeting, step: Step) -> &mut Crowd {
        if !self.0.contains_key(&meeting) && self.0.len() >= MAX_CROWDS {
            let oldest = self.0.iter().min_by_key(|(_, crowd)| crowd.began);
            if let Some(oldest) = oldest.map(|(meeting, _)| *meeting) {
                self.0.remove(&oldest);
            }
        }
        let crowd = self.0.entry(meeting).or_insert_with(|| Crowd::new(step.at));
        if step.at.seconds_since(crowd.began) > WINDOW_SECONDS {
            *crowd = Crowd::new(step.at);
        }
        crowd.take(step);
        crowd
    }

    /// A record has been given to somebody else.
    pub(crate) fn forget(&mut self, slot: Slot) {
        for crowd in self.0.values_mut() {
            crowd.members.retain(|member| *member != slot);
        }
    }
}

impl Crowd {
    fn new(at: Moment) -> Self {
        Self {
            began: at,
            failed: 0.0,
            answered: 0.0,
            clients: Bitmap::default(),
            routes: Bitmap::default(),
            members: Vec::new(),
            reported: false,
        }
    }

    /// Clients that failed, the share of failures in percent, and distinct routes that failed.
    pub(crate) fn values(&self) -> [f32; 3] {
        [
            self.clients.count().round(),
            percent(self.failed, self.failed + self.answered),
            self.routes.count().round(),
        ]
    }

    fn take(&mut self, step: Step) {
        if !step.failed {
            self.answered += 1.0;
            return;
        }
        self.failed += 1.0;
        self.clients.insert(step.client);
        self.routes.insert(step.route);
        if self.members.len() < MAX_MEMBERS && !self.members.contains(&step.slot) {
            self.members.push(step.slot);
        }
    }
}
