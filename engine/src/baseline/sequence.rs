//! In which order the calls of an API come: a Markov model of variable order over its routes, and how surprising a client's next
//! call is in it.
//!
//! A call is foretold from the three before it, from two, one and none, each blended with the shorter one by how much it has seen
//! (Witten and Bell, 1991). What only one client does is not held to be foreseen, so nobody teaches an order alone. All APIs
//! share one table of counts of fixed size; when it is full all counts are halved and what is left with none goes.

use hashbrown::HashTable;

use crate::client::percent;
use crate::clock::Moment;
use crate::counters::Counters;
use crate::hash::Hasher;
use crate::signs::ApiIndex;

/// Calls that foretell the next.
pub(super) const ORDER: usize = 3;
/// From then on a client's next call begins a session.
const IDLE_SECONDS: f32 = 30.0 * 60.0;
/// How much the latest call counts in a client's surprise.
const LATEST: f32 = 0.15;
/// No single call is more surprising.
const MOST_BITS: f32 = 16.0;
/// Calls after which a session's surprise means something.
pub(super) const LEAST_STEPS: u16 = 12;
/// Calls that make a session.
const SESSION_STEPS: u16 = 5;
const CAPACITY: usize = 1 << 17;
/// Below this share of its capacity a table that was full has room again.
const ROOM_PERCENT: f32 = 75.0;
/// Halving so often leaves nothing of any count.
const HALVINGS: u32 = 32;
/// Stands for all routes that are not known to belong to the API.
const ELSEWHERE: u32 = 1;

/// Where a client is in its calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    /// Its last calls, the latest first.
    recent: [u32; ORDER],
    last: Moment,
    pub(super) steps: u16,
    /// Bits per call, the latest counting most.
    surprise: f32,
}

/// A call as sequences see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) api: ApiIndex,
    /// The route and what is done there.
    pub(super) route: Option<u64>,
    pub(super) client: u64,
    pub(super) at: Moment,
    pub(super) teaches: Teaches,
}

/// Whether the model learns from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teaches {
    Yes,
    Nothing,
}

/// What a call was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stepped {
    /// A session has become one with this call.
    pub(super) new_session: bool,
    /// The surprise of the session so far, where it means something.
    pub(super) surprise: Option<f32>,
}

/// The model of all APIs.
#[derive(Debug)]
pub(super) struct Sequences {
    hasher: Hasher,
    capacity: usize,
    counts: HashTable<Count>,
}

/// How often a context was seen, or a call in a context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) key: u64,
    pub(super) count: u32,
    /// Of a context: how many different calls followed it.
    pub(super) distinct: u16,
    /// Of a call: a bit per client, by its hash.
    pub(super) clients: u16,
}

