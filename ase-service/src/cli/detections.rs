//! `ase detections` and `ase ttl`: what was found, and how long whoever was found stays listed.

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::connection::{Connection, Failure, call, escaped, finish, send, text};
use super::lists::seconds;
use crate::clock;
use crate::lifetimes::MAX_MINUTES;

/// Commands of `ase detections`.
#[derive(Subcommand)]
pub(super) enum DetectionsCommand {
    /// What was detected, those with the latest offence first
    List(ListArguments),
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// With an offence in this time: 30s, 10m, 12h, 7d
    #[arg(long, value_parser = seconds)]
    since: Option<u64>,
    /// Of this attack id
    #[arg(long)]
    attack: Option<u16>,
    /// Of this name, such as decoy
    #[arg(long)]
    name: Option<String>,
    /// On this API
    #[arg(long)]
    api: Option<String>,
    /// Of this client, as lists name it: 203.0.113.7, "token k1:..."
    #[arg(long)]
    identifier: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Commands of `ase ttl`.
#[derive(Subcommand)]
pub(super) enum TtlCommand {
    /// The default lifetimes, in minutes
    Show(Connection),
    /// Set one; it counts for new entries and stays over restarts
    Set(TtlArguments),
}

#[derive(Args)]
pub(super) struct TtlArguments {
    /// Whose entries: those of detected attacks, or those by hand
    of: Of,
    /// ip, cookie, token, api_key or username
    #[arg(value_name = "TYPE", value_parser = ["ip", "cookie", "token", "api_key", "username"])]
    kind: String,
    /// Minutes, 0 for ever, or default: as configured
    #[arg(value_name = "MINUTES", value_parser = minutes)]
    minutes: Minutes,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    Attack,
    Manual,
}

#[derive(Clone, Copy)]
enum Minutes {
    Configured,
    Set(u32),
}

pub(super) fn detections(command: &DetectionsCommand) -> u8 {
    let DetectionsCommand::List(arguments) = command;
    list("detections", arguments, line)
}

/// What `/v1/<what>` answers to the filters.
pub(super) fn list(what: &str, arguments: &ListArguments, line: fn(&Value) -> String) -> u8 {
    let since = arguments.since.map(|seconds| {
        let since = clock::now().0.saturating_sub(seconds.saturating_mul(1000));
        clock::rfc3339(ase_core::time::UnixMillis(since))
    });
    let given = [
        ("since", since),
        ("attack", arguments.attack.map(|attack| attack.to_string())),
        ("name", arguments.name.clone()),
        ("api", arguments.api.clone()),
        ("identifier", arguments.identifier.clone()),
        ("limit", Some(arguments.limit.to_string())),
    ];
    let query: Vec<String> = given
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))))
        .collect();
    let path = format!("{what}?{}", query.join("&"));
    let connection = &arguments.connection;
    let answer = call(&path, Method::GET, Ok(Map::new()), connection);
    finish(answer, connection, |answer| {
        let found = answer.get("detections").and_then(Value::as_array);
        let lines: Vec<String> = found.into_iter().flatten().map(line).collect();
        lines.join("\n")
    })
}

pub(super) fn line(detection: &Value) -> String {
    let attack = detection.get("attack_id").and_then(Value::as_u64);
    let undone = detection.get("undone").and_then(Value::as_bool) == Some(true);
    let evidence = detection.get("evidence");
    let shown = |key| {
        evidence
            .map(|evidence| text(evidence, key))
            .unwrap_or_default()
    };
    let api = match text(detection, "api") {
        "" => "-",
        api => api,
    };
    let columns = [
        text(detection, "last").to_owned(),
        format!(
            "{} {}",
            attack.map_or_else(|| "-".to_owned(), |attack| attack.to_string()),
            text(detection, "name")
        ),
        api.to_owned(),
        text(detection, "identifier").to_owned(),
        format!(
            "{}x",
            detection.get("count").and_then(Value::as_u64).unwrap_or(0)
        ),
        if undone {
            "undone"
        } else {
            text(detection, "outcome")
        }
        .to_owned(),
        format!("{} {}", shown("method"), shown("url")),
    ];
    columns.join("\t").trim_end().to_owned()
}

pub(super) fn ttl(command: &TtlCommand) -> u8 {
    match command {
        TtlCommand::Show(connection) => finish(
            call("ttl", Method::GET, Ok(Map::new()), connection),
            connection,
            lifetimes,
        ),
        TtlCommand::Set(arguments) => {
            let of = match arguments.of {
                Of::Attack => "attack",
                Of::Manual => "manual",
            };
            let minutes = match arguments.minutes {
                Minutes::Configured => Value::Null,
                Minutes::Set(minutes) => minutes.into(),
            };
            let body = json!({of: {&arguments.kind: minutes}}).to_string();
            let connection = &arguments.connection;
            let answer: Result<Value, Failure> = send("ttl", Method::PUT, &body, connection);
            finish(answer, connection, lifetimes)
        }
    }
}

fn lifetimes(answer: &Value) -> String {
    let mut lines = Vec::new();
    for of in ["attack", "manual"] {
        let section = answer.get(of).and_then(Value::as_object);
        for (kind, minutes) in section.into_iter().flatten() {
            let minutes = match minutes.as_u64() {
                Some(0) => "for ever".to_owned(),
                Some(minutes) => format!("{minutes} min"),
                None => "default".to_owned(),
            };
            lines.push(format!("{of}\t{kind}\t{minutes}"));
        }
    }
    lines.join("\n")
}

fn minutes(text: &str) -> Result<Minutes, String> {
    match text {
        "default" => Ok(Minutes::Configured),
        text => match text.parse() {
            Ok(minutes) if minutes <= MAX_MINUTES => Ok(Minutes::Set(minutes)),
            Ok(_) | Err(_) => Err(format!(
                "{text:?} is not a number of minutes up to {MAX_MINUTES}, nor default"
            )),
        },
    }
}
