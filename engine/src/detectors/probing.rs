//! Probing: distinct routes that fail, their share, and routes that only attackers look for. Injection and tools beside it.
//!
//! One failing route counts once, however often it is asked for: polling what is not there yet is no probing. A route that
//! answers well to others, a part of a page and an expired login count a quarter: they fail for ordinary people too.

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, File, Intent, Signs};
use crate::vocabulary::{Injection, Sensitive};

const ORDINARY: f32 = 0.25;

pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) {
    match signs.answer {
        Answer::Success => client.successes += 1.0,
        Answer::Unauthorized | Answer::Forbidden | Answer::Absent | Answer::Refused => {
            fail(client, signs, context)
        }
        Answer::Redirect | Answer::Neutral | Answer::Broken | Answer::None => {}
    }
    if let Some(points) = points_of_path(signs, context)
        && client.probing.seen.insert(signs.whole.rotate_left(17))
    {
        client.probing.points += points;
    }
    if let Some(injection) = signs.injection
        && client.probing.seen.insert(signs.target.rotate_left(31))
    {
        client.injection += points_of_injection(injection);
    }
    if signs.tool {
        client.tool += 1.0;
    }
}

pub(crate) fn judge(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    injection(client, thresholds)
        .or_else(|| tool(client, thresholds))
        .or_else(|| probing(client, thresholds))
}

fn probing(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B, C};
    let values = [
        client.probing.routes,
        client.failures_percent(),
        client.probing.points,
    ];
    let measure = Measure::of(Attack::Probing, &values, thresholds);
    let many = measure.normal(A) && measure.normal(B);
    let very_many = measure.extreme(A) && measure.extreme(B);
    let telling = measure.normal(C) && measure.normal(B) && client.probing.routes >= 2.0;
    let is_attack = many || very_many || telling || measure.extreme(C);
    measure.suspicion_if(is_attack)
}

fn injection(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let measure = Measure::of(Attack::Injection, &[client.injection], thresholds);
    let is_attack = measure.normal(Variable::A);
    measure.suspicion_if(is_attack)
}

fn tool(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let measure = Measure::of(Attack::Tool, &[client.tool], thresholds);
    let is_attack = measure.normal(Variable::A);
    measure.suspicion_if(is_attack)
}

fn fail(client: &mut Client, signs: &Signs, context: Context) {
    if signs.file == File::Customary {
        return;
    }
    client.failures += 1.0;
    if signs.login.is_some() || !client.probing.seen.insert(signs.route) {
        return;
    }
    let ordinary =
        context.known_route || signs.file == File::Asset || signs.answer == Answer::Unauthorized;
    client.probing.routes += if ordinary { ORDINARY } else { 1.0 };
}

/// What a path is worth that only attackers look for; nothing where it belongs to the API.
fn points_of_path(signs: &Signs, context: Context) -> Option<f32> {
    if context.known_route || context.common_route {
        return None;
    }
    let fails = signs.answer.is_failure();
    let odd = (signs.intent == Intent::Odd && fails).then_some(2.0);
    let path = match signs.sensitive? {
        Sensitive::Exploit | Sensitive::Secret if fails => 3.0,
        Sensitive::Secret => 2.0,
        Sensitive::Backup if fails => 1.5,
        Sensitive::Admin if fails => 1.5,
        Sensitive::Script if fails => 1.0,
        Sensitive::Exploit | Sensitive::Backup | Sensitive::Admin | Sensitive::Script => {
            return odd;
        }
    };
    Some(path)
}

fn points_of_injection(injection: Injection) -> f32 {
    match injection {
        Injection::Script | Injection::Query => 2.0,
        Injection::File => 3.0,
        Injection::Command => 4.0,
    }
}
