//! What the system says of a process, and which cores it may use.
//!
//! Assumes Linux (`/proc`, and `taskset` where processes shall have cores of their own).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The core of what is measured; the load takes the others.
const MEASURED_CORE: &str = "0";

/// CPU time of all threads so far.
///
/// # Errors
/// When there is no such process.
pub fn cpu(process: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))?;
    let mut nanoseconds = 0_u64;
    for task in tasks {
        // A thread may end between the two looks.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text
            .split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory.
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().next())
        .context("VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// Moves this process off the measured core, where there is another and `taskset` is there.
pub fn keep_off_the_measured_core() {
    if cores() > 1 {
        let others = format!("1-{}", cores() - 1);
        let moved = Command::new("taskset")
            .args(["-pc", &others, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
        drop(moved);
    }
}

/// This program on the measured core, where there is another and `taskset` is there. `taskset` replaces itself by the program, so the process is the
/// program's.
#[must_use]
pub fn on_the_measured_core(program: &Path) -> Command {
    if has_cores_of_its_own() {
        let mut command = Command::new("taskset");
        command.args(["-c", MEASURED_CORE]).arg(program);
        return command;
    }
    Command::new(program)
}

/// Whether what is measured has a core that nothing of the load uses.
#[must_use]
pub fn has_cores_of_its_own() -> bool {
    cores() > 1
        && Command::new("taskset")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// Counted from the system, not from this process, which is bound to some of them.
fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("processor"))
        .count()
}
