//! Layer two: what is usual on each API and each of its routes, learned from their own traffic, and who does far more than that.
//!
//! Of every client ten minutes at a time are measured ([`windows`]), over the whole API and for each route that several clients use.
//! Windows of clients that nothing speaks against teach the baseline ([`training`]) of the API or route; once its training is over,
//! each quantity has a threshold of its own. Nothing here is judged before, and everything is of fixed size.

use std::num::NonZeroU64;

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::clock::Moment;
use crate::counters::Counters;
use crate::detection::Basis;
use crate::detectors::{Context, Learned, Suspicion, Values};
use crate::hash::Hasher;
use crate::lessons::Thresholds;
use crate::path_shape::template;
use crate::settings::{Response, Training};
use crate::signs::{Answer, ApiIndex, File, Signs};
use crate::transaction::Transaction;

mod memory;
mod quantity;
mod report;
mod sequence;
mod sketch;
mod table;
mod training;
mod windows;

pub(crate) use memory::{Memory, Place};
pub use report::{BaselineReport, LearnedThreshold, RouteReport};
pub(crate) use training::Of;

use quantity::Quantity;
use sequence::{Call, Sequences, Teaches};
use table::Table;
use training::Baseline;
use windows::{WINDOW_SECONDS, Window, Windows};

/// The baselines of all APIs and routes.
#[derive(Debug)]
pub(crate) struct Baselines {
    hasher: Hasher,
    training: Training,
    windows: Windows,
    table: Table,
    sequences: Sequences,
    swept: Moment,
}

/// One transaction of one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) client: &'a Client,
    pub(crate) transaction: &'a Transaction<'a>,
    pub(crate) signs: &'a Signs,
    pub(crate) context: Context,
}

/// What holds of a visit everywhere.
#[derive(Clone, Copy, Debug)]
struct Visitor {
    who: u64,
    /// It was detected lately, or is suspect: it teaches nothing.
    tainted: bool,
}

impl Baselines {
    pub(crate) fn new(training: Training, windows: u32, hasher: Hasher) -> Self {
        Self {
            hasher,
            training,
            windows: Windows::new(windows),
            table: Table::new(),
            sequences: Sequences::new(hasher),
            swept: Moment::default(),
        }
    }

    /// Counts a transaction, learns from the windows that it ends, and says whether its client does far more than is usual.
    pub(crate) fn visit(
        &mut self,
        visit: Visit<'_>,
        thresholds: &Thresholds<'_>,
        counters: &mut Counters,
    ) -> Option<Suspicion> {
        let (client, signs) = (visit.client, visit.signs);
        if signs.at.seconds_since(self.swept) > WINDOW_SECONDS {
            self.sweep(signs.at);
        }
        let accused = client.reported_until > signs.at;
        let visitor = Visitor {
            who: self.hasher.identifier(&client.identifier),
            tainted: accused || client.is_suspect(),
        };
        let of_api = self.visit_one(visit, visitor, None, thresholds, counters);
        // Parts of pages are nobody's business, and what only one client knows is no route.
        let is_route = visit.context.common_route && signs.file == File::Call;
        let route = NonZeroU64::new(signs.route).filter(|_| is_route);
        let of_route =
            route.and_then(|_| self.visit_one(visit, visitor, route, thresholds, counters));
        of_api.or(of_route)
    }

    /// The same on one API, or on one route of it.
    fn visit_one(
        &mut self,
        visit: Visit<'_>,
        visitor: Visitor,
        route: Option<NonZeroU64>,
        thresholds: &Thresholds<'_>,
        counters: &mut Counters,
    ) -> Option<Suspicion> {
        let (signs, who) = (visit.signs, visitor.who);
        let (api, at) = (signs.api, signs.at);
        let baseline = match route {
            None => self.table.of_api(api, at)?,
            Some(route) => {
                let template = || template(visit.transaction.path, visit.transaction.declared());
                self.table.of_called((api, route), at, template, counters)?
            }
        };
        baseline.pass(who, at, &self.training);
        let place = route.map_or(u64::from(api.0), NonZeroU64::get);
        let key = self.hasher.pair(who, place) | 1;
        let fresh = Window::new(who, api, route, at);
        let (window, displaced) = self.windows.of(key, fresh)?;
        if window.is_over(at) {
            learn(baseline, window);
            window.restart(at);
        }
        window.count(signs, visit.context.known_route, visitor.tainted);
        if route.is_none()
            && let Some(call) = call(who, signs, visit.context, visitor.tainted)
        {
            let stepped = self.sequences.step(&mut window.session, call, counters);
            baseline.sessions = baseline
                .sessions
                .saturating_add(u32::from(stepped.new_session));
            if baseline.sessions >= self.training.sessions {
                window.surprise = window.surprise.max(stepped.surprise.unwrap_or_default());
            }
        }
        // Also of who was reported for something else: what is only simulated would be a way to go on unseen.
        let judged = self.training.response != Response::Off;
        let suspicion = judged
            .then(|| {
                judge(
                    baseline,
                    window,
                    (visit.client, visitor.tainted),
                    thresholds,
                    counters,
                )
            })
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
        let baseline = self.table.api(api)?;
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
            if let Some(baseline) = self.table.get_mut(window.api, window.route) {
                learn(baseline, window);
            }
            window.restart(at);
        }
    }

    fn take_over(&mut self, mut displaced: Window) {
        if let Some(baseline) = self.table.get_mut(displaced.api, displaced.route) {
            learn(baseline, &mut displaced);
        }
    }

    /// The name of a route that has a baseline.
    pub(crate) fn template_of(&self, route: u64) -> Option<&str> {
        let mut routes = self.table.routes();
        let known = routes.find(|known| known.route.get() == route)?;
        Some(&known.template)
    }
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
    for &quantity in baseline.of.measured() {
        let value = window.value(quantity);
        // Who writes nothing says nothing about how much those write who do.
        if value > 0.0 {
            baseline.learn(quantity, value);
        }
    }
}

fn judge(
    baseline: &mut Baseline,
    window: &Window,
    (client, tainted): (&Client, bool),
    thresholds: &Thresholds<'_>,
    counters: &mut Counters,
) -> Option<Suspicion> {
    for &quantity in baseline.of.measured() {
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
        if !baseline.stands_out(window.client, tainted) {
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
        of: baseline.of,
    };
    match thresholds.basis(attack, variable) {
        Basis::System | Basis::Learned | Basis::Taught => {
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
