//! A server under load: its process, its address, and what the system says that it uses.
//!
//! Assumes Linux (`/proc`, and `taskset` where servers and generator shall have cores of their own). A process never outlives its value.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// The core of servers; the generator takes the others.
const SERVER_CORE: &str = "0";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    /// Where it is called.
    pub(crate) address: SocketAddr,
    /// Where operators call it, if they do.
    admin: Option<SocketAddr>,
}

impl Server {
    /// The daemon with the configuration that `population` wrote into `home`.
    pub(crate) fn ase(program: &Path, home: &Path) -> Result<Self> {
        let mut command = on_its_core(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(home.join("ase.toml"))
            .args(["--log-level", "warn"])
            .stderr(Stdio::null());
        Self::start(command)
    }

    /// The bare server.
    pub(crate) fn yardstick() -> Result<Self> {
        let mut command = on_its_core(&std::env::current_exe()?);
        command.arg("yardstick");
        Self::start(command)
    }

    /// Waits for the line with the address, which both print when they serve.
    fn start(mut command: Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.with_context(|| format!("{command:?}"))?;
        let mut line = String::new();
        let out = process.stdout.take().context("its output")?;
        BufReader::new(out).read_line(&mut line)?;
        let ready: Value =
            serde_json::from_str(&line).with_context(|| format!("{command:?} printed {line:?}"))?;
        let at = |port: &str| ready.get(port).and_then(Value::as_str);
        let address = at("data").context("an address")?.parse()?;
        let admin = at("admin").and_then(|address| address.parse().ok());
        Ok(Self {
            process,
            address,
            admin,
        })
    }

    /// What a daemon has counted under this name.
    pub(crate) fn counted(&self, name: &str) -> Result<u64> {
        let admin = self.admin.context("a management port")?;
        let mut stream = TcpStream::connect(admin)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ase\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let found = page.lines().find_map(|line| line.strip_prefix(name));
        let count = found.with_context(|| format!("no {name} in {page}"))?;
        Ok(count.trim().parse()?)
    }

    /// CPU time so far. `taskset` replaces itself by the server, so the process is the server's.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()))?;
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
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().next())
            .context("VmRSS")?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Moves this process off the servers' core, where there is another and `taskset` is there.
pub(crate) fn keep_off_the_servers_core() {
    if two_cores() {
        let cores = format!("1-{}", cores() - 1);
        let moved = Command::new("taskset")
            .args(["-pc", &cores, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
        drop(moved);
    }
}

fn on_its_core(program: &Path) -> Command {
    if two_cores()
        && Command::new("taskset")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    {
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]).arg(program);
        return command;
    }
    Command::new(program)
}

fn two_cores() -> bool {
    cores() > 1
}

/// Counted from the system, not from this process, which is bound to some of them.
fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("processor"))
        .count()
}
