//! `ase attacks`: what the behaviour engine has found, why, and taking it back.

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::connection::{Connection, call, finish, send, text};
use super::detections::{self, ListArguments};
use super::thresholds;

/// Commands of `ase attacks`.
#[derive(Subcommand)]
pub(super) enum AttacksCommand {
    /// What was found, the latest first
    List(ListArguments),
    /// One detection: what was measured, and sample requests
    Show(ShowArguments),
    /// Take a detection back: its client leaves the deny list, and the engine learns
    Undo(UndoArguments),
    /// From which values on the engine reports
    #[command(subcommand)]
    Thresholds(thresholds::ThresholdsCommand),
    /// What the engine has learned of each API and route, and how far its training is
    Training(Connection),
}

#[derive(Args)]
pub(super) struct ShowArguments {
    /// The number that list and log have for it
    id: u64,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct UndoArguments {
    /// The number that list has for it
    id: u64,
    /// What is no attack of this kind
    #[arg(long, value_enum, default_value_t = Lesson::Client)]
    lesson: Lesson,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lesson {
    /// Nothing: only this once
    Once,
    /// What this client does
    Client,
    /// Requests of this route
    Route,
    /// Such values for this API
    Threshold,
}

pub(super) fn attacks(command: &AttacksCommand) -> u8 {
    match command {
        AttacksCommand::List(arguments) => detections::list("attacks", arguments, |attack| {
            let id = attack.get("id").map_or(String::new(), Value::to_string);
            format!("{id}\t{}", detections::line(attack))
        }),
        AttacksCommand::Show(ShowArguments { id, connection }) => finish(
            call(
                &format!("attacks/{id}"),
                Method::GET,
                Ok(Map::new()),
                connection,
            ),
            connection,
            shown,
        ),
        AttacksCommand::Thresholds(command) => thresholds::thresholds(command),
        AttacksCommand::Training(connection) => thresholds::training(connection),
        AttacksCommand::Undo(arguments) => {
            let lesson = match arguments.lesson {
                Lesson::Once => "once",
                Lesson::Client => "client",
                Lesson::Route => "route",
                Lesson::Threshold => "threshold",
            };
            let path = format!("attacks/{}/undo", arguments.id);
            let body = json!({"lesson": lesson}).to_string();
            let connection = &arguments.connection;
            finish(
                send(&path, Method::POST, &body, connection),
                connection,
                undone,
            )
        }
    }
}

fn shown(attack: &Value) -> String {
    let none = Value::Null;
    let evidence = attack.get("evidence").unwrap_or(&none);
    let number = |value: &Value, key: &str| value.get(key).map_or(String::new(), Value::to_string);
    let mut lines = vec![
        format!(
            "{} {}",
            number(attack, "attack_id"),
            text(evidence, "title")
        ),
        format!("client\t{}", text(attack, "identifier")),
        format!("api\t{}", text(attack, "api")),
        format!("why\t{}", text(evidence, "reason")),
        format!("outcome\t{}", outcome(attack)),
        format!(
            "seen\t{} requests from {} to {}",
            number(evidence, "requests"),
            text(evidence, "first_seen"),
            text(evidence, "last_seen")
        ),
    ];
    lines.extend(variables(attack, |_| true));
    lines.extend(samples(evidence));
    lines.join("\n")
}

/// What came of it; of one that has listed nobody, why, and for how long it would have.
fn outcome(attack: &Value) -> String {
    let none = Value::Null;
    let evidence = attack.get("evidence").unwrap_or(&none);
    let why = match (text(attack, "outcome"), text(evidence, "listing")) {
        ("reported", "simulated") => "simulated",
        ("reported", "proposed") => "listing is off, or the allow list has the client",
        (came, _) => return came.to_owned(),
    };
    let seconds = evidence.get("listing_ttl_s").and_then(Value::as_u64);
    let minutes = seconds.unwrap_or(0) / 60;
    format!("reported ({why}); it would have been listed for {minutes} minutes")
}

/// What was measured, a line each, of the variables that are `wanted`.
pub(super) fn variables(attack: &Value, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let number = |value: &Value, key: &str| value.get(key).map_or(String::new(), Value::to_string);
    let variables = attack.get("variables").and_then(Value::as_object);
    let line = |(letter, variable): (&String, &Value)| {
        let reached = match text(variable, "reached") {
            "" => String::new(),
            reached => format!(" ({reached} reached)"),
        };
        let (value, threshold) = (number(variable, "value"), number(variable, "tn"));
        let meaning = text(variable, "meaning");
        format!("{letter}\t{meaning}: {value}, threshold {threshold}{reached}")
    };
    let all = variables.into_iter().flatten();
    all.filter(|(_, variable)| wanted(variable))
        .map(line)
        .collect()
}

/// Sample requests, a line each.
pub(super) fn samples(of: &Value) -> Vec<String> {
    let samples = of.get("samples").and_then(Value::as_array);
    let line = |sample: &Value| {
        let status = sample.get("status").and_then(Value::as_u64);
        let columns = [
            text(sample, "time"),
            text(sample, "method"),
            text(sample, "target"),
            &status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
            text(sample, "from"),
            text(sample, "user_agent"),
            text(sample, "odd"),
        ];
        columns.join("\t").trim_end().to_owned()
    };
    samples.into_iter().flatten().map(line).collect()
}

fn undone(answer: &Value) -> String {
    let whom = text(answer, "identifier");
    let listed = match answer.get("removed").and_then(Value::as_u64) {
        Some(0) | None => format!("{whom} was not listed by the engine any more"),
        Some(_) => format!("{whom} left the deny list"),
    };
    let learned = if answer.get("learned").and_then(Value::as_bool) == Some(true) {
        "the engine has learned"
    } else {
        "the engine does not remember the detection: it has learned nothing"
    };
    format!("{listed}; {learned}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detection_that_listed_nobody_says_why_and_for_how_long_it_would_have() {
        let of = |came: &str, listing: &str| {
            outcome(
                &json!({"outcome": came, "evidence": {"listing": listing, "listing_ttl_s": 3600}}),
            )
        };
        assert_eq!(
            of("reported", "simulated"),
            "reported (simulated); it would have been listed for 60 minutes"
        );
        assert_eq!(
            of("reported", "proposed"),
            "reported (listing is off, or the allow list has the client); it would have been listed for 60 minutes"
        );
        assert_eq!(of("reported", "of_members"), "reported");
        assert_eq!(of("listed", "proposed"), "listed");
    }
}