impl Sequences {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            capacity: CAPACITY,
            counts: HashTable::new(),
        }
    }

    /// Takes a client's next call: how surprising it was, and then it is learned. The same call again is none.
    pub(super) fn step(
        &mut self,
        session: &mut Session,
        call: Call,
        counters: &mut Counters,
    ) -> Stepped {
        if call.at.seconds_since(session.last) > IDLE_SECONDS {
            *session = Session::default();
        }
        session.last = session.last.max(call.at);
        let next = call.route.map_or(ELSEWHERE, |route| route as u32 | 2);
        let mut new_session = false;
        if session.recent.first() != Some(&next) {
            let contexts = self.contexts(call.api, session.recent);
            let bits = self.surprise(contexts, next);
            if call.teaches == Teaches::Yes {
                self.learn(contexts, next, call.client, counters);
            }
            session.surprise += LATEST * (bits - session.surprise);
            session.steps = session.steps.saturating_add(1);
            let [latest, second, _] = session.recent;
            session.recent = [next, latest, second];
            new_session = session.steps == SESSION_STEPS && call.teaches == Teaches::Yes;
        }
        Stepped {
            new_session,
            surprise: (session.steps >= LEAST_STEPS).then_some(session.surprise),
        }
    }

    /// The contexts of the next call, the shortest first.
    fn contexts(&self, api: ApiIndex, recent: [u32; ORDER]) -> [u64; ORDER + 1] {
        let mut contexts = [self.hasher.pair(u64::from(api.0), 0x5e9); ORDER + 1];
        let mut context = self.hasher.pair(u64::from(api.0), 0x5e9);
        let longer = contexts.iter_mut().skip(1);
        for (place, call) in longer.zip(recent) {
            context = self.hasher.pair(context, u64::from(call));
            *place = context;
        }
        contexts
    }

    /// Bits of surprise at a call.
    fn surprise(&self, contexts: [u64; ORDER + 1], next: u32) -> f32 {
        let mut probability = 1.0_f32;
        for (order, context) in contexts.into_iter().enumerate() {
            let Some(all) = self.find(context) else {
                break;
            };
            let distinct = f32::from(all.distinct);
            if order == 0 {
                probability = 1.0 / (distinct + 1.0);
            }
            let seen = self.find(self.followed(context, next));
            let seen = seen.filter(|seen| seen.clients.count_ones() > 1);
            let times = seen.map_or(0.0, |seen| seen.count as f32);
            let whole = all.count as f32 + distinct;
            probability = (times + distinct * probability) / whole.max(1.0);
        }
        (-probability.max(f32::MIN_POSITIVE).log2()).clamp(0.0, MOST_BITS)
    }

    fn learn(
        &mut self,
        contexts: [u64; ORDER + 1],
        next: u32,
        client: u64,
        counters: &mut Counters,
    ) {
        if self.counts.len() + contexts.len() * 2 > self.capacity {
            self.halve();
            counters.sequences_halved += 1;
        }
        let bit = 1_u16 << (client >> 60);
        for context in contexts {
            let followed = self.followed(context, next);
            let is_new = self.find(followed).is_none();
            let seen = self.entry(followed);
            seen.count = seen.count.saturating_add(1);
            seen.clients |= bit;
            let all = self.entry(context);
            all.count = all.count.saturating_add(1);
            all.distinct = all.distinct.saturating_add(u16::from(is_new));
        }
    }

    /// Every count.
    pub(super) fn counts(&self) -> impl Iterator<Item = Count> {
        self.counts.iter().copied()
    }

    /// Takes a count back; `None` when it is known already, or there is no room.
    pub(super) fn restore(&mut self, count: Count) -> Option<()> {
        if self.counts.len() >= self.capacity || self.find(count.key).is_some() {
            return None;
        }
        *self.entry(count.key) = count;
        Some(())
    }

    /// Halves every count until there is room.
    fn halve(&mut self) {
        for _ in 0..HALVINGS {
            self.counts.retain(|count| {
                count.count /= 2;
                count.distinct = count.distinct.div_ceil(2);
                count.count > 0
            });
            if percent(self.counts.len() as f32, self.capacity as f32) < ROOM_PERCENT {
                return;
            }
        }
    }

    fn followed(&self, context: u64, next: u32) -> u64 {
        self.hasher.pair(context, u64::from(next) << 32 | 1)
    }

    fn find(&self, key: u64) -> Option<Count> {
        self.counts.find(key, |count| count.key == key).copied()
    }

    fn entry(&mut self, key: u64) -> &mut Count {
        let fresh = Count {
            key,
            count: 0,
            distinct: 0,
            clients: 0,
        };
        let place = self
            .counts
            .entry(key, |count| count.key == key, |count| count.key);
        place.or_insert(fresh).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> (Sequences, Counters) {
        (Sequences::new(Hasher::new(3)), Counters::default())
    }

    fn walk(
        model: &mut Sequences,
        counters: &mut Counters,
        client: u64,
        routes: &[u64],
        teaches: Teaches,
    ) -> f32 {
        let mut session = Session::default();
        let mut surprise = 0.0;
        for (step, route) in (0_u32..).zip(routes) {
            let call = Call {
                api: ApiIndex(1),
                route: Some(route * 64),
                client: client.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                at: Moment(1 + step * 50),
                teaches,
            };
            let stepped = model.step(&mut session, call, counters);
            surprise = stepped.surprise.unwrap_or(surprise);
        }
        surprise
    }

    /// Browse, look, put into the cart, pay: over and over.
    fn usual() -> Vec<u64> {
        (0..40).map(|step| 10 + step % 8).collect()
    }

    /// The same calls in an order of its own.
    fn odd() -> Vec<u64> {
        (0..40).map(|step| 10 + step * 5 % 8).collect()
    }

    #[test]
    fn calls_in_an_order_that_nobody_else_uses_surprise_and_the_usual_order_does_not() {
        let (mut model, mut counters) = model();
        for client in 0..50 {
            walk(&mut model, &mut counters, client, &usual(), Teaches::Yes);
        }
        let ordinary = walk(&mut model, &mut counters, 60, &usual(), Teaches::Yes);
        let strange = walk(&mut model, &mut counters, 61, &odd(), Teaches::Nothing);
        assert!(ordinary < 1.0, "{ordinary}");
        assert!(strange > 6.0, "{strange}");
    }

    #[test]
    fn one_client_alone_does_not_make_its_order_usual() {
        let (mut model, mut counters) = model();
        for client in 0..50 {
            walk(&mut model, &mut counters, client, &usual(), Teaches::Yes);
        }
        for _ in 0..100 {
            walk(&mut model, &mut counters, 61, &odd(), Teaches::Yes);
        }
        let strange = walk(&mut model, &mut counters, 61, &odd(), Teaches::Yes);
        assert!(strange > 6.0, "{strange}");
    }

    #[test]
    fn the_table_stays_within_its_size_and_keeps_what_is_used_most() {
        let (mut model, mut counters) = model();
        model.capacity = 512;
        for round in 0..200_u64 {
            walk(&mut model, &mut counters, round, &usual(), Teaches::Yes);
            let noise: Vec<u64> = (0..10).map(|step| 1000 + round * 10 + step).collect();
            walk(&mut model, &mut counters, round, &noise, Teaches::Yes);
            assert!(model.counts.len() <= 512);
        }
        assert!(counters.sequences_halved > 0);
        let ordinary = walk(&mut model, &mut counters, 9, &usual(), Teaches::Nothing);
        assert!(ordinary < 3.0, "{ordinary}");
    }
}
