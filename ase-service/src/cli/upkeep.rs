//! The commands for whole lists, credential keys, and copies of the state.
//!
//! What is written to a file or to standard output is written whole or not at all; a copy of the state is for its owner's eyes
//! only.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value};

use super::connection::{Connection, Failure, call, fetch, finish, put, text};
use super::lists::value_or_input;
use super::{DONE, REFUSED, complain, say};
use crate::config::DEFAULT_STATE_DIR;
use crate::state::{FILE, State};

/// Longest wait for a whole list or a copy of the state.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// An identifier a line
    Plain,
    /// An array of objects
    Json,
    /// Comma-separated values with a header
    Csv,
}

#[derive(Args)]
pub(super) struct ClearArguments {
    /// Whose entries: all, manual, file, engine, real_time or real_time:RULE
    #[arg(long, default_value = "manual")]
    source: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The file; - is standard input
    file: PathBuf,
    /// How it is written [default: by the file's ending, else plain]
    #[arg(long)]
    format: Option<Format>,
    /// Add the good entries and name the bad ones
    #[arg(long)]
    keep_going: bool,
    /// Take every address (0.0.0.0/0 or ::/0) as an entry like others
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    /// How it is written
    #[arg(long, default_value = "plain")]
    format: Format,
    /// Whose entries: all, manual, file, engine, real_time or real_time:RULE
    #[arg(long, default_value = "all")]
    source: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct HashArguments {
    /// cookie, token, api_key or username
    #[arg(value_name = "TYPE", value_parser = ["cookie", "token", "api_key", "username"])]
    kind: String,
    /// NAME VALUE of a cookie, or a value; - reads the value from standard input
    #[arg(value_name = "VALUE", required = true, num_args = 1..=2)]
    value: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Make a new key; the current one stays valid as the previous one, the one before that ends
    Rotate(RotateArguments),
    /// Show the valid keys and how many entries were made under each, without their secrets
    List(Connection),
    /// Show the secrets of the valid keys
    Show(ShowArguments),
}

#[derive(Args)]
pub(super) struct RotateArguments {
    /// Rotate even though entries were made under the key that ends: they will match nobody
    #[arg(long)]
    abandon: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct ShowArguments {
    /// As a gateway needs them to make ids itself
    #[arg(long, required = true)]
    for_gateway: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct BackupArguments {
    /// The file to write; it must not exist
    file: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// The copy
    file: PathBuf,
    /// The state folder
    #[arg(long, value_name = "DIR", env = "ASE_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    fn of(file: &Path) -> Self {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Self::Json,
            Some("csv") => Self::Csv,
            Some(_) | None => Self::Plain,
        }
    }
}

/// `ase deny clear` and `ase allow clear`.
pub(super) fn clear(list: &str, arguments: &ClearArguments) -> u8 {
    let connection = &arguments.connection;
    let path = format!("{list}/clear?source={}", arguments.source);
    let answer = call(&path, Method::POST, Ok(Map::new()), connection);
    finish(answer, connection, |answer| {
        let removed = answer.get("removed").and_then(Value::as_u64).unwrap_or(0);
        format!("{removed} entries removed from the {list} list")
    })
}

/// `ase deny import` and `ase allow import`. With `--keep-going`, faults make the exit code 1 though the good entries hold.
pub(super) fn import(list: &str, arguments: &ImportArguments) -> u8 {
    let connection = &arguments.connection;
    let format = arguments
        .format
        .unwrap_or_else(|| Format::of(&arguments.file));
    let mut faults = Vec::new();
    let answer = read(&arguments.file).and_then(|body| {
        let (format, keep_going) = (format.as_str(), arguments.keep_going);
        let force = arguments.force;
        let path = format!("{list}/import?format={format}&keep_going={keep_going}&force={force}");
        let body = fetch(&path, Method::POST, body, (connection, PATIENCE))?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|error| Failure::Refused(format!("the answer is not JSON: {error}")))?;
        let named = answer.get("faults").and_then(Value::as_array);
        let named = named.into_iter().flatten().filter_map(Value::as_str);
        faults.extend(named.map(ToOwned::to_owned));
        Ok(answer)
    });
    let code = finish(answer, connection, |answer| {
        let added = answer.get("added").and_then(Value::as_u64).unwrap_or(0);
        format!("{added} entries added to the {list} list")
    });
    for fault in &faults {
        complain(fault);
    }
    if faults.is_empty() { code } else { REFUSED }
}

/// `ase deny export` and `ase allow export`.
pub(super) fn export(list: &str, arguments: &ExportArguments) -> u8 {
    let (format, source) = (arguments.format.as_str(), &arguments.source);
    let path = format!("{list}/export?format={format}&source={source}");
    let connection = &arguments.connection;
    match fetch(&path, Method::GET, Bytes::new(), (connection, PATIENCE)) {
        Ok(document) => {
            // A reader that went away is no reason to complain.
            drop(io::stdout().lock().write_all(&document));
            DONE
        }
        Err(failure) => finish(Err(failure), connection, |_| String::new()),
    }
}

