//! Walking over the ids of objects: many distinct ids of one route, whether they answer or not.
//!
//! Ids asked one after the other are a walk, also when parallel requests mix them up a little; ids in no order are one when
//! there are many of a small span, or when most of them fail, since who guesses misses. Public objects may be read in any order, and those that the client has made itself
//! are no steps.
//!
//! Three routes are followed at a time. Objects of others press on the shortest walk of the three, each once, until they take its
//! place. Only neighbours and failures hold it, so reading here and there and asking again for the same park nobody; now and
//! then all three are pressed on, so that what stays parked fades. Who walks over many routes in turn is found on one of them;
//! what the three places cannot hold, `docs/detection.md` says.

use crate::catalogue::{Attack, Variable};
use crate::client::{Bitmap, Client, percent};
use crate::clock::Moment;
use crate::detectors::{Context, Measure, Suspicion, Telling};
use crate::lessons::Thresholds;
use crate::path_shape::{Object, ObjectSort};
use crate::signs::{Answer, Intent, Signs, Taken};

/// From then on a walk is a new one.
const WINDOW_SECONDS: f32 = 30.0 * 60.0;
/// How far apart neighbours are at most: parallel requests overtake each other.
const NEIGHBOUR: u64 = 8;

/// What presses on a walk so often takes its place, however long it is; less than the bits that tell pressing objects apart.
const MOST_HELD: u8 = 15;
/// A walk begins with so much: of two newcomers in turn one gets ahead.
const HELD_AT_FIRST: u8 = 4;
/// One press in so many, by chance, is on all walks.
const PRESSES_ON_ALL: u64 = 8;

/// From so many steps on, somebody may ask what a walk looked like: some steps are kept as samples.
const LONG: u8 = 12;
/// Every so many of them.
const SHOWN: u8 = 4;

/// So many answers to writes that may have made something (200) are believed until what was made is read.
const MOST_PROMISED: u8 = 12;

/// Distinct ids are estimated, so those that a client has made itself are taken off with a margin of about three deviations.
const OWN_MARGIN: f32 = 1.3;

/// Routes that a client uses besides the one it reads objects of, from which on it is at home in an API.
const AT_HOME: u32 = 3;

/// The walks of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walks {
    walks: [Walk; 3],
    /// Routes that others use too and that have answered the client well, a bit each.
    home: u32,
    /// What has pressed on the walks since one was taken over, a bit for an object.
    pressed_by: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    route: u32,
    began: Moment,
    /// The id asked for last.
    previous: Place,
    /// How far the lowest and the highest are from that one; what is further than this counts is endless.
    below: u16,
    above: u16,
    /// Steps: new bits of `ids`, so no more than that has.
    asked: u8,
    /// Those that led to a neighbour.
    near: u8,
    /// How far these went in all; it counts no further than a byte does.
    near_distance: u8,
    failed: u8,
    /// Objects of this route that the client has made itself.
    made: u8,
    counts: Counts,
    ids: Bitmap<2>,
}

/// Two small counts of a walk in one byte, each at most 15.
#[derive(Clone, Copy, Debug, Default)]
struct Counts(u8);

/// An id but for what is above its lowest 48 bits, the lowest sixteen first: nobody walks that far.
#[derive(Clone, Copy, Debug, Default)]
struct Place([u16; 3]);

/// How a client goes over the ids of a route.
#[derive(Clone, Copy, Debug)]
struct Gait {
    /// From one id to the next.
    walks: bool,
    /// Over most of a span, in any order.
    strides: bool,
    /// Missing most of the time.
    guesses: bool,
}

/// Whether the step is one that a person should see who is shown the walk.
pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) -> Telling {
    if signs.answer == Answer::Success && context.common_route {
        client.walks.home |= bit(signs.route);
    }
    client.walks.make(signs);
    let Some(object) = signs.object else {
        return Telling::No;
    };
    let fails = signs.answer.is_failure();
    let is_no_step = !fails && signs.answer != Answer::Success;
    if is_no_step || signs.login.is_some() {
        return Telling::No;
    }
    let walk = if context.public_object && !fails {
        client.walks.of_public(object.route, signs.at)
    } else {
        client
            .walks
            .of(object.route, signs.at, Some(pressing(object)))
    };
    let Some(walk) = walk else {
        return Telling::No;
    };
    let steps = walk.asked;
    walk.ask(object, fails);
    if walk.asked > steps && context.newest_object {
        walk.keep_promise();
    }
    let is_shown = walk.asked >= LONG && walk.asked.is_multiple_of(SHOWN);
    if walk.asked > steps && is_shown {
        Telling::Yes
    } else {
        Telling::No
    }
}

pub(crate) fn judge(
    client: &Client,
    signs: &Signs,
    context: Context,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    let (measure, gait) = gait(client, signs, thresholds)?;
    let at_will = context.public_object;
    let is_attack = gait.guesses || !at_will && (gait.walks || gait.strides);
    measure.suspicion_if(is_attack)
}

