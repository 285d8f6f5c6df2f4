//! Which thresholds count where: those of the catalogue, those of the settings in their place, and those that an operator sets
//! while the engine runs, for all APIs or for one. The narrower word counts.

use std::collections::BTreeMap;

use crate::catalogue::{Attack, Variable};
use crate::detection::Basis;
use crate::settings::{Limit, Settings};
use crate::signs::ApiIndex;

/// The tables of all APIs.
#[derive(Clone, Debug)]
pub(crate) struct LimitTables {
    configured: BTreeMap<(Attack, Variable), Limit>,
    /// Without an API: for all of them.
    set: BTreeMap<(Option<ApiIndex>, Attack, Variable), Limit>,
    everywhere: LimitTable,
    /// Of the APIs that have values of their own.
    apis: BTreeMap<ApiIndex, LimitTable>,
}

/// The thresholds by attack and variable.
#[derive(Clone, Debug)]
pub(crate) struct LimitTable(Vec<[Option<Held>; 6]>);

/// Thresholds, and whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) limit: Limit,
    pub(crate) basis: Basis,
}

/// By which word an operator's threshold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// The settings that the engine began with.
    Configuration,
    /// A value for all APIs, set since.
    EveryApi,
    /// A value for this API, set since.
    ThisApi,
}

impl LimitTables {
    pub(crate) fn of(settings: &Settings) -> Self {
        let configured = settings.thresholds.clone();
        Self {
            everywhere: LimitTable::of(&configured),
            configured,
            set: BTreeMap::new(),
            apis: BTreeMap::new(),
        }
    }

    /// The table that counts for an API.
    pub(crate) fn of_api(&self, api: ApiIndex) -> &LimitTable {
        // Hardly anybody has values for single APIs, and everybody has traffic.
        if self.apis.is_empty() {
            return &self.everywhere;
        }
        self.apis.get(&api).unwrap_or(&self.everywhere)
    }

    /// Sets a threshold for an API or for all, or takes it back.
    pub(crate) fn set(
        &mut self,
        api: Option<ApiIndex>,
        (attack, variable): (Attack, Variable),
        limit: Option<Limit>,
    ) {
        match limit {
            Some(limit) => drop(self.set.insert((api, attack, variable), limit)),
            None => drop(self.set.remove(&(api, attack, variable))),
        }
        let mut values = self.configured.clone();
        values.extend(self.set_for(None));
        self.everywhere = LimitTable::of(&values);
        let apis = self.set.keys().filter_map(|(api, ..)| *api);
        let tables = apis.map(|api| {
            let mut values = values.clone();
            values.extend(self.set_for(Some(api)));
            (api, LimitTable::of(&values))
        });
        self.apis = tables.collect();
    }

    /// What an operator has said of a variable that counts for an API, or for all.
    pub(crate) fn word(
        &self,
        api: Option<ApiIndex>,
        attack: Attack,
        variable: Variable,
    ) -> Option<(Limit, SetBy)> {
        let of = |api| self.set.get(&(api, attack, variable)).copied();
        let own = api.and_then(|api| of(Some(api)));
        let own = own.map(|limit| (limit, SetBy::ThisApi));
        let every = || of(None).map(|limit| (limit, SetBy::EveryApi));
        let configured = || {
            let limit = self.configured.get(&(attack, variable)).copied();
            limit.map(|limit| (limit, SetBy::Configuration))
        };
        own.or_else(every).or_else(configured)
    }

    fn set_for(
        &self,
        wanted: Option<ApiIndex>,
    ) -> impl Iterator<Item = ((Attack, Variable), Limit)> {
        let set = self.set.iter();
        set.filter(move |((api, ..), _)| *api == wanted)
            .map(|((_, attack, variable), limit)| ((*attack, *variable), *limit))
    }
}

impl LimitTable {
    fn of(values: &BTreeMap<(Attack, Variable), Limit>) -> Self {
        let held = |attack: Attack, variable: Variable| {
            let spec = attack.variables().get(variable as usize)?;
            let own = values.get(&(attack, variable));
            Some(match own {
                Some(limit) => Held {
                    limit: *limit,
                    basis: Basis::Operator,
                },
                None => Held {
                    limit: Limit {
                        tn: spec.tn,
                        tx: spec.tx,
                    },
                    basis: Basis::System,
                },
            })
        };
        let row = |attack| Variable::ALL.map(|variable| held(attack, variable));
        Self(Attack::ALL.into_iter().map(row).collect())
    }

    pub(crate) fn get(&self, attack: Attack, variable: Variable) -> Option<Held> {
        let row = self.0.get(attack as usize)?;
        row.get(variable as usize).copied().flatten()
    }
}
