//! A server under load: its process, its address, and what the system says that it uses.
//!
//! A process never outlives its value.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use ase_bench::load::{Calls, Connections, Outcome, Pace};
use ase_bench::process;
use serde_json::Value;

/// Connections of the generator.
const CONNECTIONS: usize = 32;

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
        let mut command = process::on_the_measured_core(program);
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
        let mut command = process::on_the_measured_core(&std::env::current_exe()?);
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

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.process.id())
    }

    /// Resident memory.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        process::resident_bytes(self.process.id())
    }

    /// Calls for `length` over connections of its own and waits for the last answers.
    pub(crate) fn run(&self, calls: &impl Calls, pace: Pace, length: Duration) -> Result<Outcome> {
        let mut connections = Connections::open(self.address, CONNECTIONS)?;
        let before = self.cpu()?;
        let run = connections.start(calls, &[200], pace, length);
        let outcome = run.finish()?;
        Ok(Outcome {
            cpu: self.cpu()?.saturating_sub(before),
            ..outcome
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
