//! The engine's thresholds that operators set while it runs, for an API or for all.

use ase_core::api_id::ApiId;
use ase_engine::{Attack, Limit, Variable};
use rusqlite::params;

use super::{State, StateError};

/// A threshold that is set, or taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct SetThreshold {
    /// Where; `None` stands for all APIs.
    pub api: Option<ApiId>,
    /// Of which attack.
    pub attack: Attack,
    /// Which of its variables.
    pub variable: Variable,
    /// What it is; `None` is what it would be without an operator.
    pub to: Option<Limit>,
}

impl State {
    /// Stores thresholds and removes those that are taken back; all or nothing.
    ///
    /// # Errors
    /// When that is not stored.
    pub fn settle_thresholds(&mut self, changes: &[SetThreshold]) -> Result<(), StateError> {
        let transaction = self.database.transaction()?;
        for change in changes {
            let api = change.api.as_ref().map_or("", ApiId::as_str);
            let (attack, variable) = (change.attack.as_str(), change.variable.as_str());
            let delete = "DELETE FROM threshold WHERE api = ?1 AND attack = ?2 AND variable = ?3";
            transaction.execute(delete, params![api, attack, variable])?;
            if let Some(Limit { tn, tx }) = change.to {
                let insert = "INSERT INTO threshold (api, attack, variable, tn, tx) VALUES (?1, ?2, ?3, ?4, ?5)";
                transaction.execute(insert, params![api, attack, variable, tn, tx])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Every threshold that is set; one that this version has no name for is left out.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn thresholds(&self) -> Result<Vec<SetThreshold>, StateError> {
        let mut select = self
            .database
            .prepare("SELECT api, attack, variable, tn, tx FROM threshold ORDER BY api")?;
        let rows = select.query_map([], |row| {
            let (api, attack, variable): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let limit = Limit {
                tn: row.get(3)?,
                tx: row.get(4)?,
            };
            Ok(named(&api, &attack, &variable, limit))
        })?;
        let rows: Vec<Option<SetThreshold>> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().flatten().collect())
    }
}

fn named(api: &str, attack: &str, variable: &str, limit: Limit) -> Option<SetThreshold> {
    Some(SetThreshold {
        api: match api {
            "" => None,
            api => Some(ApiId::parse(api).ok()?),
        },
        attack: Attack::parse(attack)?,
        variable: Variable::parse(variable)?,
        to: Some(limit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(api: Option<&str>, tn: Option<f32>) -> SetThreshold {
        SetThreshold {
            api: api.map(|api| ApiId::parse(api).unwrap()),
            attack: Attack::Probing,
            variable: Variable::A,
            to: tn.map(|tn| Limit {
                tn,
                tx: Some(tn * 2.0),
            }),
        }
    }

    #[test]
    fn what_is_set_comes_back_for_each_api_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        let all = of(None, Some(20.5));
        let changes = [all.clone(), of(Some("shop"), Some(9.0))];
        state.settle_thresholds(&changes).unwrap();
        let later = of(Some("shop"), Some(10.0));
        state
            .settle_thresholds(std::slice::from_ref(&later))
            .unwrap();
        drop(state);
        let mut state = State::open(folder.path()).unwrap();
        assert_eq!(state.thresholds().unwrap(), [all, later.clone()]);
        state.settle_thresholds(&[of(None, None)]).unwrap();
        state
            .database
            .execute_batch("INSERT INTO threshold VALUES ('shop', 'telepathy', 'A', 1, NULL)")
            .unwrap();
        assert_eq!(state.thresholds().unwrap(), [later]);
    }
}
