//! What has been learned of an API and its routes, for people: how far the training is and which thresholds follow.

use ase_core::api_id::ApiId;

use crate::catalogue::{Attack, Variable};
use crate::signs::ApiIndex;

use super::Baselines;
use super::quantity::Quantity;
use super::training::Baseline;

/// The baseline of one API.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineReport {
    /// The API; `None` for traffic that no definition covers.
    pub api: Option<ApiId>,
    /// How much of the training is done, from 0 to 1.
    pub progress: f32,
    /// Windows of ten minutes of one client each that were learned from.
    pub windows: u32,
    /// About how many clients were learned from.
    pub clients: f32,
    /// Sessions that the model of sequences has learned from.
    pub sessions: u32,
    /// The thresholds that count; none while the training goes on.
    pub thresholds: Vec<LearnedThreshold>,
    /// Its routes that have a baseline of their own, those that have taught most first.
    pub routes: Vec<RouteReport>,
}

/// The baseline of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteReport {
    /// Its path, with `{id}` for what names an object.
    pub route: Box<str>,
    /// How much of the training is done, from 0 to 1.
    pub progress: f32,
    /// Windows of ten minutes of one client each that were learned from.
    pub windows: u32,
    /// About how many clients were learned from.
    pub clients: f32,
    /// The thresholds that count beside those of the API; none while the training goes on.
    pub thresholds: Vec<LearnedThreshold>,
}

/// A learned threshold and what it was learned from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedThreshold {
    /// The attack.
    pub attack: Attack,
    /// Which of its variables.
    pub variable: Variable,
    /// The learned threshold.
    pub tn: f32,
    /// What it never exceeds.
    pub tx: f32,
    /// The median of all windows.
    pub median: f32,
    /// How far they are from it: the median absolute deviation, scaled to a standard deviation.
    pub deviation: f32,
}

impl Baselines {
    /// What is known of an API; `None` when there was no traffic.
    pub(crate) fn report(&self, index: ApiIndex, api: Option<ApiId>) -> Option<BaselineReport> {
        let baseline = self.table.api(index)?;
        let routes = self.table.routes().filter(|known| known.api == index);
        let mut routes: Vec<RouteReport> = routes
            .map(|known| RouteReport {
                route: known.template.clone(),
                progress: known.baseline.progress(&self.training),
                windows: known.baseline.windows,
                clients: known.baseline.clients.count().round(),
                thresholds: thresholds(&known.baseline),
            })
            .collect();
        routes.sort_by(|one, other| {
            let order = other.windows.cmp(&one.windows);
            order.then_with(|| one.route.cmp(&other.route))
        });
        Some(BaselineReport {
            api,
            progress: baseline.progress(&self.training),
            windows: baseline.windows,
            clients: baseline.clients.count().round(),
            sessions: baseline.sessions,
            thresholds: thresholds(baseline),
            routes,
        })
    }
}

fn thresholds(baseline: &Baseline) -> Vec<LearnedThreshold> {
    let of_quantity = |quantity: &Quantity| {
        let sketch = baseline.sketches.get(*quantity as usize)?;
        let tn = baseline.threshold(*quantity)?;
        let place = quantity.place();
        let median = sketch.quantile(0.5);
        Some(LearnedThreshold {
            attack: place.attack,
            variable: place.variable,
            tn,
            tx: place.ceiling,
            median,
            deviation: sketch.deviation(median),
        })
    };
    let measured = baseline.of.measured().iter();
    measured.filter_map(of_quantity).collect()
}
