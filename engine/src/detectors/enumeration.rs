//! Walking over the ids of objects: many distinct ids of one route, whether they answer or not.
//!
//! Ids that lie close together are a walk whatever order they are asked in; ids far apart are one when most of them fail,
//! since who guesses misses. Two routes are followed at a time, the ones used last.

use crate::catalogue::{Attack, Variable};
use crate::client::{Bitmap, Client, percent};
use crate::clock::Moment;
use crate::detectors::{Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::path_shape::{Object, ObjectSort};
use crate::signs::{Answer, Signs};

/// From then on a walk is a new one.
const WINDOW_SECONDS: f32 = 30.0 * 60.0;

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
    asked: u16,
    failed: u16,
    ids: Bitmap<2>,
}

pub(crate) fn learn(client: &mut Client, signs: &Signs) {
    let Some(object) = signs.object else {
        return;
    };
    let fails = signs.answer.is_failure();
    if !fails && signs.answer != Answer::Success {
        return;
    }
    client
        .walks
        .of(object, signs.at)
        .ask(object, fails, signs.at);
}

pub(crate) fn judge(
    client: &Client,
    signs: &Signs,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    use Variable::{A, B, C};
    let object = signs.object?;
    let walk = client
        .walks
        .0
        .iter()
        .find(|walk| walk.route == object.route)?;
    let distinct = walk.ids.count().round();
    let span = walk.highest.saturating_sub(walk.lowest) as f32 + 1.0;
    let dense = match object.sort {
        ObjectSort::Number => percent(distinct, span).min(100.0),
        ObjectSort::Opaque => 0.0,
    };
    let failed = percent(f32::from(walk.failed), f32::from(walk.asked));
    let measure = Measure::of(Attack::Enumeration, &[distinct, dense, failed], thresholds);
    let walks = measure.normal(A) && measure.normal(B);
    let strides = measure.extreme(A) && measure.extreme(B);
    let guesses = measure.normal(A) && measure.normal(C);
    let is_attack = walks || strides || guesses;
    measure.suspicion_if(is_attack)
}

impl Walks {
    /// The walk on an object's route; the one used least recently makes room for a new one.
    fn of(&mut self, object: Object, at: Moment) -> &mut Walk {
        let [first, second] = &mut self.0;
        let walk = if first.route == object.route {
            first
        } else if second.route == object.route || second.last <= first.last {
            second
        } else {
            first
        };
        if walk.route != object.route || at.seconds_since(walk.began) > WINDOW_SECONDS {
            *walk = Walk {
                route: object.route,
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
        if !self
            .ids
            .insert(object.id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
        {
            return;
        }
        self.lowest = self.lowest.min(id);
        self.highest = self.highest.max(id);
        self.asked = self.asked.saturating_add(1);
        self.failed = self.failed.saturating_add(u16::from(fails));
    }
}
