//! Probing: distinct routes that fail, their share, and routes that only attackers look for. Injection beside it.
//!
//! One failing route counts once, however often it is asked for: polling what is not there yet is no probing. A route that
//! answers well to others and an expired login count a quarter, a part of a page a tenth: they fail for ordinary people too.

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, File, Signs};
use crate::vocabulary::{Injection, Sensitive};

/// What a failure counts that happens to ordinary people.
const ORDINARY: f32 = 0.25;
const PART_OF_A_PAGE: f32 = 0.1;
/// Points for what nobody asks for by mistake: they count every time.
const UNEQUIVOCAL: f32 = 3.0;

pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) {
    match signs.answer {
        Answer::Success => client.successes += 1.0,
        Answer::Unauthorized | Answer::Forbidden | Answer::Absent | Answer::Refused => {
            fail(client, signs, context)
        }
        Answer::Redirect | Answer::Neutral | Answer::Broken | Answer::None => {}
    }
    if let Some(points) = points(signs, context)
        && (client.probing.seen.insert(signs.whole.rotate_left(17)) || points >= UNEQUIVOCAL)
    {
        client.probing.points += points;
    }
    if let Some(injection) = signs.injection
        && client.probing.seen.insert(signs.target.rotate_left(31))
    {
        client.injection += points_of_injection(injection);
    }
}

pub(crate) fn judge(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    injection(client, thresholds).or_else(|| probing(client, thresholds))
}

fn probing(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B, C, D, E, F};
    let Client {
        probing, failures, ..
    } = client;
    let percent = client.failures_percent();
    let values = [
        probing.routes,
        percent,
        probing.points,
        *failures,
        probing.routes,
        percent,
    ];
    let measure = Measure::of(Attack::Probing, &values, thresholds);
    let many = measure.normal(A) && measure.normal(B);
    let very_many = measure.extreme(A) && measure.extreme(B);
    let telling = measure.normal(C) && measure.normal(B) && probing.routes >= 2.0;
    let very_telling = measure.extreme(C) && measure.extreme(B);
    let nothing_else = measure.normal(D) && measure.normal(E) && measure.normal(F);
    let is_attack = many || very_many || telling || very_telling || nothing_else;
    measure.suspicion_if(is_attack)
}

fn injection(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let measure = Measure::of(Attack::Injection, &[client.injection], thresholds);
    let is_attack = measure.normal(Variable::A);
    measure.suspicion_if(is_attack)
}

fn fail(client: &mut Client, signs: &Signs, context: Context) {
    if signs.login.is_some() {
        return;
    }
    let expired = signs.answer == Answer::Unauthorized;
    let weight = match signs.file {
        File::Asset => PART_OF_A_PAGE,
        File::Customary => ORDINARY,
        File::Call if context.known_route || expired => ORDINARY,
        File::Call => 1.0,
    };
    client.failures += weight;
    if client.probing.seen.insert(signs.route) {
        client.probing.routes += weight;
    }
}

/// What a request is worth that only attackers make; nothing where it belongs to the API.
fn points(signs: &Signs, context: Context) -> Option<f32> {
    if !signs.answer.is_failure() {
        return None;
    }
    if signs.odd_target {
        return Some(UNEQUIVOCAL);
    }
    if context.known_route || context.common_route {
        return None;
    }
    Some(match signs.sensitive? {
        Sensitive::Unequivocal => UNEQUIVOCAL,
        Sensitive::Suspicious => 2.5,
        Sensitive::Backup => 1.5,
        Sensitive::Admin => 0.8,
        Sensitive::Script => 1.0,
    })
}

fn points_of_injection(injection: Injection) -> f32 {
    match injection {
        Injection::Script | Injection::Query => 2.0,
        Injection::File => 3.0,
        Injection::Command => 4.0,
    }
}
