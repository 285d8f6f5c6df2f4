//! The engine's thresholds and its training over the management port. What was set stays so over restarts, over what is configured.

use std::sync::{Arc, PoisonError};

use ase_core::api_id::ApiId;
use ase_core::fault::{FaultCollector, Fields};
use ase_engine::{
    Attack, BaselineReport, Basis, LearnedThreshold, Limit, RouteReport, SetBy, ThresholdReport,
    Variable,
};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::documented::{Parameters, parameters};
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Presence, Route, Verb};
use super::{Management, off_path};
use crate::config::engine::{attack_named, threshold_of};
use crate::engine_host::rounded;
use crate::state::SetThreshold;

/// Which thresholds are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Which {
    /// `None` stands for all APIs.
    pub(super) api: Option<ApiId>,
    /// `None` stands for every attack.
    pub(super) attack: Option<Attack>,
    /// `None` stands for every variable.
    pub(super) variable: Option<Variable>,
}

/// A threshold to set.
pub(super) struct Wanted {
    api: Option<String>,
    of: (Attack, Variable),
    to: Limit,
}

pub(super) fn routes() -> [Route; 4] {
    let show = Route::new(
        Verb::Get,
        "/v1/engine/thresholds",
        (
            "thresholds",
            "From which values on the behaviour engine reports, and why from these",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            plain(StatusCode::OK, shown(&management, query).await)
        },
    )
    .query("api", Presence::Optional, "as they count for this API")
    .query("attack", Presence::Optional, "of this attack, by its name");
    let set = Route::new(
        Verb::Put,
        "/v1/engine/thresholds",
        (
            "setThreshold",
            "Set the threshold of a variable, for an API or for all",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            plain(StatusCode::OK, set(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    let reset = Route::new(
        Verb::Delete,
        "/v1/engine/thresholds",
        (
            "resetThresholds",
            "Take thresholds back to what they are without an operator",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            plain(StatusCode::OK, reset(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    let training = Route::new(
        Verb::Get,
        "/v1/engine/training",
        (
            "training",
            "What the behaviour engine has learned of each API, and how far its training is",
        ),
        Schema::Report,
        async |State(management): State<Arc<Management>>| {
            plain(StatusCode::OK, training(&management).await)
        },
    );
    [show, set, reset, training]
}

async fn shown(management: &Management, query: Parameters) -> Result<Value, Refusal> {
    let mut query = parameters(query, &["api", "attack"])?;
    let api = query.remove("api").map(|name| served(management, &name));
    let attack = query.remove("attack").map(|name| attack_named(&name));
    let which = Which {
        api: api.transpose()?,
        attack: attack.transpose().map_err(Refusal::wrong)?,
        variable: None,
    };
    let reports = reports(management, &which).await?;
    let rows = reports.iter().map(|report| row(which.api.as_ref(), report));
    Ok(json!({"thresholds": rows.collect::<Vec<_>>()}))
}

/// The thresholds as they count.
pub(super) async fn reports(
    management: &Management,
    which: &Which,
) -> Result<Vec<ThresholdReport>, Refusal> {
    let api = which.api.clone();
    let engine = &management.ase.engine;
    let reports = engine.ask(move |desk| desk.engine.thresholds(api.as_ref()));
    let mut reports = reports.await.ok_or_else(unanswered)?;
    reports.retain(|report| {
        which.attack.is_none_or(|attack| attack == report.attack)
            && which
                .variable
                .is_none_or(|variable| variable == report.variable)
    });
    Ok(reports)
}

async fn set(management: Arc<Management>, caller: Caller, body: &[u8]) -> Result<Value, Refusal> {
    let Wanted { api, of, to } = wanted(body)?;
    let api = api.map(|name| served(&management, &name)).transpose()?;
    let (attack, variable) = of;
    let which = Which {
        api: api.clone(),
        attack: Some(attack),
        variable: Some(variable),
    };
    let change = SetThreshold {
        api,
        attack,
        variable,
        to: Some(to),
    };
    change_all(Arc::clone(&management), caller, vec![change]).await?;
    answered(&management, &which).await
}

async fn reset(management: Arc<Management>, caller: Caller, body: &[u8]) -> Result<Value, Refusal> {
    let which = unwanted(body)?;
    let changes = taken_back(&which);
    change_all(Arc::clone(&management), caller, changes).await?;
    answered(&management, &which).await
}

/// The rows after a change; none while the engine is off, whose thresholds count at the next start.
async fn answered(management: &Management, which: &Which) -> Result<Value, Refusal> {
    let reports = match management.ase.engine.is_on() {
        true => reports(management, which).await?,
        false => Vec::new(),
    };
    let rows = reports.iter().map(|report| row(which.api.as_ref(), report));
    Ok(json!({"thresholds": rows.collect::<Vec<_>>()}))
}

/// Every threshold that is meant, without an operator's value.
pub(super) fn taken_back(which: &Which) -> Vec<SetThreshold> {
    let mut changes = Vec::new();
    let attacks = Attack::ALL.into_iter();
    for attack in attacks.filter(|attack| which.attack.is_none_or(|wanted| wanted == *attack)) {
        let variables = Variable::ALL.into_iter().zip(attack.variables());
        let variables = variables.map(|(variable, _)| variable);
        let meant =
            variables.filter(|variable| which.variable.is_none_or(|wanted| wanted == *variable));
        changes.extend(meant.map(|variable| SetThreshold {
            api: which.api.clone(),
            attack,
            variable,
            to: None,
        }));
    }
    changes
}

/// Stores changes, all of them or none, and tells the engine.
///
/// # Errors
/// When they are not stored, or the engine cannot tell one more API apart; then nothing has changed.
pub(super) async fn change_all(
    management: Arc<Management>,
    caller: Caller,
    changes: Vec<SetThreshold>,
) -> Result<(), Refusal> {
    off_path(move || {
        // A panic under the lock leaves nothing behind: it guards no data.
        let _alone = management
            .turning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = management.state.lock().thresholds()?;
        management.state.lock().settle_thresholds(&changes)?;
        let told = changes.clone();
        let engine = &management.ase.engine;
        if let Some(false) = engine.tell(move |desk| desk.set_thresholds(&told)) {
            let mut back: Vec<SetThreshold> = changes
                .iter()
                .map(|change| SetThreshold {
                    to: None,
                    ..change.clone()
                })
                .collect();
            back.extend(before);
            management.state.lock().settle_thresholds(&back)?;
            let full = "the engine has no room to tell one more API apart";
            return Err(Refusal::conflict(full));
        }
        audit(&management, &caller, &changes)
    })
    .await
}

/// A line for each threshold that is set, and one for all that are taken back.
fn audit(
    management: &Management,
    caller: &Caller,
    changes: &[SetThreshold],
) -> Result<(), Refusal> {
    let of = |change: &SetThreshold| change.api.as_ref().map_or("all", ApiId::as_str).to_owned();
    for change in changes {
        let Some(Limit { tn, tx }) = change.to else {
            continue;
        };
        let tx = tx.map_or_else(|| "none".to_owned(), |tx| tx.to_string());
        let resources = [
            ("api_id", &*of(change)),
            ("attack", change.attack.as_str()),
            ("variable", change.variable.as_str()),
            ("tn", &*tn.to_string()),
            ("tx", &*tx),
        ];
        management.audited(caller, "set_threshold", &resources)?;
    }
    let back: Vec<&SetThreshold> = changes
        .iter()
        .filter(|change| change.to.is_none())
        .collect();
    let Some(first) = back.first() else {
        return Ok(());
    };
    let one_attack = back.iter().all(|change| change.attack == first.attack);
    let resources = [
        ("api_id", &*of(first)),
        (
            "attack",
            if one_attack {
                first.attack.as_str()
            } else {
                "all"
            },
        ),
        (
            "variable",
            if back.len() == 1 {
                first.variable.as_str()
            } else {
                "all"
            },
        ),
    ];
    management.audited(caller, "reset_threshold", &resources)
}

/// The id of an API that is served.
pub(super) fn served(management: &Management, name: &str) -> Result<ApiId, Refusal> {
    let absent = || Refusal::absent(format!("there is no API {name:?}"));
    let id = ApiId::parse(name).map_err(|_| absent())?;
    let snapshot = management.ase.snapshot.load();
    snapshot
        .registry
        .get(&id)
        .is_some()
        .then_some(id)
        .ok_or_else(absent)
}

fn unanswered() -> Refusal {
    Refusal::conflict("the engine is off, or too busy to answer")
}

/// Reads what to set.
pub(super) fn wanted(body: &[u8]) -> Result<Wanted, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let api = fields.text("api");
    let threshold = threshold_of(&mut fields);
    fields.finish();
    let (of, to) = collector.into_complete(threshold)?;
    Ok(Wanted { api, of, to })
}

/// Reads what to take back. The API may be gone.
pub(super) fn unwanted(body: &[u8]) -> Result<Which, Refusal> {
    let mut collector = FaultCollector::default();
    let document = match body {
        [] => None,
        body => collector.json(body),
    }
    .unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let api = fields.custom("api", ApiId::parse);
    let attack = fields.custom("attack", attack_named);
    let variable = fields.custom("variable", |letter| {
        Variable::parse(letter).ok_or("must be a letter from A to F")
    });
    fields.finish();
    Ok(collector.into_result(Which {
        api,
        attack,
        variable,
    })?)
}

fn row(api: Option<&ApiId>, report: &ThresholdReport) -> Value {
    let basis = match report.basis {
        Basis::System => "system",
        Basis::Learned => "learned",
        Basis::Operator => "operator",
        Basis::Taught => "taught",
    };
    json!({
        "api": api.map(ApiId::as_str), "attack": report.attack.as_str(),
        "variable": report.variable.as_str(), "meaning": report.meaning,
        "tn": rounded(report.in_force.tn), "tx": report.in_force.tx.map(rounded), "basis": basis,
        "system": limit(report.system),
        "learned": report.learned.as_ref().map(learned),
        "operator": report.operator.map(|(own, by)| {
            json!({"tn": rounded(own.tn), "tx": own.tx.map(rounded), "set_by": set_by(by)})
        }),
        "taught": report.taught.map(rounded),
    })
}

fn set_by(by: SetBy) -> &'static str {
    match by {
        SetBy::Configuration => "configuration",
        SetBy::EveryApi => "every_api",
        SetBy::ThisApi => "this_api",
    }
}

/// A threshold as answers show it.
pub(super) fn limit(limit: Limit) -> Value {
    json!({"tn": rounded(limit.tn), "tx": limit.tx.map(rounded)})
}

fn learned(learned: &LearnedThreshold) -> Value {
    json!({
        "tn": rounded(learned.tn), "tx": rounded(learned.tx),
        "median": rounded(learned.median), "deviation": rounded(learned.deviation),
    })
}

async fn training(management: &Management) -> Result<Value, Refusal> {
    let engine = &management.ase.engine;
    let reports = engine.ask(|desk| desk.engine.baselines());
    let reports = reports.await.ok_or_else(unanswered)?;
    let of_api = |report: &BaselineReport| {
        json!({
            "api": report.api.as_ref().map(ApiId::as_str), "progress": rounded(report.progress),
            "windows": report.windows, "clients": rounded(report.clients), "sessions": report.sessions,
            "thresholds": all_learned(&report.thresholds),
            "routes": report.routes.iter().map(of_route).collect::<Vec<_>>(),
        })
    };
    Ok(json!({"apis": reports.iter().map(of_api).collect::<Vec<_>>()}))
}

fn of_route(report: &RouteReport) -> Value {
    json!({
        "route": &*report.route, "progress": rounded(report.progress), "windows": report.windows,
        "clients": rounded(report.clients), "thresholds": all_learned(&report.thresholds),
    })
}

fn all_learned(thresholds: &[LearnedThreshold]) -> Vec<Value> {
    let one = |known: &LearnedThreshold| {
        let mut shown = learned(known);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("attack".to_owned(), known.attack.as_str().into());
            shown.insert("variable".to_owned(), known.variable.as_str().into());
        }
        shown
    };
    thresholds.iter().map(one).collect()
}
