//! The master switches over the management port. A switch that was turned stays so over restarts, whatever the configuration says.

use std::sync::{Arc, PoisonError};

use ase_core::decision::{Switch, Switches};
use ase_core::fault::{FaultCollector, Fields};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::config::Exposure;
use crate::state::{State as Stored, StateError, StoredSwitch};
use crate::tokens::{Authentication, Managed, Tokens};

/// A switch by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Firewall,
    AbsAttack,
    AseDetectedAttack,
    SidebandAuthentication,
}

impl Name {
    pub(super) const ALL: [Self; 4] = [
        Self::Firewall,
        Self::AbsAttack,
        Self::AseDetectedAttack,
        Self::SidebandAuthentication,
    ];

    /// Its name in the state.
    fn stored(self) -> &'static str {
        match self {
            Self::Firewall => "enable_firewall",
            Self::AbsAttack => "enable_abs_attack",
            Self::AseDetectedAttack => "enable_ase_detected_attack",
            Self::SidebandAuthentication => "sideband_authentication",
        }
    }

    /// Its name in bodies.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::AbsAttack => "abs_attack",
            Self::AseDetectedAttack => "ase_detected_attack",
            Self::SidebandAuthentication => "sideband_authentication",
        }
    }

    fn action(self, to: Switch) -> &'static str {
        match (self, to) {
            (Self::Firewall, Switch::On) => "enable_firewall",
            (Self::Firewall, Switch::Off) => "disable_firewall",
            (Self::AbsAttack, Switch::On) => "enable_abs_attack",
            (Self::AbsAttack, Switch::Off) => "disable_abs_attack",
            (Self::AseDetectedAttack, Switch::On) => "enable_ase_detected_attack",
            (Self::AseDetectedAttack, Switch::Off) => "disable_ase_detected_attack",
            (Self::SidebandAuthentication, Switch::On) => "enable_sideband_authentication",
            (Self::SidebandAuthentication, Switch::Off) => "disable_sideband_authentication",
        }
    }
}

pub(super) fn routes() -> [Route; 2] {
    [
        Route::new(
            Verb::Get,
            "/v1/switches",
            ("switches", "The master switches"),
            Schema::Switches,
            async |State(management): State<Arc<Management>>| {
                plain(StatusCode::OK, Ok(all(&management)))
            },
        ),
        Route::new(
            Verb::Put,
            "/v1/switches",
            ("turnSwitches", "Turn one or more master switches"),
            Schema::Switches,
            async |State(management): State<Arc<Management>>, caller: Caller, body: Bytes| {
                let turned = match turns(&body) {
                    Ok(turns) => turn(Arc::clone(&management), caller, turns).await,
                    Err(refusal) => Err(refusal),
                };
                plain(StatusCode::OK, turned.map(|()| all(&management)))
            },
        )
        .body(Schema::SwitchesTurned),
    ]
}

/// Every switch as it stands.
pub(super) fn all(management: &Management) -> Value {
    let states = Name::ALL.map(|name| (name.as_str().to_owned(), is_on(management, name).into()));
    Value::Object(Map::from_iter(states))
}

/// Whether a switch is on.
pub(super) fn is_on(management: &Management, name: Name) -> bool {
    let switches = management.ase.snapshot.load().switches;
    match name {
        Name::Firewall => switches.firewall.is_on(),
        Name::AbsAttack => management.ase.engine.lists(),
        Name::AseDetectedAttack => switches.ase_detected_attack.is_on(),
        Name::SidebandAuthentication => management.ase.tokens.are_required(),
    }
}

