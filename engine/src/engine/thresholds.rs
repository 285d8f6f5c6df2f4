//! The thresholds as operators see and set them, for one API or for all.

use ase_core::api_id::ApiId;

use super::Engine;
use crate::baseline::LearnedThreshold;
use crate::catalogue::{Attack, Variable};
use crate::detection::Basis;
use crate::limit_tables::SetBy;
use crate::settings::{Limit, Response};
use crate::signs::ApiIndex;

/// The thresholds of one variable, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdReport {
    /// The attack.
    pub attack: Attack,
    /// Which of its variables.
    pub variable: Variable,
    /// What it measures.
    pub meaning: &'static str,
    /// What counts.
    pub in_force: Limit,
    /// Why that.
    pub basis: Basis,
    /// What the catalogue says.
    pub system: Limit,
    /// What the API's traffic says, once its training is over.
    pub learned: Option<LearnedThreshold>,
    /// What an operator says, and where.
    pub operator: Option<(Limit, SetBy)>,
    /// What a detection taken back has taught.
    pub taught: Option<f32>,
}

impl Engine {
    /// Sets the thresholds of a variable for an API, or for all, or takes them back to what they are without. For an API also what
    /// detections taken back have taught is forgotten. `None` when there is no such variable, or no room to tell the API apart.
    #[must_use]
    pub fn set_threshold(
        &mut self,
        api: Option<&ApiId>,
        (attack, variable): (Attack, Variable),
        limit: Option<Limit>,
    ) -> Option<()> {
        attack.variables().get(variable as usize)?;
        let index = match api {
            None => None,
            Some(api) => Some(self.index_of(api)?),
        };
        self.limits.set(index, (attack, variable), limit);
        if let Some(index) = index {
            self.lessons.raised.remove(&(index, attack, variable));
        }
        Some(())
    }

    /// Every threshold as it counts for an API, or for all that have none of their own.
    #[must_use]
    pub fn thresholds(&self, api: Option<&ApiId>) -> Vec<ThresholdReport> {
        let index = api.and_then(|api| self.apis.get(api).copied());
        let baseline = index.and_then(|index| self.baselines.report(index, None));
        let learned = baseline.map(|baseline| baseline.thresholds);
        let learned = learned.unwrap_or_default();
        let mut reports = Vec::new();
        for attack in Attack::ALL {
            for (spec, variable) in attack.variables().iter().zip(Variable::ALL) {
                let of_variable = |learned: &&LearnedThreshold| {
                    learned.attack == attack && learned.variable == variable
                };
                let learned = learned.iter().find(of_variable).copied();
                let (in_force, basis) = self.in_force(index, attack, variable);
                reports.push(ThresholdReport {
                    attack,
                    variable,
                    meaning: spec.meaning,
                    in_force,
                    basis,
                    system: Limit {
                        tn: spec.tn,
                        tx: spec.tx,
                    },
                    learned,
                    operator: self.limits.word(index, attack, variable),
                    taught: index.and_then(|index| {
                        let raised = self.lessons.raised.get(&(index, attack, variable));
                        raised.copied()
                    }),
                });
            }
        }
        reports
    }

    /// What counts for a variable: of two thresholds that are both judged by, the lower one.
    fn in_force(
        &self,
        index: Option<ApiIndex>,
        attack: Attack,
        variable: Variable,
    ) -> (Limit, Basis) {
        // Without an API: a number that none has.
        let nowhere = ApiIndex(u16::MAX);
        let thresholds = self
            .lessons
            .thresholds(&self.limits, index.unwrap_or(nowhere), 0);
        let limit = thresholds.limit(attack, variable);
        let limit = limit.unwrap_or(Limit { tn: 0.0, tx: None });
        let judged = self.settings.learned_response(attack) != Response::Off;
        let learned = index.filter(|_| judged).and_then(|index| {
            self.baselines
                .in_force(index, (attack, variable), &thresholds)
        });
        match learned {
            Some(learned) if learned.tn < limit.tn => {
                let tx = Some(learned.tx);
                (Limit { tn: learned.tn, tx }, learned.basis)
            }
            Some(_) | None => (limit, thresholds.basis(attack, variable)),
        }
    }
}
