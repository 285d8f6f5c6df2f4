//! Layer three: what many clients do together and none of them does enough of alone.
//!
//! Logins are followed per API, absent routes per API and user agent, in windows of ten minutes. A crowd of clients that
//! mostly fail is one incident; it names those members that have done nothing else, and stays open while it goes on.
//!
//! Only a failure makes a crowd: programs that meet none are thousands. A crowd finds its place in a set of [`WAYS`]; where the set is
//! full the one that has failed least goes, so that no flood of small crowds displaces a large one.

use crate::client::{Bitmap, percent};
use crate::clients::Slot;
use crate::clock::Moment;
use crate::hash::Hasher;
use crate::signs::ApiIndex;

const WINDOW_SECONDS: f32 = 10.0 * 60.0;
const WAYS: usize = 8;
const SETS: usize = 128;
const MAX_MEMBERS: usize = 128;

/// The crowds of all APIs.
#[derive(Debug)]
pub(crate) struct Campaigns {
    hasher: Hasher,
    crowds: Vec<Option<Crowd>>,
}

/// What makes clients a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// They log in to the same API.
    Logins(ApiIndex),
    /// They look for what is not there, with the same program.
    Probes(ApiIndex, u16),
}

/// Clients that do the same within one window.
#[derive(Debug)]
pub(crate) struct Crowd {
    meeting: Meeting,
    began: Moment,
    failed: f32,
    answered: f32,
    clients: Bitmap<4>,
    routes: Bitmap<4>,
    pub(crate) members: Vec<Member>,
    /// The crowd has been reported: who joins is a member at once.
    pub(crate) reported: bool,
}

/// Somebody in a crowd, by its record; the record may have been given to somebody else since, which the hash tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) slot: Slot,
    /// The hash of its identifier.
    pub(crate) client: u64,
}

/// One step of one client in a crowd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) member: Member,
    pub(crate) route: u64,
    pub(crate) failed: bool,
    pub(crate) at: Moment,
}

impl Campaigns {
    pub(crate) fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            crowds: Vec::new(),
        }
    }

    /// Adds a step; a crowd whose window is over begins anew. `None` where nobody has failed.
    pub(crate) fn step(&mut self, meeting: Meeting, step: Step) -> Option<&mut Crowd> {
        let first = (self.hash(meeting) >> 32) as usize % SETS * WAYS;
        if self.crowds.is_empty() {
            self.crowds.resize_with(SETS * WAYS, || None);
        }
        let set = self.crowds.get_mut(first..first + WAYS)?;
        let own = set.iter().position(|crowd| {
            let crowd = crowd.as_ref();
            crowd.is_some_and(|crowd| crowd.meeting == meeting)
        });
        let least = || {
            (0..)
                .zip(set.iter())
                .min_by_key(|(_, crowd)| weight(crowd, step.at))
        };
        let place = match own {
            Some(place) => place,
            None if step.failed => least()?.0,
            None => return None,
        };
        let place = set.get_mut(place)?;
        let goes_on = |crowd: &Crowd| crowd.meeting == meeting && !crowd.is_over(step.at);
        if !place.as_ref().is_some_and(goes_on) {
            *place = Some(Crowd::new(meeting, step.at));
        }
        let crowd = place.as_mut()?;
        crowd.take(step);
        Some(crowd)
    }

    fn hash(&self, meeting: Meeting) -> u64 {
        match meeting {
            Meeting::Logins(api) => self.hasher.pair(u64::from(api.0), 1),
            Meeting::Probes(api, agent) => {
                let program = u64::from(agent) << 16 | u64::from(api.0);
                self.hasher.pair(program, 2)
            }
        }
    }
}

/// How much there is to lose with a crowd.
fn weight(crowd: &Option<Crowd>, at: Moment) -> u32 {
    let lasting = crowd.as_ref().filter(|crowd| !crowd.is_over(at));
    lasting.map_or(0, |crowd| crowd.failed as u32)
}

impl Crowd {
    fn new(meeting: Meeting, at: Moment) -> Self {
        Self {
            meeting,
            began: at,
            failed: 0.0,
            answered: 0.0,
            clients: Bitmap::default(),
            routes: Bitmap::default(),
            members: Vec::new(),
            reported: false,
        }
    }

    fn is_over(&self, at: Moment) -> bool {
        at.seconds_since(self.began) > WINDOW_SECONDS
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
        self.clients.insert(step.member.client);
        self.routes.insert(step.route);
        if self.members.len() < MAX_MEMBERS && !self.members.contains(&step.member) {
            self.members.push(step.member);
        }
    }
}