/// Turns switches, all of them or none; they hold from the next call of a gateway on.
///
/// # Errors
/// When tokens would be required and there are none, when an open port would be left without tokens, or when it is not stored.
pub(super) async fn turn(
    management: Arc<Management>,
    caller: Caller,
    turns: Vec<(Name, Switch)>,
) -> Result<(), Refusal> {
    off_path(move || {
        let tokens = &management.ase.tokens;
        let turned: Vec<StoredSwitch> = turns
            .iter()
            .map(|(name, to)| StoredSwitch {
                name: name.stored().to_owned(),
                state: text(*to).to_owned(),
            })
            .collect();
        // A panic under the lock leaves nothing behind: it guards no data.
        let _alone = management
            .turning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut switches = management.ase.snapshot.load().switches;
        let mut listing = None;
        {
            let mut state = management.state.lock();
            let mut managed = Managed::clone(&tokens.managed());
            for (name, to) in &turns {
                match name {
                    Name::Firewall => switches.firewall = *to,
                    Name::AbsAttack => listing = Some(*to),
                    Name::AseDetectedAttack => switches.ase_detected_attack = *to,
                    Name::SidebandAuthentication => {
                        let known = tokens.configured().next().is_some();
                        let known = known || !managed.names.is_empty();
                        may_turn(*to, known, management.settings.exposure)?;
                        managed.authentication = authentication(*to);
                    }
                }
            }
            state.settle(&turned, &[])?;
            tokens.manage(managed);
        }
        management.lists.set_switches(switches)?;
        if let Some(to) = listing {
            management.ase.engine.set_listing(to);
        }
        for (name, to) in &turns {
            management.audited(&caller, name.action(*to), &[])?;
        }
        Ok(())
    })
    .await
}

/// Reads what was set before this start, over what is configured.
///
/// # Errors
/// When the state cannot be read.
pub(crate) fn restore(
    state: &Stored,
    (switches, listing): (&mut Switches, &mut Switch),
    tokens: &Tokens,
) -> Result<(), StateError> {
    let mut managed = Managed::default();
    for token in state.tokens()? {
        managed.names.insert(token.digest, token.name.into());
    }
    for stored in state.switches()? {
        let name = Name::ALL
            .into_iter()
            .find(|name| name.stored() == stored.name);
        let (Some(name), Some(to)) = (name, position(&stored.state)) else {
            continue;
        };
        match name {
            Name::Firewall => switches.firewall = to,
            Name::AbsAttack => *listing = to,
            Name::AseDetectedAttack => switches.ase_detected_attack = to,
            Name::SidebandAuthentication => managed.authentication = authentication(to),
        }
    }
    tokens.manage(managed);
    Ok(())
}

fn may_turn(to: Switch, tokens_known: bool, exposure: Exposure) -> Result<(), Refusal> {
    match (to, exposure) {
        (Switch::On, _) if !tokens_known => Err(Refusal::conflict(
            "there is no token, so every gateway would be refused: create or import one first",
        )),
        (Switch::Off, Exposure::Guarded) => Err(Refusal::conflict(
            "the data port is open to a network: without tokens it is served with --insecure only",
        )),
        (Switch::On, _) | (Switch::Off, Exposure::Insecure) => Ok(()),
    }
}

pub(super) fn turns(body: &[u8]) -> Result<Vec<(Name, Switch)>, Refusal> {
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let turns: Vec<(Name, Switch)> = Name::ALL
        .into_iter()
        .filter_map(|name| {
            let on = fields.item(name.as_str())?.flag()?;
            Some((name, if on { Switch::On } else { Switch::Off }))
        })
        .collect();
    fields.finish();
    let turns = collector.into_result(turns)?;
    if turns.is_empty() {
        let names = Name::ALL.map(Name::as_str).join(", ");
        return Err(Refusal::wrong(format!("name at least one of {names}")));
    }
    Ok(turns)
}

fn authentication(to: Switch) -> Authentication {
    match to {
        Switch::On => Authentication::On,
        Switch::Off => Authentication::Off,
    }
}

fn position(text: &str) -> Option<Switch> {
    match text {
        "on" => Some(Switch::On),
        "off" => Some(Switch::Off),
        _ => None,
    }
}

fn text(to: Switch) -> &'static str {
    match to {
        Switch::On => "on",
        Switch::Off => "off",
    }
}
