//! A server under load: the daemon or the yardstick, and what the system says that it uses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use ase_bench::load::{Calls, Connections, Outcome, Pace};
use ase_bench::process::{self, Serving};

/// Connections of the generator.
const CONNECTIONS: usize = 32;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    serving: Serving,
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
        let serving = Serving::start(command)?;
        Ok(Self { serving })
    }

    /// The bare server.
    pub(crate) fn yardstick() -> Result<Self> {
        let mut command = process::on_the_measured_core(&std::env::current_exe()?);
        command.arg("yardstick");
        let serving = Serving::start(command)?;
        Ok(Self { serving })
    }

    /// What a daemon has counted under this name.
    pub(crate) fn counted(&self, name: &str) -> Result<u64> {
        let admin = self.serving.admin.context("a management port")?;
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
        process::cpu(self.serving.id())
    }

    /// Resident memory.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        process::resident_bytes(self.serving.id())
    }

    /// Calls for `length` over connections of its own and waits for the last answers.
    pub(crate) fn run(&self, calls: &impl Calls, pace: Pace, length: Duration) -> Result<Outcome> {
        let mut connections = Connections::open(self.serving.data, CONNECTIONS)?;
        let before = self.cpu()?;
        let run = connections.start(calls, pace, length);
        let outcome = run.finish()?;
        Ok(Outcome {
            cpu: self.cpu()?.saturating_sub(before),
            ..outcome
        })
    }
}
