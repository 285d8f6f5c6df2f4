//! The settings of the behaviour engine: whether it runs, whether it lists clients, what it reports and how much it may keep.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ase_core::address::Ipv6Width;
use ase_core::decision::Switch;
use ase_core::fault::{Fields, Item};
use ase_engine::{Attack, Limit, Response, Settings, Training, Variable};

/// Longest listing that repeating earns, in seconds: ten years.
const MAX_TTL_SECONDS: u64 = 315_360_000;
/// Largest threshold.
const MAX_THRESHOLD: f64 = 1e12;
const HOUR_SECONDS: u64 = 60 * 60;
const MIB: u64 = 1024 * 1024;
/// What [`attack_name`] takes, for the reference.
const NAMES: &str = "list of attack names";

/// See the module's text.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `enable_abs`: whether exchanges are looked at.
    pub engine: Switch,
    /// `enable_abs_attack`: whether whom the engine proposes is put on the deny list.
    pub listing: Switch,
    /// The engine's own settings.
    pub behaviour: Settings,
    /// Most exchanges that wait for the engine.
    pub queue: usize,
    /// Most bytes that they have together.
    pub queue_bytes: usize,
    /// The file that gets a line per detection.
    pub attack_log: PathBuf,
    /// Between two snapshots of what was learned.
    pub snapshot_every: Duration,
}

impl EngineSettings {
    /// Reads the section `engine` and the two switches. `beside` is the folder of the access log.
    pub(super) fn read(
        fields: &mut Fields<'_, '_>,
        (folder, beside): (&Path, &Path),
        width: Ipv6Width,
    ) -> Self {
        let engine = switch(fields, "enable_abs");
        let listing = switch(fields, "enable_abs_attack");
        let mut section = fields.object("engine");
        let mut behaviour = Settings {
            ipv6_width: width,
            ..Settings::default()
        };
        let (ttl, limits) = (&mut behaviour.ttl, &mut behaviour.limits);
        let longest = ttl.longest.as_secs();
        let longest = section.integer("longest_ttl_s", 1..=MAX_TTL_SECONDS, longest);
        ttl.longest = Duration::from_secs(longest);
        limits.clients = section.integer("clients", 1024..=10_000_000_u32, limits.clients);
        limits.suspects = section.integer("suspects", 16..=1_000_000_u32, limits.suspects);
        section.note("simulate", NAMES, "none");
        for attack in section.list("simulate", attack_name) {
            behaviour.responses.insert(attack, Response::Simulate);
        }
        section.note("off", NAMES, "`[\"decoy\", \"pattern\"]`");
        // Real-time rules see to these two, and have a switch of their own that an operator may have turned off.
        let off = section.list_if_present("off", attack_name);
        for attack in off.unwrap_or_else(|| vec![Attack::Decoy, Attack::Pattern]) {
            behaviour.responses.insert(attack, Response::Off);
        }
        behaviour.thresholds = section.list("thresholds", threshold).into_iter().collect();
        behaviour.training = training(&mut section);
        let queue = section.integer("queue", 16..=10_000_000_u64, 65_536);
        let queue_bytes = section.integer("queue_bytes", 65_536..=65_536 * MIB, 64 * MIB);
        let attack_log = section.text("attack_log").map(|text| folder.join(text));
        let snapshot_every = section.integer("snapshot_every_s", 1..=86_400_u64, 60);
        section.finish();
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            engine,
            listing,
            behaviour,
            queue: size(queue),
            queue_bytes: size(queue_bytes),
            attack_log: attack_log.unwrap_or_else(|| beside.join("attack.log")),
            snapshot_every: Duration::from_secs(snapshot_every),
        }
    }
}

/// The section `engine.training`.
fn training(engine: &mut Fields<'_, '_>) -> Training {
    let usual = Training::default();
    let mut section = engine.object("training");
    let responses = [
        ("enforce", Response::Enforce),
        ("simulate", Response::Simulate),
        ("off", Response::Off),
    ];
    section.note("response", "`enforce`, `simulate`, `off`", "`simulate`");
    let response = section.choice("response", &responses, usual.response);
    let hours = section.integer(
        "hours",
        1..=8_760_u64,
        usual.period.as_secs() / HOUR_SECONDS,
    );
    let training = Training {
        response,
        period: Duration::from_secs(hours * HOUR_SECONDS),
        windows: section.integer("windows", 20..=10_000_000_u32, usual.windows),
        clients: section.integer("clients", 2..=1_000_u32, usual.clients),
        sessions: section.integer("sessions", 10..=10_000_000_u32, usual.sessions),
    };
    section.finish();
    training
}

fn switch(fields: &mut Fields<'_, '_>, key: &str) -> Switch {
    match fields.flag(key, true) {
        true => Switch::On,
        false => Switch::Off,
    }
}

fn attack_name(item: &mut Item<'_, '_>) -> Option<Attack> {
    item.custom(attack_named)
}

/// An attack by its name.
pub(crate) fn attack_named(name: &str) -> Result<Attack, String> {
    Attack::parse(name).ok_or_else(|| {
        let names = Attack::ALL.map(Attack::as_str).join(", ");
        format!("{name:?} is no attack of the engine: use {names}")
    })
}

