//! What operators have taught: this client, this route or this threshold is no attack. And the thresholds that follow from it.

use std::collections::{BTreeMap, BTreeSet};

use ase_core::identifier_list::ListedIdentifier;

use crate::catalogue::{Attack, Variable};
use crate::detection::Basis;
use crate::detectors::Values;
use crate::limit_tables::{LimitTable, LimitTables};
use crate::settings::Limit;
use crate::signs::ApiIndex;

/// How much above what was measured a taught threshold lies.
const ROOM: f32 = 1.25;

/// What a wrong detection teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lesson {
    /// Nothing: only this once.
    Once,
    /// This client does so by right.
    Client,
    /// Requests of this route are no sign of this attack.
    Route,
    /// Such values are usual for this API: its thresholds rise above them.
    Threshold,
}

/// What was undone. The host takes the identifier off its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Who was wrongly listed.
    pub identifier: ListedIdentifier,
    /// For what.
    pub attack: Attack,
}

/// Everything taught.
#[derive(Clone, Debug)]
pub(crate) struct Lessons {
    capacity: usize,
    pub(crate) clients: BTreeSet<(ListedIdentifier, Attack)>,
    pub(crate) routes: BTreeSet<(u64, Attack)>,
    pub(crate) raised: BTreeMap<(ApiIndex, Attack, Variable), f32>,
}

/// The thresholds that count for one API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds<'t> {
    table: &'t LimitTable,
    raised: &'t BTreeMap<(ApiIndex, Attack, Variable), f32>,
    api: ApiIndex,
    /// The attacks that are not judged, a bit each.
    skipped: u32,
}

impl Lessons {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity as usize,
            clients: BTreeSet::new(),
            routes: BTreeSet::new(),
            raised: BTreeMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.routes.len() + self.raised.len()
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < self.capacity
    }

    pub(crate) fn thresholds<'t>(
        &'t self,
        tables: &'t LimitTables,
        api: ApiIndex,
        skipped: u32,
    ) -> Thresholds<'t> {
        Thresholds {
            table: tables.of_api(api),
            raised: &self.raised,
            api,
            skipped,
        }
    }

    /// Raises the thresholds of an attack for an API above what was measured. Those of shares stay: with 125 percent of failures
    /// as a threshold the attack would never be found again.
    pub(crate) fn raise(&mut self, api: ApiIndex, attack: Attack, values: &Values) {
        for (spec, variable) in attack.variables().iter().zip(Variable::ALL) {
            let above = values.get(variable) * ROOM;
            if spec.is_share || above <= 0.0 {
                continue;
            }
            let raised = self.raised.entry((api, attack, variable)).or_default();
            *raised = raised.max(above);
        }
    }

    /// The attacks that this was taught to be none of, a bit each.
    pub(crate) fn exempt(&self, identifier: &ListedIdentifier, route: u64) -> u32 {
        if self.clients.is_empty() && self.routes.is_empty() {
            return 0;
        }
        let taught = |attack: &Attack| {
            self.clients.contains(&(*identifier, *attack))
                || self.routes.contains(&(route, *attack))
        };
        let attacks = Attack::ALL.into_iter().filter(taught);
        attacks.fold(0, |mask, attack| mask | 1 << (attack as u32))
    }
}

impl Thresholds<'_> {
    /// Where the thresholds of a variable come from.
    pub(crate) fn basis(&self, attack: Attack, variable: Variable) -> Basis {
        let held = self.table.get(attack, variable);
        let basis = held.map_or(Basis::System, |held| held.basis);
        let own = held.map_or(0.0, |held| held.limit.tn);
        let raised = self.raised(attack, variable).unwrap_or_default();
        if basis == Basis::System && raised > own {
            return Basis::Taught;
        }
        basis
    }

    /// What an operator has taught to be usual for a variable.
    pub(crate) fn raised(&self, attack: Attack, variable: Variable) -> Option<f32> {
        if self.raised.is_empty() {
            return None;
        }
        self.raised.get(&(self.api, attack, variable)).copied()
    }

    /// Whether an attack is judged at all.
    pub(crate) fn judge(&self, attack: Attack) -> bool {
        self.skipped & 1 << (attack as u32) == 0
    }

    pub(crate) fn limit(&self, attack: Attack, variable: Variable) -> Option<Limit> {
        let limit = self.table.get(attack, variable)?.limit;
        let Some(raised) = self.raised(attack, variable) else {
            return Some(limit);
        };
        Some(Limit {
            tn: limit.tn.max(raised),
            tx: limit.tx.map(|tx| tx.max(raised)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_taught_threshold_lies_above_what_was_measured_and_counts_for_its_api_only() {
        let table = LimitTables::of(&Settings::default());
        let mut lessons = Lessons::new(10);
        lessons.raise(
            ApiIndex(1),
            Attack::Probing,
            &Values::of(&[40.0, 100.0, 0.0]),
        );
        let of = |api| {
            lessons
                .thresholds(&table, ApiIndex(api), 0)
                .limit(Attack::Probing, Variable::A)
        };
        assert_eq!(of(1).map(|limit| limit.tn), Some(50.0));
        assert_eq!(of(2).map(|limit| limit.tn), Some(8.0));
        let share = lessons
            .thresholds(&table, ApiIndex(1), 0)
            .limit(Attack::Probing, Variable::B);
        assert_eq!(share.map(|limit| limit.tn), Some(50.0));
        let thresholds = lessons.thresholds(&table, ApiIndex(1), 0);
        let bases = [Variable::A, Variable::B, Variable::C]
            .map(|variable| thresholds.basis(Attack::Probing, variable));
        assert_eq!(bases, [Basis::Taught, Basis::System, Basis::System]);
    }
}
