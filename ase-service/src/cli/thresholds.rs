//! `ase attacks thresholds` and `ase attacks training`: from which values on the engine reports, and what it has learned of each API.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::connection::{Connection, call, escaped, finish, put, send, text};

/// Commands of `ase attacks thresholds`.
#[derive(Subcommand)]
pub(super) enum ThresholdsCommand {
    /// Every threshold as it counts, and whose it is
    List(ThresholdsShown),
    /// Set one; it counts at once and stays over restarts
    Set(ThresholdSet),
    /// Take thresholds back to what they are without an operator
    Reset(ThresholdsReset),
}

#[derive(Args)]
pub(super) struct ThresholdsShown {
    /// As they count for this API
    #[arg(long)]
    api: Option<String>,
    /// Of this attack, such as probing
    #[arg(long)]
    attack: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ThresholdSet {
    /// The attack, such as probing
    attack: String,
    /// Which of its variables: A to F
    variable: String,
    /// The normal threshold
    tn: f64,
    /// The extreme threshold [default: none]
    #[arg(long)]
    tx: Option<f64>,
    /// For this API [default: for all]
    #[arg(long)]
    api: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ThresholdsReset {
    /// The attack [default: every attack]
    attack: Option<String>,
    /// Which of its variables [default: all]
    #[arg(requires = "attack")]
    variable: Option<String>,
    /// For this API [default: what was set for all]
    #[arg(long)]
    api: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn thresholds(command: &ThresholdsCommand) -> u8 {
    match command {
        ThresholdsCommand::List(arguments) => {
            let given = [("api", &arguments.api), ("attack", &arguments.attack)];
            let query = given
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_deref()?))));
            let query: Vec<String> = query.collect();
            let path = format!("engine/thresholds?{}", query.join("&"));
            let connection = &arguments.connection;
            let answer = call(&path, Method::GET, Ok(Map::new()), connection);
            finish(answer, connection, rows)
        }
        ThresholdsCommand::Set(arguments) => {
            let mut body = Map::new();
            let text = |text: &String| Some(Value::from(text.as_str()));
            put(&mut body, "api", arguments.api.as_ref().and_then(text));
            put(&mut body, "attack", text(&arguments.attack));
            put(&mut body, "variable", text(&arguments.variable));
            put(&mut body, "tn", Some(json!(arguments.tn)));
            put(&mut body, "tx", arguments.tx.map(Value::from));
            change(Method::PUT, body, &arguments.connection)
        }
        ThresholdsCommand::Reset(arguments) => {
            let mut body = Map::new();
            let given = [
                ("api", &arguments.api),
                ("attack", &arguments.attack),
                ("variable", &arguments.variable),
            ];
            for (name, value) in given {
                put(&mut body, name, value.as_deref().map(Value::from));
            }
            change(Method::DELETE, body, &arguments.connection)
        }
    }
}

fn change(method: Method, body: Map<String, Value>, connection: &Connection) -> u8 {
    let body = Value::Object(body).to_string();
    let answer = send("engine/thresholds", method, &body, connection);
    finish(answer, connection, rows)
}

fn rows(answer: &Value) -> String {
    let rows = answer.get("thresholds").and_then(Value::as_array);
    let number = |row: &Value, key: &str| match row.get(key) {
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => "-".to_owned(),
    };
    let line = |row: &Value| {
        let set_by = row.pointer("/operator/set_by").and_then(Value::as_str);
        let basis = match set_by {
            Some(set_by) => format!("{} ({set_by})", text(row, "basis")),
            None => text(row, "basis").to_owned(),
        };
        let columns = [
            text(row, "attack").to_owned(),
            text(row, "variable").to_owned(),
            number(row, "tn"),
            number(row, "tx"),
            basis,
            text(row, "meaning").to_owned(),
        ];
        columns.join("\t")
    };
    let lines: Vec<String> = rows.into_iter().flatten().map(line).collect();
    lines.join("\n")
}

/// `ase attacks training`.
pub(super) fn training(connection: &Connection) -> u8 {
    let answer = call("engine/training", Method::GET, Ok(Map::new()), connection);
    finish(answer, connection, |answer| {
        let apis = answer.get("apis").and_then(Value::as_array);
        let of_api = |api: &Value| {
            let name = match text(api, "api") {
                "" => "-",
                name => name,
            };
            let sessions = api.get("sessions").and_then(Value::as_f64);
            let sessions = format!("\t{} sessions", sessions.unwrap_or_default());
            let own = training_line(name, api, &sessions);
            let routes = api.get("routes").and_then(Value::as_array);
            let of_route = |route: &Value| {
                let name = format!("{name} {}", text(route, "route"));
                training_line(&name, route, "")
            };
            let lines: Vec<String> = std::iter::once(own)
                .chain(routes.into_iter().flatten().map(of_route))
                .collect();
            lines.join("\n")
        };
        let lines: Vec<String> = apis.into_iter().flatten().map(of_api).collect();
        lines.join("\n")
    })
}

fn training_line(name: &str, report: &Value, also: &str) -> String {
    let number = |key: &str| report.get(key).and_then(Value::as_f64).unwrap_or_default();
    let thresholds = report.get("thresholds").and_then(Value::as_array);
    format!(
        "{name}\t{:.0} %\t{} windows\t{} clients{also}\t{} thresholds",
        number("progress") * 100.0,
        number("windows"),
        number("clients"),
        thresholds.map_or(0, Vec::len),
    )
}
