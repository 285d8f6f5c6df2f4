//! Layer two: what is usual on each API, learned from its own traffic, and who does far more than that.
//!
//! Of every client ten minutes at a time are measured ([`windows`]). Windows of clients that nothing speaks against teach the API's
//! baseline ([`training`]); once its training is over, each quantity has a threshold of its own. Nothing here is judged before,
//! and everything is of fixed size.

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::clock::Moment;
use crate::counters::Counters;
use crate::detection::Basis;
use crate::detectors::{Context, Learned, Suspicion, Values};
use crate::hash::Hasher;
use crate::lessons::Thresholds;
use crate::settings::{Response, Training};
use crate::signs::{Answer, ApiIndex, File, Signs};

mod memory;
mod quantity;
mod report;
mod sequence;
mod sketch;
mod training;
mod windows;

pub(crate) use memory::Memory;
pub use report::{BaselineReport, LearnedThreshold};

use quantity::Quantity;
use sequence::{Call, Sequences, Teaches};
use training::Baseline;
use windows::{WINDOW_SECONDS, Window, Windows};

/// The baselines of all APIs.
#[derive(Debug)]
pub(crate) struct Baselines {
    hasher: Hasher,
    training: Training,
    windows: Windows,
    /// By [`ApiIndex`].
    apis: Vec<Option<Box<Baseline>>>,
    sequences: Sequences,
    swept: Moment,
}

/// One transaction of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) client: &'a Client,
    pub(crate) signs: &'a Signs,
    pub(crate) context: Context,
}

impl Baselines {
    pub(crate) fn new(training: Training, windows: u32, hasher: Hasher) -> Self {
        Self {
            hasher,
            training,
            windows: Windows::new(windows),
            apis: Vec::new(),
            sequences: Sequences::new(hasher),
            swept: Moment::default(),
        }
    }

    /// Counts a transaction, learns from the window that it ends, and says whether its client does far more than is usual.
    pub(crate) fn visit(
        &mut self,
        visit: Visit<'_>,
        thresholds: &Thresholds<'_>,
        counters: &mut Counters,
    ) -> Option<Suspicion> {
        let Visit {
            client,
            signs,
            context,
        } = visit;
        if signs.at.seconds_since(self.swept) > WINDOW_SECONDS {
            self.sweep(signs.at);
        }
        let who = self.hasher.identifier(&client.identifier);
        let baseline = baseline(&mut self.apis, signs.api, signs.at)?;
        baseline.pass(who, signs.at, &self.training);
        let key = self.hasher.pair(who, u64::from(signs.api.0)) | 1;
        let (window, displaced) = self.windows.of(key, who, signs)?;
        if window.is_over(signs.at) {
            learn(baseline, window);
            window.restart(signs.at);
        }
        let accused = client.reported_until > signs.at;
        let tainted = accused || client.is_suspect();
        window.count(signs, context.known_route, tainted);
        if let Some(call) = call(who, signs, context, tainted) {
            let stepped = self.sequences.step(&mut window.session, call, counters);
            baseline.sessions = baseline
                .sessions
                .saturating_add(u32::from(stepped.new_session));
            if baseline.sessions >= self.training.sessions {
                window.surprise = window.surprise.max(stepped.surprise.unwrap_or_default());
            }
        }
        let judged = !accused && self.training.response != Response::Off;
        let suspicion = judged
            .then(|| judge(baseline, window, client, thresholds, counters))
            .flatten();
        if let Some(displaced) = displaced {
            counters.windows_displaced += 1;
            self.take_over(displaced);
        }
        suspicion
    }

    /// A client was wrongly detected: what it has done in its present windows counts no more.
    pub(crate) fn forgive(&mut self, client: u64) {
        self.windows.forget(client);
    }

    /// The threshold of windows that counts for a variable; `None` where nothing is learned of it.
    pub(crate) fn in_force(
        &self,
        api: ApiIndex,
        (attack, variable): (Attack, Variable),
        thresholds: &Thresholds<'_>,
    ) -> Option<Learned> {
        let baseline = self.apis.get(usize::from(api.0))?.as_ref()?;
        let of_variable = |quantity: &Quantity| {
            let place = quantity.place();
            place.attack == attack && place.variable == variable
        };
        let quantity = Quantity::ALL.into_iter().find(of_variable)?;
        limit(quantity, baseline, thresholds)
    }

    /// Learns from all windows that are over, so that clients which never come back count as well.
    fn sweep(&mut self, at: Moment) {
        self.swept = at;
        for window in self.windows.over(at) {
            if let Some(baseline) = baseline(&mut self.apis, window.api, at) {
                learn(baseline, window);
            }
            window.restart(at);
        }
    }

    fn take_over(&mut self, mut displaced: Window) {
        let at = displaced.ended();
        if let Some(baseline) = baseline(&mut self.apis, displaced.api, at) {
            learn(baseline, &mut displaced);
        }
    }
}

