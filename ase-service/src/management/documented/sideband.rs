//! `sideband/token`, `sideband/authentication` and `firewall`.

use std::sync::Arc;

use ase_core::decision::Switch;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::{Names, Parameters, name, parameters, required};
use crate::management::Management;
use crate::management::caller::Caller;
use crate::management::openapi::Schema;
use crate::management::reply::{Refusal, documented};
use crate::management::route::{Presence, Route, Verb};
use crate::management::switches::{self, Name};
use crate::management::tokens;
use crate::secret::Secret;

pub(super) fn token_routes(prefix: &str, names: Names) -> [Route; 3] {
    let path = format!("{prefix}/sideband/token");
    [
        Route::new(
            Verb::Get,
            &path,
            (
                name(names, "v4ListTokens", "v5ListTokens"),
                "Every sideband token by its name",
            ),
            Schema::DocumentedTokens,
            async |State(management)| {
                let listed = tokens::list(management).await;
                documented(listed.map(|mut answer| {
                    if let Some(answer) = answer.as_object_mut() {
                        answer.insert("status".to_owned(), "success".into());
                    }
                    answer
                }))
            },
        ),
        Route::new(
            Verb::Post,
            &path,
            (
                name(names, "v4MakeToken", "v5MakeToken"),
                "Make a sideband token, or import the one that is given",
            ),
            Schema::DocumentedToken,
            async |State(management), caller: Caller, body: Bytes| {
                documented(make(management, caller, body).await)
            },
        )
        .optional_body(Schema::TokenWanted),
        Route::new(
            Verb::Delete,
            &path,
            (
                name(names, "v4DeleteToken", "v5DeleteToken"),
                "Delete a sideband token, by its value or its name",
            ),
            Schema::DocumentedToken,
            async |State(management), caller: Caller, body: Bytes| {
                documented(delete(management, caller, body).await)
            },
        )
        .body(Schema::TokenWanted),
    ]
}

pub(super) fn switch_routes(prefix: &str, names: Names) -> [Route; 4] {
    let status = "enable or disable";
    let authentication = format!("{prefix}/sideband/authentication");
    let firewall = format!("{prefix}/firewall");
    let show = |path: &str, operation, summary, switch| {
        Route::new(
            Verb::Get,
            path,
            (operation, summary),
            Schema::DocumentedSwitch,
            async move |State(management): State<Arc<Management>>| {
                documented(Ok(shown(&management, switch, "is")))
            },
        )
    };
    let turn = |path: &str, operation, summary, switch| {
        Route::new(
            Verb::Post,
            path,
            (operation, summary),
            Schema::DocumentedSwitch,
            async move |State(management), query: Parameters, caller: Caller| {
                documented(turned(management, switch, query, caller).await)
            },
        )
        .query("status", Presence::Required, status)
    };
    [
        show(
            &authentication,
            name(names, "v4Authentication", "v5Authentication"),
            "Whether gateways must show a token",
            Name::SidebandAuthentication,
        ),
        turn(
            &authentication,
            name(names, "v4SetAuthentication", "v5SetAuthentication"),
            "Set whether gateways must show a token",
            Name::SidebandAuthentication,
        ),
        show(
            &firewall,
            name(names, "v4Firewall", "v5Firewall"),
            "Whether lists and rules block anybody",
            Name::Firewall,
        ),
        turn(
            &firewall,
            name(names, "v4SetFirewall", "v5SetFirewall"),
            "Set whether lists and rules block anybody",
            Name::Firewall,
        ),
    ]
}

async fn make(management: Arc<Management>, caller: Caller, body: Bytes) -> Result<Value, Refusal> {
    let made = tokens::make(management, caller, body).await?;
    Ok(match made.drawn.as_ref().map(Secret::reveal) {
        Some(token) => json!({"status": "token_created", "token": token, "name": made.name}),
        None => json!({"status": "token_imported", "name": made.name}),
    })
}

async fn delete(
    management: Arc<Management>,
    caller: Caller,
    body: Bytes,
) -> Result<Value, Refusal> {
    let which = tokens::which(&body)?;
    let name = tokens::delete(management, which, caller).await?;
    Ok(json!({"status": "token_deleted", "name": name}))
}

async fn turned(
    management: Arc<Management>,
    switch: Name,
    query: Parameters,
    caller: Caller,
) -> Result<Value, Refusal> {
    let status = required(&mut parameters(query, &["status"])?, "status")?;
    let to = match status.as_str() {
        "enable" => Switch::On,
        "disable" => Switch::Off,
        _ => return Err(Refusal::wrong("status: must be enable or disable")),
    };
    switches::turn(Arc::clone(&management), caller, vec![(switch, to)]).await?;
    Ok(shown(&management, switch, "is now"))
}

fn shown(management: &Management, switch: Name, verb: &str) -> Value {
    let state = if switches::is_on(management, switch) {
        "enabled"
    } else {
        "disabled"
    };
    let subject = match switch {
        Name::Firewall => "Firewall",
        Name::AbsAttack => "ABS Attack",
        Name::AseDetectedAttack => "ASE Detected Attack",
        Name::SidebandAuthentication => "Sideband authentication",
    };
    json!({"status": state, "status_message": format!("{subject} {verb} {state}")})
}
