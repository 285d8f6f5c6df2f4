//! The real daemon, one process per test, with its own folder and free ports.
//!
//! Assumes the `ase` binary. It must never outlive its test, whatever ends that.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::repository;
use crate::wait;

/// Longest wait for the daemon's ports.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// What the daemon is started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealAsePlan {
    /// API definitions by id.
    pub apis: BTreeMap<String, Value>,
    /// More lines of its configuration file.
    pub config: String,
    /// Attack list entries as the arguments of `ase deny add`, such as `ip 203.0.113.7`.
    pub deny: Vec<String>,
}

/// A running daemon.
#[derive(Debug)]
pub struct RealAse {
    process: Child,
    folder: PathBuf,
    data: SocketAddr,
    admin: SocketAddr,
}

/// The daemon under test: `ASE_BINARY`, else where `make ase` puts it, else where `cargo build` does.
#[must_use]
pub fn program() -> PathBuf {
    let built = |profile: &str| repository().join("target").join(profile).join("ase");
    match std::env::var_os("ASE_BINARY") {
        Some(path) => PathBuf::from(path),
        None if built("release").is_file() => built("release"),
        None => built("debug"),
    }
}

/// Who is blocked is what the plan says: the behaviour engine, which would find attackers in recorded traffic too, is off unless the
/// plan speaks of it.
fn configured(config: &str) -> String {
    if config.contains("enable_abs") {
        config.to_owned()
    } else {
        format!("enable_abs = false\n{config}")
    }
}

impl RealAse {
    /// Starts the daemon in `folder`, waits for its ports and lists what the plan denies.
    ///
    /// # Errors
    /// When the binary is missing, or does not start; the error holds its log.
    pub fn start(plan: &RealAsePlan, folder: &Path) -> Result<Self> {
        let program = program();
        ensure!(
            program.is_file(),
            "{} does not exist: run `make ase`, or set ASE_BINARY",
            program.display()
        );
        fs::create_dir_all(folder.join("apis"))?;
        for (id, definition) in &plan.apis {
            fs::write(
                folder.join("apis").join(format!("{id}.json")),
                definition.to_string(),
            )?;
        }
        fs::write(folder.join("ase.toml"), configured(&plan.config))?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut ase = Self {
            process: spawn(folder, any, any)?,
            folder: folder.to_path_buf(),
            data: any,
            admin: any,
        };
        ase.find_ports()?;
        for entry in &plan.deny {
            ase.command(&format!("deny add {entry}"))?;
        }
        Ok(ase)
    }

    /// Where gateways call; the same after a restart.
    #[must_use]
    pub fn data_address(&self) -> SocketAddr {
        self.data
    }

    /// Runs `ase <words>` against this daemon and returns what it printed.
    ///
    /// # Errors
    /// When the command fails.
    pub fn command(&self, words: &str) -> Result<String> {
        let output = Command::new(program())
            .args(words.split_whitespace())
            .env_remove("ASE_ADMIN_URL")
            .env_remove("ASE_ADMIN_SECRET")
            .arg("--state-dir")
            .arg(self.folder.join("state"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let faults = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "ase {words}: {}: {text}{faults}",
            output.status
        );
        Ok(text)
    }

    /// Every whole line of the access log so far.
    #[must_use]
    pub fn access_log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("access.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Stops it as an operator does and returns the whole access log.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn stop(mut self) -> Result<Vec<Value>> {
        self.signal("TERM")?;
        let ended = wait::until_some(START_DEADLINE, "the daemon's end", || {
            Ok(self.process.try_wait()?)
        });
        let status = ended.with_context(|| self.story())?;
        ensure!(
            status.success(),
            "ase ended with {status}: {}",
            self.story()
        );
        Ok(self.access_log())
    }

    /// Starts it again with the same folder and ports, after [`Self::kill`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> Result<()> {
        fs::remove_file(self.addresses_file()).context("the former addresses")?;
        self.process = spawn(&self.folder, self.data, self.admin)?;
        self.find_ports()
    }

    /// Stops it without ending it: connections stay, nothing answers.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Its log, for the reader of a failure.
    #[must_use]
    pub fn story(&self) -> String {
        let log = fs::read_to_string(self.folder.join("ase.log")).unwrap_or_default();
        let lines: Vec<String> = self.access_log().iter().map(Value::to_string).collect();
        format!("access log:\n{}\nase's log:\n{log}", lines.join("\n"))
    }

    fn signal(&self, name: &str) -> Result<()> {
        // The shell's own `kill`: the program of that name is not on every machine.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.process.id())])
            .status()?;
        ensure!(sent.success(), "kill -{name}: {sent}");
        Ok(())
    }

    fn addresses_file(&self) -> PathBuf {
        self.folder.join("state/addresses.json")
    }

    fn find_ports(&mut self) -> Result<()> {
        let file = self.addresses_file();
        let found = wait::until_some(START_DEADLINE, "the daemon's addresses", || {
            if let Some(status) = self.process.try_wait()? {
                bail!("ase ended with {status}");
            }
            let text = fs::read_to_string(&file).unwrap_or_default();
            let addresses: Value = serde_json::from_str(&text).unwrap_or_default();
            let address = |name: &str| addresses.get(name)?.as_str()?.parse().ok();
            Ok(address("data").zip(address("admin")))
        });
        let (data, admin) = found.with_context(|| self.story())?;
        (self.data, self.admin) = (data, admin);
        Ok(())
    }
}

impl Drop for RealAse {
    fn drop(&mut self) {
        // Both fail only when the process has ended already; a frozen one is ended too.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(folder: &Path, data: SocketAddr, admin: SocketAddr) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("ase.log"))?;
    Command::new(program())
        .arg("serve")
        .arg("--config")
        .arg(folder.join("ase.toml"))
        .args([
            "--data-listen",
            &data.to_string(),
            "--admin-listen",
            &admin.to_string(),
        ])
        .arg("--api-dir")
        .arg(folder.join("apis"))
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--access-log")
        .arg(folder.join("access.jsonl"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start ase")
}