/// Whether a client goes over the objects of the route as attackers do, public or not. Who is at home in the API may well
/// have read most of a small catalogue, and an address may stand for many.
pub(crate) fn is_walker(client: &Client, signs: &Signs, thresholds: &Thresholds<'_>) -> bool {
    // The route of the objects is one of them.
    let at_home = client.walks.home.count_ones() > AT_HOME;
    gait(client, signs, thresholds)
        .is_some_and(|(_, gait)| gait.walks || gait.guesses || gait.strides && !at_home)
}

fn gait<'t>(
    client: &Client,
    signs: &Signs,
    thresholds: &'t Thresholds<'t>,
) -> Option<(Measure<'t>, Gait)> {
    use Variable::{A, B, C, D};
    let object = signs.object?;
    let mut walks = client.walks.walks.iter();
    let walk = walks.find(|walk| walk.route == object.route)?;
    // What somebody has made is not somebody else's.
    let distinct = walk.ids.count();
    let own = f32::from(walk.made) * OWN_MARGIN;
    // A promise is kept by a step, and steps are fewer than ids when there are many.
    let own = match walk.made <= walk.asked {
        true => own.max(percent(f32::from(walk.made), f32::from(walk.asked)) / 100.0 * distinct),
        false => own,
    };
    let distinct = (distinct - own).round().max(0.0);
    let dense = match object.sort {
        ObjectSort::Number => walk.density(distinct),
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
    let gait = Gait {
        walks: measure.normal(A) && measure.normal(B) && measure.normal(D),
        strides: measure.extreme(A) && measure.extreme(B),
        guesses: measure.normal(A) && measure.normal(C),
    };
    Some((measure, gait))
}

impl Walks {
    /// Names, meanings and values for people: of the longer walk.
    pub(crate) fn facts(&self) -> [(&'static str, &'static str, f32); 2] {
        let longer = self.walks.iter().max_by_key(|walk| walk.asked);
        let (asked, failed) = longer.map_or((0.0, 0), |walk| (walk.ids.count(), walk.failed));
        [
            (
                "ids",
                "distinct ids asked for on one route within half an hour, about",
                asked.round(),
            ),
            ("ids_failed", "those of them that failed", f32::from(failed)),
        ]
    }

    /// Notes that the client has made an object of a route, or may have: what searches by POST is answered with 200 too.
    fn make(&mut self, signs: &Signs) {
        if signs.intent != Intent::Write || signs.object.is_some() {
            return;
        }
        // Whoever really makes things may do so on a fourth route; what may have been a search presses on nothing.
        let (is_made, pressing) = match signs.taken {
            Taken::Made => (true, Some(scattered(u64::from(signs.at.0)))),
            Taken::Maybe => (false, None),
            Taken::Nothing => return,
        };
        let Some(walk) = self.of(signs.collection, signs.at, pressing) else {
            return;
        };
        if is_made {
            walk.made = walk.made.saturating_add(1);
            walk.counts.hold();
        } else {
            walk.counts.promise();
        }
    }

    /// The walk on a route of objects; `None` when the routes that are followed hold their places against what presses on them.
    fn of(&mut self, route: u32, at: Moment, pressing: Option<u64>) -> Option<&mut Walk> {
        let own = self.walks.iter().position(|walk| walk.route == route);
        let place = own
            .or_else(|| self.walks.iter().position(|walk| walk.is_over(at)))
            .or_else(|| self.press(pressing?))?;
        let walk = self.walks.get_mut(place)?;
        walk.renew(route, at);
        Some(walk)
    }

    /// Presses on the shortest walk; its place when nothing holds it any longer.
    fn press(&mut self, pressing: u64) -> Option<usize> {
        let places = self.walks.iter().enumerate();
        let (place, shortest) = places
            .min_by_key(|(_, walk)| walk.counts.held())
            .map(|(place, walk)| (place, walk.counts.held()))?;
        if self.pressed_by & bit(pressing) == 0 && shortest > 0 {
            self.pressed_by |= bit(pressing);
            let is_on_all = (pressing >> 32).is_multiple_of(PRESSES_ON_ALL);
            for (number, walk) in self.walks.iter_mut().enumerate() {
                if is_on_all || number == place {
                    walk.counts.press();
                }
            }
        }
        let is_free = self.walks.get(place)?.counts.held() == 0;
        if is_free {
            self.pressed_by = 0;
        }
        is_free.then_some(place)
    }

    /// The same for public objects: they take no walk's place.
    fn of_public(&mut self, route: u32, at: Moment) -> Option<&mut Walk> {
        let mut walks = self.walks.iter();
        let own = walks.position(|walk| walk.route == route);
        let place = own.or_else(|| self.walks.iter().position(|walk| walk.is_over(at)))?;
        let walk = self.walks.get_mut(place)?;
        walk.renew(route, at);
        Some(walk)
    }
}

impl Walk {
    fn is_over(&self, at: Moment) -> bool {
        self.route == 0 || at.seconds_since(self.began) > WINDOW_SECONDS
    }

    fn renew(&mut self, route: u32, at: Moment) {
        if self.route != route || self.is_over(at) {
            *self = Self {
                route,
                began: at,
                counts: Counts::held_at_first(),
                ..Self::default()
            };
        }
    }

    /// The object asked for last is as new as one that the client has made.
    fn keep_promise(&mut self) {
        if self.counts.take_promise() {
            self.made = self.made.saturating_add(1);
        }
    }

    /// How many ids lie between the lowest and the highest, with these; `None` when that is endless.
    fn span(&self) -> Option<f32> {
        let is_endless = self.below == u16::MAX || self.above == u16::MAX;
        (!is_endless).then(|| f32::from(self.below) + f32::from(self.above) + 1.0)
    }

    /// How many ids of its span were asked for, in percent. One id far from all others makes a span large that is walked over from
    /// one to the next all the same.
    fn density(&self, distinct: f32) -> f32 {
        let dense = self
            .span()
            .map_or(0.0, |span| percent(distinct, span).min(100.0));
        match u16::from(self.near) * 2 >= u16::from(self.asked) {
            true => dense.max(self.density_of_near()),
            false => dense,
        }
    }

    /// How many of the ids that steps to neighbours passed were asked for, in percent; 0 once the count of it is full.
    fn density_of_near(&self) -> f32 {
        match self.near_distance {
            u8::MAX => 0.0,
            distance => percent(f32::from(self.near), f32::from(distance)).min(100.0),
        }
    }

    fn ask(&mut self, object: Object, fails: bool) {
        // Asking twice for the same is no step.
        if !self.ids.insert(scattered(object.id)) {
            return;
        }
        let (mut is_near, mut distance) = (false, 0);
        if self.asked > 0 {
            let ahead = Place::of(object.id).after(self.previous);
            distance = ahead.unsigned_abs();
            is_near = distance <= NEIGHBOUR;
            self.below = moved(self.below, ahead);
            self.above = moved(self.above, -ahead);
        }
        if is_near {
            self.near = self.near.saturating_add(1);
            let distance = u8::try_from(distance).unwrap_or(u8::MAX);
            self.near_distance = self.near_distance.saturating_add(distance);
        }
        if is_near || fails {
            self.counts.hold();
        }
        self.previous = Place::of(object.id);
        self.asked = self.asked.saturating_add(1);
        self.failed = self.failed.saturating_add(u8::from(fails));
    }
}

impl Counts {
    fn held_at_first() -> Self {
        Self(HELD_AT_FIRST)
    }

    /// Steps to neighbours, failures and things made, at most [`MOST_HELD`], less what has pressed on the walk.
    fn held(self) -> u8 {
        self.0 & 0x0f
    }

    fn hold(&mut self) {
        self.0 += u8::from(self.held() < MOST_HELD);
    }

    fn press(&mut self) {
        self.0 -= u8::from(self.held() > 0);
    }

    /// Objects that the client may have made, at most [`MOST_PROMISED`].
    fn promised(self) -> u8 {
        self.0 >> 4
    }

    fn promise(&mut self) {
        self.0 += u8::from(self.promised() < MOST_PROMISED) << 4;
    }

    /// Takes one off, if there is one.
    fn take_promise(&mut self) -> bool {
        let has_one = self.promised() > 0;
        self.0 -= u8::from(has_one) << 4;
        has_one
    }
}

impl Place {
    fn of(id: u64) -> Self {
        Self([id as u16, (id >> 16) as u16, (id >> 32) as u16])
    }

    /// How far it lies after another one, the short way round; negative when before.
    fn after(self, other: Self) -> i64 {
        let at_the_top = |Self([low, middle, high]): Self| {
            u64::from(high) << 48 | u64::from(middle) << 32 | u64::from(low) << 16
        };
        let steps = at_the_top(self).wrapping_sub(at_the_top(other));
        steps.cast_signed() >> 16
    }
}

/// How far the end of a span is from where one has gone, by `steps` away from that end.
fn moved(distance: u16, steps: i64) -> u16 {
    if distance == u16::MAX {
        return distance;
    }
    let distance = (i64::from(distance) + steps).max(0);
    u16::try_from(distance).unwrap_or(u16::MAX)
}

/// One of 32 bits.
fn bit(hash: u64) -> u32 {
    1 << (hash & 31)
}

/// What tells objects apart that press on walks: by the route, which is a keyed hash, nobody knows beforehand.
fn pressing(object: Object) -> u64 {
    scattered(object.id ^ u64::from(object.route) << 32)
}

/// Neighbouring ids as if at random, which the estimate of their number takes for granted (finalizer of SplitMix64: Steele, Lea,
/// Flood, 2014).
fn scattered(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}