/// `ase hash`.
pub(super) fn hash(arguments: &HashArguments) -> u8 {
    let body = match arguments.value.as_slice() {
        [value] if arguments.kind != "cookie" => Ok((None, value)),
        [name, value] if arguments.kind == "cookie" => Ok((Some(name), value)),
        _ => {
            let rule = "a cookie takes a name and a value, everything else one value";
            Err(Failure::Usage(rule.to_owned()))
        }
    };
    let body = body.and_then(|(name, value)| {
        let mut body = Map::new();
        put(&mut body, "type", Some(arguments.kind.clone().into()));
        put(&mut body, "name", name.cloned().map(Value::from));
        put(&mut body, "value", Some(value_or_input(value)?.into()));
        Ok(body)
    });
    let connection = &arguments.connection;
    let answer = call("hash", Method::POST, body, connection);
    finish(answer, connection, |answer| {
        let ids = answer.get("ids").and_then(Value::as_array);
        let ids = ids.into_iter().flatten().filter_map(Value::as_str);
        let mut lines: Vec<String> = ids.map(ToOwned::to_owned).collect();
        for list in ["deny", "allow"] {
            let entries = answer.get("listed").and_then(|listed| listed.get(list));
            let entries = entries.and_then(Value::as_array).into_iter().flatten();
            lines.extend(entries.map(|entry| {
                let (id, scope) = (text(entry, "value"), text(entry, "scope"));
                let (source, reason) = (text(entry, "source"), text(entry, "reason"));
                format!("on the {list} list as {id}: scope {scope}, by {source}, {reason:?}")
            }));
        }
        if !lines.iter().any(|line| line.starts_with("on the")) {
            lines.push("not listed".to_owned());
        }
        lines.join("\n")
    })
}

/// `ase key`.
pub(super) fn key(command: &KeyCommand) -> u8 {
    match command {
        KeyCommand::Rotate(arguments) => {
            let mut body = Map::new();
            if arguments.abandon {
                put(&mut body, "abandon", Some(true.into()));
            }
            let connection = &arguments.connection;
            let answer = call("keys/rotate", Method::POST, Ok(body), connection);
            finish(answer, connection, |answer| {
                let (current, previous) = (text(answer, "current"), text(answer, "previous"));
                format!(
                    "new ids are made under {current}; {previous} stays valid until the next rotation"
                )
            })
        }
        KeyCommand::List(connection) => {
            let answer = call("keys", Method::GET, Ok(Map::new()), connection);
            finish(answer, connection, |answer| {
                let keys = answer.get("keys").and_then(Value::as_array);
                let line = |key: &Value| {
                    let entries = key.get("entries").and_then(Value::as_u64).unwrap_or(0);
                    format!(
                        "{}\t{}\t{entries} entries",
                        text(key, "id"),
                        text(key, "role")
                    )
                };
                let lines: Vec<String> = keys.into_iter().flatten().map(line).collect();
                lines.join("\n")
            })
        }
        KeyCommand::Show(arguments) => {
            let connection = &arguments.connection;
            let answer = call("keys/secrets", Method::GET, Ok(Map::new()), connection);
            finish(answer, connection, ToString::to_string)
        }
    }
}

/// `ase backup`: from the daemon that runs, or from the state folder when none does.
pub(super) fn back_up(arguments: &BackupArguments) -> u8 {
    let connection = &arguments.connection;
    let (file, none) = (&arguments.file, Bytes::new());
    let copied = match fetch("backup", Method::GET, none, (connection, PATIENCE)) {
        Ok(copy) => write_copy(file, &copy).map_err(|error| error.to_string()),
        Err(Failure::Unreachable(..)) => {
            let folder = folder(connection.state_dir.as_deref());
            open(&folder).and_then(|state| state.back_up(file).map_err(|error| error.to_string()))
        }
        Err(failure) => return finish(Err(failure), connection, |_| String::new()),
    };
    done(
        copied,
        &format!("the state is copied to {}", file.display()),
    )
}

/// `ase restore`.
pub(super) fn restore(arguments: &RestoreArguments) -> u8 {
    let folder = folder(arguments.state_dir.as_deref());
    let opened = State::open(&folder).map_err(|error| error.to_string());
    let restored = opened.and_then(|mut state| {
        let restored = state.restore(&arguments.file);
        restored.map_err(|error| error.to_string())
    });
    let (from, to) = (arguments.file.display(), folder.display());
    done(restored, &format!("the state in {to} is that of {from}"))
}

fn done(outcome: Result<(), String>, what: &str) -> u8 {
    match outcome {
        Ok(()) => {
            say(what);
            DONE
        }
        Err(error) => {
            complain(&error);
            REFUSED
        }
    }
}

/// Opens a state that must be there: a copy of a new, empty one would be mistaken for a backup.
fn open(folder: &Path) -> Result<State, String> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Err(format!("{}: is not there", file.display()));
    }
    State::open(folder).map_err(|error| error.to_string())
}

fn folder(given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| PathBuf::from(DEFAULT_STATE_DIR), Path::to_path_buf)
}

fn write_copy(file: &Path, copy: &[u8]) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let mut options = std::fs::OpenOptions::new();
    let opened = options.create_new(true).write(true).mode(0o600).open(file);
    let mut opened = opened.map_err(named)?;
    let written = opened.write_all(copy).and_then(|()| opened.sync_all());
    if written.is_err() {
        drop(std::fs::remove_file(file));
    }
    written.map_err(named)
}

fn read(file: &Path) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes).map(drop))
    };
    match read {
        Ok(()) => Ok(Bytes::from(bytes)),
        Err(error) => Err(Failure::Refused(format!("{}: {error}", file.display()))),
    }
}