fn threshold(item: &mut Item<'_, '_>) -> Option<((Attack, Variable), Limit)> {
    let mut fields = item.fields();
    let threshold = threshold_of(&mut fields);
    fields.finish();
    threshold
}

/// A variable by its attack and letter, and what it is compared with.
pub(crate) fn threshold_of(fields: &mut Fields<'_, '_>) -> Option<((Attack, Variable), Limit)> {
    let attack = fields.required_custom("attack", attack_named);
    let letters = Variable::ALL.map(|variable| (variable.as_str(), variable));
    let variable = fields.required_choice("variable", &letters);
    let limit = limit_of(fields);
    if let (Some(attack), Some(variable)) = (attack, variable)
        && Settings::default().limit(attack, variable).is_none()
    {
        let letter = variable.as_str();
        fields.fault(
            "variable",
            format_args!("{attack} has no variable {letter}"),
        );
    }
    Some(((attack?, variable?), limit?))
}

/// The values `tn` and `tx`.
pub(crate) fn limit_of(fields: &mut Fields<'_, '_>) -> Option<Limit> {
    let tn = fields
        .required_item("tn")
        .and_then(|mut item| real(&mut item));
    let tx = fields.item("tx").and_then(|mut item| real(&mut item));
    Some(Limit { tn: tn?, tx })
}

fn real(item: &mut Item<'_, '_>) -> Option<f32> {
    let number = item.value().as_f64();
    let number = number.filter(|number| (0.01..=MAX_THRESHOLD).contains(number));
    if number.is_none() {
        item.fault(format_args!(
            "must be a number from 0.01 to {MAX_THRESHOLD}"
        ));
    }
    // What is lost is far below what anybody measures.
    number.map(|number| number as f32)
}

#[cfg(test)]
mod tests {
    use ase_core::fault::FaultCollector;
    use serde_json::{Value, json};

    use super::*;

    fn read(document: &Value) -> Result<EngineSettings, String> {
        let mut collector = FaultCollector::default();
        let document = document.clone().into();
        let mut fields = Fields::of(&document, "", &mut collector);
        let places = (Path::new("conf"), Path::new("logs"));
        let settings = EngineSettings::read(&mut fields, places, Ipv6Width::default());
        fields.finish();
        collector
            .into_result(settings)
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn by_default_the_engine_runs_lists_and_logs_beside_the_access_log() {
        let settings = read(&json!({})).unwrap();
        assert_eq!(
            (settings.engine, settings.listing),
            (Switch::On, Switch::On)
        );
        let off = [Attack::Decoy, Attack::Pattern].map(|attack| (attack, Response::Off));
        let expected = Settings {
            responses: off.into_iter().collect(),
            ..Settings::default()
        };
        assert_eq!(settings.behaviour, expected);
        assert_eq!(settings.attack_log, Path::new("logs/attack.log"));
    }

    #[test]
    fn attacks_are_simulated_turned_off_and_measured_as_the_operator_says() {
        let settings = read(&json!({"enable_abs_attack": false, "engine": {
            "simulate": ["scraping"], "off": ["tool"], "attack_log": "a.log",
            "thresholds": [{"attack": "probing", "variable": "A", "tn": 20, "tx": 40.5}]}}))
        .unwrap();
        assert_eq!(settings.listing, Switch::Off);
        assert_eq!(
            settings.behaviour.response(Attack::Scraping),
            Response::Simulate
        );
        assert_eq!(settings.behaviour.response(Attack::Tool), Response::Off);
        assert_eq!(
            settings.behaviour.response(Attack::Decoy),
            Response::Enforce
        );
        let limit = settings.behaviour.limit(Attack::Probing, Variable::A);
        let expected = Limit {
            tn: 20.0,
            tx: Some(40.5),
        };
        assert_eq!(limit, Some(expected));
        assert_eq!(settings.attack_log, Path::new("conf/a.log"));
    }

    #[test]
    fn training_is_as_long_and_leads_to_what_the_operator_says() {
        let document = json!({"engine": {"training": {
            "response": "simulate", "hours": 168, "windows": 2000, "clients": 100, "sessions": 1000}}});
        let training = read(&document).unwrap().behaviour.training;
        let expected = Training {
            response: Response::Simulate,
            period: Duration::from_secs(7 * 86_400),
            windows: 2000,
            clients: 100,
            sessions: 1000,
        };
        assert_eq!(training, expected);
        let faults = read(&json!({"engine": {"training": {"hours": 0, "response": "block"}}}));
        let faults = faults.unwrap_err();
        for path in ["engine.training.hours", "engine.training.response"] {
            assert!(faults.contains(path), "{path}: {faults}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        let faults = read(&json!({"engine": {"off": ["nonsense"], "clients": 1,
            "thresholds": [{"attack": "injection", "variable": "F", "tn": 0}]}}))
        .unwrap_err();
        for path in [
            "engine.clients",
            "engine.off[0]",
            "engine.thresholds[0].tn",
            "engine.thresholds[0].variable",
        ] {
            assert!(faults.contains(path), "{path}: {faults}");
        }
    }
}
