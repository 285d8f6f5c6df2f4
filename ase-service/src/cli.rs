//! The command line. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 refused, faulty or not found, 2 wrong usage, 69 nobody answers.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::check;
use crate::config::{
    DEFAULT_ADMIN_LISTEN, DEFAULT_DATA_LISTEN, DEFAULT_STATE_DIR, Exposure, Overrides,
};
use crate::replay;

mod admin;
mod docs;
mod serve;

/// The command did what it was told.
const DONE: u8 = 0;
/// The command was refused, found faults, or found nothing.
const REFUSED: u8 = 1;
/// Nobody answers (`EX_UNAVAILABLE` of sysexits.h).
const UNREACHABLE: u8 = 69;

/// API Security Enforcer: answers gateways, blocks who is listed, and writes down every exchange.
#[derive(Parser)]
#[command(name = "ase", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Serve(ServeArguments),
    /// Check the configuration and the files that it names, and start nothing
    Check(ServeArguments),
    /// Whom to block
    #[command(subcommand)]
    Deny(admin::ListCommand),
    /// Whom never to block
    #[command(subcommand)]
    Allow(admin::ListCommand),
    /// What the daemon serves
    Status(admin::Connection),
    /// What the daemon has counted
    Counters(admin::Connection),
    /// Write man pages and shell completions into a folder
    #[command(hide = true)]
    Docs(docs::Arguments),
    /// Send the requests of an access log through a gateway
    Replay(replay::Arguments),
}

#[derive(Args)]
struct ServeArguments {
    /// The configuration file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "ADDRESS:PORT", help = format!("Where gateways call [default: {DEFAULT_DATA_LISTEN}]"))]
    data_listen: Option<String>,
    #[arg(long, value_name = "ADDRESS:PORT", help = format!("Where operators call [default: {DEFAULT_ADMIN_LISTEN}]"))]
    admin_listen: Option<String>,
    /// The folder with the API definitions
    #[arg(long, value_name = "DIR")]
    api_dir: Option<PathBuf>,
    #[arg(long, value_name = "DIR", help = format!("The folder with ASE's state [default: {DEFAULT_STATE_DIR}]"))]
    state_dir: Option<PathBuf>,
    /// The access log [default: access.jsonl in the state folder]
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Let the data port listen beyond loopback without sideband tokens
    #[arg(long)]
    insecure: bool,
    /// Operational log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(arguments.split()),
        Command::Check(arguments) => check(&arguments),
        Command::Deny(command) => admin::change("deny", &command),
        Command::Allow(command) => admin::change("allow", &command),
        Command::Status(connection) => admin::show("status", &connection),
        Command::Counters(connection) => admin::show("counters", &connection),
        Command::Docs(arguments) => docs::write(&arguments),
        Command::Replay(arguments) => match replay::run(&arguments) {
            Ok(replayed) => {
                say(&replayed.summary);
                if replayed.reached { DONE } else { UNREACHABLE }
            }
            Err(error) => {
                complain(&error.to_string());
                REFUSED
            }
        },
    };
    ExitCode::from(code)
}

impl ServeArguments {
    fn split(self) -> (Option<PathBuf>, Overrides, tracing::Level) {
        let overrides = self.overrides();
        (self.config, overrides, self.log_level)
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            data_listen: self.data_listen.clone(),
            admin_listen: self.admin_listen.clone(),
            api_dir: self.api_dir.clone(),
            state_dir: self.state_dir.clone(),
            access_log: self.access_log.clone(),
            exposure: if self.insecure {
                Exposure::Insecure
            } else {
                Exposure::Guarded
            },
        }
    }
}

fn check(arguments: &ServeArguments) -> u8 {
    let report = check::check(arguments.config.as_deref(), &arguments.overrides());
    for warning in &report.warnings {
        complain(&format!("warning: {warning}"));
    }
    for fault in &report.faults {
        complain(&format!("fault: {fault}"));
    }
    if report.faults.is_empty() {
        say(&format!("ok: {} API definitions", report.apis.unwrap_or(0)));
        DONE
    } else {
        complain(&format!("{} faults", report.faults.len()));
        REFUSED
    }
}

/// A line on standard output. A reader that went away is no reason to break off.
fn say(line: &str) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// A line on standard error.
fn complain(line: &str) {
    drop(writeln!(io::stderr().lock(), "ase: {line}"));
}
