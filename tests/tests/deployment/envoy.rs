//! An Envoy with a whole bootstrap of one's own, and its judgement of one that it does not start.
//!
//! Never outlives its test.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use system_tests::gateway::envoy_program;
use system_tests::http1::{self, Framing};
use system_tests::wait;
use tempfile::TempDir;

/// Longest wait for Envoy to start: compiling the filter on a busy machine is slow.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running Envoy.
pub(crate) struct Envoy {
    process: Child,
    folder: TempDir,
    admin: SocketAddr,
    listener: SocketAddr,
}

/// What Envoy says about a bootstrap without starting it. It loads the filter and has it read its configuration.
///
/// # Errors
/// When it refuses; the error holds its log.
pub(crate) fn judge(bootstrap: &Value) -> Result<String> {
    let folder = TempDir::new()?;
    let file = folder.path().join("bootstrap.json");
    fs::write(&file, bootstrap.to_string())?;
    let output = Command::new(envoy_program())
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(&file)
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("Envoy refuses the configuration: {log}");
    }
    Ok(log)
}

impl Envoy {
    /// Starts it and waits for its first listener.
    ///
    /// # Errors
    /// When it does not come up; the error holds its log.
    pub(crate) fn start(bootstrap: &Value) -> Result<Self> {
        let folder = TempDir::new()?;
        fs::write(folder.path().join("bootstrap.json"), bootstrap.to_string())?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            process: spawn(folder.path())?,
            folder,
            admin: nowhere,
            listener: nowhere,
        };
        envoy.find_ports().with_context(|| envoy.log())?;
        Ok(envoy)
    }

    /// Where clients connect.
    pub(crate) fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("envoy.log")).unwrap_or_default()
    }

    /// The value of a counter or gauge; 0 while it has none.
    ///
    /// # Errors
    /// When Envoy does not tell.
    pub(crate) fn stat(&self, name: &str) -> Result<u64> {
        let (_, stats) = get(self.admin, &format!("/stats?filter=^{name}$"), "")?;
        let line = stats.lines().next().unwrap_or_default();
        line.rsplit_once(": ")
            .map_or(Ok(0), |(_, value)| Ok(value.parse()?))
    }

    fn find_ports(&mut self) -> Result<()> {
        let file = self.folder.path().join("admin-address");
        self.admin = wait::until_some(START_DEADLINE, "Envoy's admin address", || {
            if let Some(status) = self.process.try_wait()? {
                bail!("Envoy ended with {status}");
            }
            Ok(fs::read_to_string(&file)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        })?;
        self.listener = wait::until_some(START_DEADLINE, "Envoy's listener", || {
            let (_, listeners) = get(self.admin, "/listeners", "")?;
            let (ready, _) = get(self.admin, "/ready", "")?;
            let address = listeners.trim().rsplit_once("::");
            Ok(address
                .and_then(|(_, address)| address.parse().ok())
                .filter(|_| ready == 200))
        })?;
        Ok(())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(folder: &Path) -> Result<Child> {
    let log = File::create(folder.join("envoy.log"))?;
    let program = envoy_program();
    Command::new(&program)
        .arg("-c")
        .arg(folder.join("bootstrap.json"))
        .arg("--admin-address-path")
        .arg(folder.join("admin-address"))
        .args(["--concurrency", "1", "--use-dynamic-base-id"])
        .args(["--log-level", "warning"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// Status and body of a GET with these further header lines, on a connection of its own.
///
/// # Errors
/// When there is no answer.
pub(crate) fn get(server: SocketAddr, path: &str, headers: &str) -> Result<(u16, String)> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(START_DEADLINE))?;
    (&stream).write_all(
        format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n")
            .as_bytes(),
    )?;
    let mut reader = BufReader::new(&stream);
    let head = http1::read_head(&mut reader)?.context("no answer")?;
    let body = http1::read_body(&mut reader, &head, Framing::ReplyTo("GET"))?;
    Ok((head.status()?, http1::latin1(&body.content)))
}
