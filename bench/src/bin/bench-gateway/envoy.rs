//! An Envoy under load: one worker, on the measured core. It never outlives its value.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ase_bench::process;
use serde_json::Value;

/// Longest wait for a listener: compiling the filter on a busy machine is slow.
const START: Duration = Duration::from_secs(60);

/// A running Envoy.
#[derive(Debug)]
pub(crate) struct Envoy {
    process: Child,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
}

impl Envoy {
    /// Starts it with this configuration and waits until it takes requests and has found ASE well.
    pub(crate) async fn start(program: &Path, folder: &Path, bootstrap: &Value) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (config, admin, log) = (
            folder.join("envoy.json"),
            folder.join("admin"),
            folder.join("envoy.log"),
        );
        fs::write(&config, bootstrap.to_string())?;
        let mut command = process::on_the_measured_core(program);
        command
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin)
            .arg("--log-path")
            .arg(&log)
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "warning"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let mut starting = Starting {
            process: Some(command.spawn().context("Envoy")?),
        };
        loop {
            if let Some(address) = listening(&admin) {
                let process = starting.process.take().context("a process")?;
                return Ok(Self { process, address });
            }
            let said = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(ended) = starting.ended()? {
                bail!("Envoy ended with {ended}: {}", said());
            }
            ensure!(
                started.elapsed() < START,
                "Envoy is not ready after {START:?}: {}",
                said()
            );
            // The stub answers Envoy's health checks meanwhile.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// CPU time of all threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.process.id())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Ends the process when the wait for it is given up.
struct Starting {
    process: Option<Child>,
}

impl Starting {
    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        let process = self.process.as_mut().context("a process")?;
        Ok(process.try_wait()?)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            end(process);
        }
    }
}

fn end(process: &mut Child) {
    // Both fail only when it has ended already.
    drop(process.kill());
    drop(process.wait());
}

/// The address of the listener, once Envoy takes requests and has found ASE well.
fn listening(admin: &Path) -> Option<SocketAddr> {
    let admin: SocketAddr = fs::read_to_string(admin).ok()?.trim().parse().ok()?;
    let gateway = get(admin, "/listeners").ok()?;
    let line = gateway
        .lines()
        .find_map(|line| line.strip_prefix("gateway::"))?;
    let address: SocketAddr = line.trim().parse().ok()?;
    let stats = get(
        admin,
        "/stats?filter=warming|cluster.ase.membership_healthy",
    );
    let stats = stats.ok()?;
    let ready = address.port() != 0
        && stats.contains("listener_manager.total_listeners_warming: 0")
        && stats.contains("cluster.ase.membership_healthy: 1");
    ready.then_some(address)
}

fn get(admin: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(START))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
    )?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
