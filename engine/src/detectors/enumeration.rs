//! Walking over the ids of objects: many distinct ids of one route, whether they answer or not.
//!
//! Ids asked one after the other are a walk, also when parallel requests mix them up a little; ids in no order are one when
//! there are many of a small span, or when most of them fail, since who guesses misses. Public objects, and those that the client has made itself, are no steps. Two routes are followed at a time, the ones used last.

use crate::catalogue::{Attack, Variable};
use crate::client::{Bitmap, Client, percent};
use crate::clock::Moment;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::path_shape::{Object, ObjectSort};
use crate::signs::{Answer, Intent, Signs};

/// From then on a walk is a new one.
const WINDOW_SECONDS: f32 = 30.0 * 60.0;
/// How far apart neighbours are at most: parallel requests overtake each other.
const NEIGHBOUR: u32 = 8;

/// Distinct ids are estimated, so those that a client has made itself are taken off with a margin of about three deviations.
const OWN_MARGIN: f32 = 1.3;

/// The walks of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walks([Walk; 2]);

#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    route: u32,
    began: Moment,
    last: Moment,
    lowest: u32,
    highest: u32,
    /// The id asked for last, and how many steps led to a neighbour.
    previous: u32,
    near: u16,
    asked: u16,
    failed: u16,
    /// Objects of this route that the client has made itself.
    made: u16,
    ids: Bitmap<2>,
}

pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) {
    if signs.answer == Answer::Success && signs.intent == Intent::Write && signs.object.is_none() {
        client.walks.make(signs.collection, signs.at);
    }
    let Some(object) = signs.object else {
        return;
    };
    let fails = signs.answer.is_failure();
    let is_no_step = !fails && (signs.answer != Answer::Success || context.public_object);
    if is_no_step || signs.login.is_some() {
        return;
    }
    client
        .walks
        .of(object.route, signs.at)
        .ask(object, fails, signs.at);
}

pub(crate) fn judge(
    client: &Client,
    signs: &Signs,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    use Variable::{A, B, C, D};
    let object = signs.object?;
    let walk = client
        .walks
        .0
        .iter()
        .find(|walk| walk.route == object.route)?;
    // What somebody has made is not somebody else's.
    let own = f32::from(walk.made) * OWN_MARGIN;
    let distinct = (walk.ids.count() - own).round().max(0.0);
    let span = walk.highest.saturating_sub(walk.lowest) as f32 + 1.0;
    let dense = match object.sort {
        ObjectSort::Number => percent(distinct, span).min(100.0),
        ObjectSort::Opaque => 0.0,
    };
    let asked = f32::from(walk.asked);
    let failed = percent(f32::from(walk.failed), asked);
    let near = percent(f32::from(walk.near), asked);
    let measure = Measure::of(
        Attack::Enumeration,
        &[distinct, dense, failed, near],
        thresholds,
    );
    let walks = measure.normal(A) && measure.normal(B) && measure.normal(D);
    let strides = measure.extreme(A) && measure.extreme(B);
    let guesses = measure.normal(A) && measure.normal(C);
    let is_attack = walks || strides || guesses;
    measure.suspicion_if(is_attack)
}

impl Walks {
    /// Notes that the client has made an object of a route.
    fn make(&mut self, route: u32, at: Moment) {
        let walk = self.of(route, at);
        walk.made = walk.made.saturating_add(1);
        walk.last = at;
    }

    /// The walk on a route of objects; the one used least recently makes room for a new one.
    fn of(&mut self, route: u32, at: Moment) -> &mut Walk {
        let [first, second] = &mut self.0;
        let walk = if first.route == route {
            first
        } else if second.route == route || second.last <= first.last {
            second
        } else {
            first
        };
        if walk.route != route || at.seconds_since(walk.began) > WINDOW_SECONDS {
            *walk = Walk {
                route,
                began: at,
                lowest: u32::MAX,
                ..Walk::default()
            };
        }
        walk
    }
}

impl Walk {
    fn ask(&mut self, object: Object, fails: bool, at: Moment) {
        let id = u32::try_from(object.id).unwrap_or(u32::MAX);
        self.last = at;
        // Asking twice for the same is no step.
        if !self.ids.insert(scattered(object.id)) {
            return;
        }
        self.near = self
            .near
            .saturating_add(u16::from(id.abs_diff(self.previous) <= NEIGHBOUR));
        self.previous = id;
        self.lowest = self.lowest.min(id);
        self.highest = self.highest.max(id);
        self.asked = self.asked.saturating_add(1);
        self.failed = self.failed.saturating_add(u16::from(fails));
    }
}

/// Neighbouring ids as if at random, which the estimate of their number takes for granted (finalizer of SplitMix64: Steele, Lea,
/// Flood, 2014).
fn scattered(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}
