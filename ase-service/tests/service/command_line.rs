//! The real command line, run beside a daemon of the tests.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::Ase;

/// A command about the daemon of this state folder.
pub(crate) fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ase"));
    command.args(arguments).arg("--state-dir").arg(state);
    command
        .env_remove("ASE_ADMIN_SECRET")
        .env_remove("ASE_ADMIN_URL")
        .env_remove("ASE_STATE_DIR");
    command
}

/// Runs `ase` beside this daemon: exit code, and what was said on both outputs.
pub(crate) fn ase(ase: &Ase, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(&ase.folder.path().join("state"), arguments).output();
    told(output.unwrap())
}

/// Exit code, and what was said on both outputs.
pub(crate) fn told(output: Output) -> (Option<i32>, String) {
    let mut said = String::from_utf8(output.stdout).unwrap();
    said.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code(), said)
}
