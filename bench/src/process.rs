//! Servers under load as processes, what the system says of a process, and which cores it may use.
//!
//! Assumes Linux (`/proc`, and `taskset` where processes shall have cores of their own). A process never outlives its value.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The core of what is measured; the load takes the others.
const MEASURED_CORE: &str = "0";

/// A server that prints a line with its addresses when it serves: the daemon, or one that does as it.
#[derive(Debug)]
pub struct Serving {
    process: Child,
    /// Where it is called.
    pub data: SocketAddr,
    /// Where operators call it, if they do.
    pub admin: Option<SocketAddr>,
}

impl Serving {
    /// Starts it and waits for that line.
    ///
    /// # Errors
    /// When it does not start, or prints something else.
    pub fn start(mut command: Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut serving = Self {
            process: spawned.with_context(|| format!("{command:?}"))?,
            data: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: None,
        };
        let mut line = String::new();
        let out = serving.process.stdout.take().context("its output")?;
        BufReader::new(out).read_line(&mut line)?;
        let ready: Value =
            serde_json::from_str(&line).with_context(|| format!("{command:?} printed {line:?}"))?;
        let at = |port: &str| ready.get(port).and_then(Value::as_str);
        serving.data = at("data").context("an address")?.parse()?;
        serving.admin = at("admin").map(str::parse).transpose()?;
        Ok(serving)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

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
