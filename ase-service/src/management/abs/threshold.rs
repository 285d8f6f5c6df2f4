//! `/v4/abs/attack/threshold`: the thresholds of an API, and whether the system's or the operator's count.

use std::sync::Arc;

use ase_core::api_id::ApiId;
use ase_core::fault::{FaultCollector, Fields, Item};
use ase_engine::{Attack, Limit, ThresholdReport, Variable};
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use crate::config::engine::limit_of;
use crate::management::Management;
use crate::management::caller::Caller;
use crate::management::documented::{Parameters, parameters, success};
use crate::management::openapi::Schema;
use crate::management::reply::{Refusal, documented};
use crate::management::route::{Presence, Route, Verb};
use crate::management::thresholds::{Which, change_all, limit, reports, served, taken_back};
use crate::state::SetThreshold;

const PATH: &str = "/v4/abs/attack/threshold";

/// Whose thresholds are to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    System,
    User,
}

pub(super) fn routes() -> [Route; 2] {
    let summary = "The thresholds of an API, the system's and an operator's";
    let show = Route::new(
        Verb::Get,
        PATH,
        ("absThresholds", summary),
        Schema::Report,
        async |State(management): State<Arc<Management>>, query: Parameters| {
            documented(show(&management, query).await)
        },
    )
    .query(
        "api_name",
        Presence::Optional,
        "of this API; of all without it",
    )
    .query("type", Presence::Optional, "of the attack of this number");
    let set = Route::new(
        Verb::Put,
        PATH,
        (
            "absSetThresholds",
            "Set an API's thresholds (mode user), or take them back (mode system)",
        ),
        Schema::Success,
        async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
            documented(set(management, caller, &body).await)
        },
    )
    .body(Schema::Report);
    [show, set]
}

async fn show(management: &Management, query: Parameters) -> Result<Value, Refusal> {
    let mut query = parameters(query, &["api_name", "type"])?;
    let api = query.remove("api_name");
    let api = api.map(|name| served(management, &name)).transpose()?;
    let attack = query.remove("type").map(|number| {
        let number = number.parse().ok();
        number
            .and_then(Attack::numbered)
            .ok_or_else(|| Refusal::wrong("type: must be the number of an attack of the engine"))
    });
    let which = Which {
        api: api.clone(),
        attack: attack.transpose()?,
        variable: None,
    };
    let reports = reports(management, &which).await?;
    let user = reports.iter().any(|report| report.operator.is_some());
    Ok(json!({
        "api_name": api.as_ref().map(ApiId::as_str), "mode": if user { "user" } else { "system" },
        "ioc_threshold": reports.iter().map(row).collect::<Vec<_>>(),
    }))
}

fn row(report: &ThresholdReport) -> Value {
    let mut shown = limit(report.in_force);
    if let Some(shown) = shown.as_object_mut() {
        let operator = report.operator.map(|(own, _)| limit(own));
        let more = [
            ("type", json!(report.attack.number())),
            ("name", json!(report.attack.as_str())),
            ("variable", json!(report.variable.as_str())),
            ("meaning", json!(report.meaning)),
            ("system", limit(report.system)),
            ("user", json!(operator)),
        ];
        shown.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    shown
}

async fn set(management: Arc<Management>, caller: Caller, body: &[u8]) -> Result<Value, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let api = fields.text("api_name");
    let modes = [("system", Mode::System), ("user", Mode::User)];
    let mode = fields.required_choice("mode", &modes);
    let named = fields.list("ioc_threshold", |item| threshold(item, mode));
    fields.finish();
    let (named, mode) = collector.into_complete(mode.map(|mode| (named, mode)))?;
    let api = api.map(|name| served(&management, &name)).transpose()?;
    let changes = match (mode, named.is_empty()) {
        (Mode::User, true) => {
            return Err(Refusal::wrong("ioc_threshold: name one threshold at least"));
        }
        (Mode::System, true) => taken_back(&Which {
            api: api.clone(),
            ..Which::default()
        }),
        (Mode::User | Mode::System, false) => named
            .into_iter()
            .map(|((attack, variable), to)| SetThreshold {
                api: api.clone(),
                attack,
                variable,
                to,
            })
            .collect(),
    };
    change_all(management, caller, changes).await?;
    let whose = match mode {
        Mode::System => "system",
        Mode::User => "user",
    };
    Ok(success(&format!(
        "attack thresholds are now those of mode {whose}"
    )))
}

/// A threshold by number and letter; its values count in mode user only.
fn threshold(
    item: &mut Item<'_, '_>,
    mode: Option<Mode>,
) -> Option<((Attack, Variable), Option<Limit>)> {
    let mut fields = item.fields();
    let number = fields.required_integer("type", 1..=u16::MAX);
    let attack = number.and_then(Attack::numbered);
    if number.is_some() && attack.is_none() {
        fields.fault("type", "is the number of no attack of the engine");
    }
    let letters = Variable::ALL.map(|variable| (variable.as_str(), variable));
    let variable = fields.required_choice("variable", &letters);
    let to = match mode {
        Some(Mode::User) => Some(limit_of(&mut fields)?),
        Some(Mode::System) | None => {
            fields.item("tn");
            fields.item("tx");
            None
        }
    };
    if let (Some(attack), Some(variable)) = (attack, variable)
        && attack.variables().get(variable as usize).is_none()
    {
        let letter = variable.as_str();
        fields.fault(
            "variable",
            format_args!("{attack} has no variable {letter}"),
        );
    }
    fields.finish();
    Some(((attack?, variable?), to))
}
