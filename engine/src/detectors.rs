//! Layer one: what one client does, judged by thresholds from the first second on.
//!
//! [`learn`] writes what a transaction shows into a client's record; [`judge`] asks every detector whether that is an attack.

use crate::baseline::Of;
use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::detection::{Basis, Measured, Threshold};
use crate::lessons::Thresholds;
use crate::settings::Limit;
use crate::signs::Signs;

pub(crate) mod activity;
pub(crate) mod enumeration;
pub(crate) mod login;
pub(crate) mod probing;
pub(crate) mod theft;
pub(crate) mod tool;
pub(crate) mod volume;

/// What is known besides the client's own record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// The route answers well to others.
    pub(crate) known_route: bool,
    /// The route answers well to several: it belongs to the API.
    pub(crate) common_route: bool,
    /// The object that the request names is for everybody.
    pub(crate) public_object: bool,
    /// The object is no older than those read last: who has made something reads such ones.
    pub(crate) newest_object: bool,
    /// The record is that of a credential, and not of an address.
    pub(crate) credential: bool,
    /// No credential came with the request that had come before.
    pub(crate) unknown_bearer: bool,
}

/// An attack with what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    pub(crate) attack: Attack,
    pub(crate) values: Values,
    /// The threshold that was learned, where it is one.
    pub(crate) learned: Option<Learned>,
}

/// A threshold in place of that of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learned {
    pub(crate) variable: Variable,
    pub(crate) tn: f32,
    pub(crate) tx: f32,
    pub(crate) basis: Basis,
    pub(crate) of: Of,
}

/// The values of an attack's variables, A first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values([f32; 6]);

/// Compares the values of one attack with its thresholds.
#[derive(Debug)]
pub(crate) struct Measure<'t> {
    attack: Attack,
    values: Values,
    thresholds: &'t Thresholds<'t>,
}

/// Whether a request that is not odd by itself is worth keeping as a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    Yes,
    No,
}

/// Writes into a record what a transaction shows.
pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) -> Telling {
    probing::learn(client, signs, context);
    tool::learn(client, signs, context);
    login::learn(client, signs, context);
    let telling = enumeration::learn(client, signs, context);
    volume::learn(client, signs);
    activity::learn(client, signs);
    telling
}

/// What attack the record shows, if any; the most telling one first.
pub(crate) fn judge(
    client: &Client,
    signs: &Signs,
    context: Context,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    activity::broken_rules(client, thresholds)
        .or_else(|| login::judge(client, signs, context, thresholds))
        .or_else(|| probing::judge(client, thresholds))
        .or_else(|| tool::judge(client, thresholds))
        .or_else(|| enumeration::judge(client, signs, context, thresholds))
        .or_else(|| volume::judge(client, thresholds))
        .or_else(|| activity::judge(client, thresholds))
        .or_else(|| theft::judge(client, context, thresholds))
}

impl Values {
    /// In one word.
    pub(crate) fn text(&self) -> String {
        self.0.map(|value| value.to_string()).join(",")
    }

    /// Reads [`Self::text`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',');
        let mut all = Self::default();
        for place in &mut all.0 {
            let value = words.next()?.parse().ok();
            *place = value.filter(|value: &f32| (0.0..f32::INFINITY).contains(value))?;
        }
        words.next().is_none().then_some(all)
    }

    pub(crate) fn of(values: &[f32]) -> Self {
        let mut all = [0.0; 6];
        for (to, from) in all.iter_mut().zip(values) {
            *to = *from;
        }
        Self(all)
    }

    pub(crate) fn get(&self, variable: Variable) -> f32 {
        self.0.get(variable as usize).copied().unwrap_or(0.0)
    }
}

impl<'t> Measure<'t> {
    pub(crate) fn of(attack: Attack, values: &[f32], thresholds: &'t Thresholds<'t>) -> Self {
        Self {
            attack,
            values: Values::of(values),
            thresholds,
        }
    }

    /// Whether a variable has reached its normal threshold.
    pub(crate) fn normal(&self, variable: Variable) -> bool {
        let limit = self.thresholds.limit(self.attack, variable);
        limit.is_some_and(|limit| self.values.get(variable) >= limit.tn)
    }

    /// Whether a variable has reached its extreme threshold.
    pub(crate) fn extreme(&self, variable: Variable) -> bool {
        let limit = self.thresholds.limit(self.attack, variable);
        limit
            .and_then(|limit| limit.tx)
            .is_some_and(|tx| self.values.get(variable) >= tx)
    }

    pub(crate) fn suspicion_if(self, is_attack: bool) -> Option<Suspicion> {
        (is_attack && self.thresholds.judge(self.attack)).then_some(Suspicion {
            attack: self.attack,
            values: self.values,
            learned: None,
        })
    }
}

/// The variables of an attack for a report.
pub(crate) fn measured(suspicion: &Suspicion, thresholds: &Thresholds<'_>) -> Vec<Measured> {
    let Suspicion {
        attack,
        values,
        learned,
    } = suspicion;
    let attack = *attack;
    let specs = attack.variables().iter().zip(Variable::ALL);
    specs
        .filter_map(|(spec, variable)| {
            let learned = learned.filter(|learned| learned.variable == variable);
            let (limit, basis) = match learned {
                Some(Learned { tn, tx, basis, .. }) => (Limit { tn, tx: Some(tx) }, basis),
                None => (
                    thresholds.limit(attack, variable)?,
                    thresholds.basis(attack, variable),
                ),
            };
            let value = values.get(variable);
            let above = |threshold: f32| value >= threshold;
            // Where the extreme threshold is the lower one, it counts beside another variable's extreme.
            let extreme = limit.tx.is_some_and(|tx| tx >= limit.tn && above(tx));
            let reached = match (extreme, above(limit.tn)) {
                (true, _) => Threshold::Extreme,
                (false, true) => Threshold::Normal,
                (false, false) => Threshold::Below,
            };
            Some(Measured {
                variable,
                meaning: spec.meaning,
                value,
                tn: limit.tn,
                tx: limit.tx,
                basis,
                reached,
            })
        })
        .collect()
}
