//! Extreme activity, and rules of the request path that were broken: decoys, methods, protocols, content types.

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::detectors::{Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Broken, Signs};

/// What a broken rule counts; a decoy alone is enough.
const DECOY: f32 = 100.0;

pub(crate) fn learn(client: &mut Client, signs: &Signs) {
    client.activity += 1.0;
    client.recent += 1.0;
    client.broken_rules += match signs.broken_rule {
        Some(Broken::Decoy) => DECOY,
        Some(Broken::Shape) => 1.0,
        Some(Broken::ContentType) => 0.5,
        None => 0.0,
    };
}

pub(crate) fn broken_rules(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let decoys = (client.broken_rules / DECOY).round();
    let others = client.broken_rules - decoys * DECOY;
    let single = |attack, value| {
        let measure = Measure::of(attack, &[value], thresholds);
        let is_attack = measure.normal(Variable::A);
        measure.suspicion_if(is_attack)
    };
    single(Attack::Decoy, decoys).or_else(|| single(Attack::Pattern, others))
}

pub(crate) fn judge(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let measure = Measure::of(
        Attack::ExtremeActivity,
        &[client.activity, client.recent],
        thresholds,
    );
    let is_attack = measure.normal(Variable::A);
    measure.suspicion_if(is_attack)
}
