//! Traffic that names an attack tool, or betrays one: it begins as a browser, goes on as a program within a moment, and then
//! reads parts of pages, which browsers do for their pages and programs do for nobody.

use crate::catalogue::{Attack, Variable};
use crate::client::Client;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{File, Signs};
use crate::vocabulary::Agent;

/// A disguise is dropped within so many seconds of the first request, or it is two clients behind one address.
const MOMENT_SECONDS: f32 = 3.0;

/// What a client has said that it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disguise {
    /// What it said first; nothing before the first request.
    first: Option<Agent>,
    dropped: bool,
    /// Requests that name or betray a tool.
    pub(crate) telling: f32,
}

pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) {
    let age = signs.at.seconds_since(client.first);
    let disguise = &mut client.disguise;
    let first = *disguise.first.get_or_insert(signs.program);
    match signs.program {
        Agent::Tool => disguise.telling += 1.0,
        Agent::Program if !context.credential && first == Agent::Browser => {
            if !disguise.dropped && age < MOMENT_SECONDS {
                disguise.dropped = true;
                disguise.telling += 1.0;
            } else if disguise.dropped && age < MOMENT_SECONDS && signs.file == File::Asset {
                disguise.telling += 0.25;
            }
        }
        Agent::Program | Agent::Browser => {}
    }
}

pub(crate) fn judge(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    let measure = Measure::of(Attack::Tool, &[client.disguise.telling], thresholds);
    let is_attack = measure.normal(Variable::A);
    measure.suspicion_if(is_attack)
}