fn baseline(
    apis: &mut Vec<Option<Box<Baseline>>>,
    api: ApiIndex,
    at: Moment,
) -> Option<&mut Baseline> {
    let place = usize::from(api.0);
    if apis.len() <= place {
        apis.resize(place + 1, None);
    }
    let slot = apis.get_mut(place)?;
    Some(slot.get_or_insert_with(|| Box::new(Baseline::new(at))))
}

/// A transaction as sequences see it: what was answered well and is a call.
fn call(who: u64, signs: &Signs, context: Context, tainted: bool) -> Option<Call> {
    if signs.answer != Answer::Success || signs.file != File::Call {
        return None;
    }
    let route = signs.route.rotate_left(signs.intent as u32);
    Some(Call {
        api: signs.api,
        route: context.common_route.then_some(route),
        client: who,
        at: signs.at,
        teaches: if tainted {
            Teaches::Nothing
        } else {
            Teaches::Yes
        },
    })
}

/// Learns from a window that is over, unless its client is one that teaches nothing.
fn learn(baseline: &mut Baseline, window: &mut Window) {
    if window.requests == 0 || !window.teaches() {
        return;
    }
    baseline.windows = baseline.windows.saturating_add(1);
    baseline.clients.insert(window.client);
    for quantity in Quantity::ALL {
        let value = window.value(quantity);
        // A window without a run of calls says nothing about surprise.
        if quantity != Quantity::Surprise || value > 0.0 {
            baseline.learn(quantity, value);
        }
    }
}

fn judge(
    baseline: &mut Baseline,
    window: &Window,
    client: &Client,
    thresholds: &Thresholds<'_>,
    counters: &mut Counters,
) -> Option<Suspicion> {
    for quantity in Quantity::ALL {
        let place = quantity.place();
        let Some(learned) = limit(quantity, baseline, thresholds) else {
            continue;
        };
        let value = window.value(quantity);
        if value < learned.tn || !thresholds.judge(place.attack) {
            continue;
        }
        let values = values(quantity, window, client);
        if !goes_with_it(quantity, &values, thresholds) {
            continue;
        }
        if !baseline.stands_out(window.client) {
            counters.baselines_doubted += 1;
            return None;
        }
        return Some(Suspicion {
            attack: place.attack,
            values,
            learned: Some(learned),
        });
    }
    None
}

/// The threshold that counts for a quantity: an operator's own before a learned one, and that not below what an operator has taught.
fn limit(quantity: Quantity, baseline: &Baseline, thresholds: &Thresholds<'_>) -> Option<Learned> {
    let place = quantity.place();
    let (attack, variable) = (place.attack, place.variable);
    let learned = baseline.threshold(quantity);
    let of = |tn: f32, basis| Learned {
        variable,
        tn: (tn * 10.0).round() / 10.0,
        tx: place.ceiling.max(tn),
        basis,
    };
    match thresholds.basis(attack, variable) {
        Basis::System | Basis::Learned => learned.map(|tn| of(tn, Basis::Learned)),
        Basis::Taught => {
            let taught = thresholds.raised(attack, variable).unwrap_or_default();
            learned.map(|tn| match taught > tn {
                true => of(taught, Basis::Taught),
                false => of(tn, Basis::Learned),
            })
        }
        Basis::Operator => {
            let own = thresholds.limit(attack, variable)?;
            Some(Learned {
                tx: own.tx.unwrap_or(place.ceiling).max(own.tn),
                ..of(own.tn, Basis::Operator)
            })
        }
    }
}

fn values(quantity: Quantity, window: &Window, client: &Client) -> Values {
    let value = window.value(quantity);
    match quantity {
        Quantity::Calls => Values::of(&[client.activity, value]),
        Quantity::Megabytes => Values::of(&[value, window.value(Quantity::Objects)]),
        Quantity::FailedRoutes => Values::of(&[value, window.failures_percent()]),
        Quantity::Surprise => Values::of(&[value, f32::from(window.session.steps)]),
        Quantity::Objects | Quantity::Writes | Quantity::Deletes => Values::of(&[value]),
    }
}

/// Whether the other variable of an attack that needs one is reached as well.
fn goes_with_it(quantity: Quantity, values: &Values, thresholds: &Thresholds<'_>) -> bool {
    let reached = |attack: Attack| {
        let limit = thresholds.limit(attack, Variable::B);
        limit.is_some_and(|limit| values.get(Variable::B) >= limit.tn)
    };
    match quantity {
        Quantity::Megabytes | Quantity::FailedRoutes | Quantity::Surprise => {
            reached(quantity.place().attack)
        }
        Quantity::Calls | Quantity::Objects | Quantity::Writes | Quantity::Deletes => true,
    }
}
