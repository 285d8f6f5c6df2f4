//! A real Envoy, one process per test.
//!
//! Its listener comes from a file that is replaced as a whole, so a new filter configuration reaches it as in
//! production. It must never outlive its test, whatever ends that.

mod bootstrap;
mod tls;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::gateway::{Gateway, GatewayPlan, Reconfigured, envoy_program};
use crate::http1::{self, Framing};
use crate::wait;
use crate::wasm_gateway::LogLevel;

/// Longest wait for Envoy to start or to take a listener: compiling the filter on a busy machine is slow.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What Envoy writes when a guest traps.
const TRAP_MARKS: [&str; 3] = ["failed: Uncaught", "in-VM backtrace", "Function failed"];

/// Envoy with the filter in its listener.
pub struct EnvoyGateway {
    process: Child,
    plan: GatewayPlan,
    admin: SocketAddr,
    address: SocketAddr,
    version: u32,
}

impl EnvoyGateway {
    /// Starts Envoy and waits for its listener.
    ///
    /// # Errors
    /// When Envoy is missing, or its listener is not there within a minute; the error holds its log.
    pub fn start(plan: &GatewayPlan) -> Result<Self> {
        let program = envoy_program();
        ensure!(
            program.is_file(),
            "{} does not exist: run `make envoy`, or set ENVOY to an Envoy program",
            program.display()
        );
        let folder = &plan.folder;
        fs::create_dir_all(folder.join("lds"))?;
        fs::write(
            folder.join("bootstrap.json"),
            bootstrap::bootstrap(plan).to_string(),
        )?;
        write_listener(plan, &plan.plugin_configuration, 1)?;
        let process = spawn(&program, folder, plan.listener.workers.unwrap_or(1))?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self {
            process,
            plan: plan.clone(),
            admin: unknown,
            address: unknown,
            version: 1,
        };
        match gateway.become_ready() {
            Ok(()) => Ok(gateway),
            Err(fault) => bail!("{fault:#}; Envoy's log:\n{}", gateway.log()),
        }
    }

    fn become_ready(&mut self) -> Result<()> {
        let admin = self.plan.folder.join("admin-address");
        self.admin = wait::until_some(START_DEADLINE, "Envoy's admin address", || {
            self.still_runs()?;
            Ok(fs::read_to_string(&admin)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        })?;
        self.address = wait::until_some(START_DEADLINE, "Envoy's listener", || {
            self.still_runs()?;
            if let Some(refused) = self
                .stat("listener_manager.lds.update_rejected")?
                .filter(|count| *count > 0)
            {
                bail!("Envoy refused the first listener ({refused} times)");
            }
            self.listener()
        })?;
        Ok(())
    }

    fn still_runs(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("Envoy ended with {status}"),
            None => Ok(()),
        }
    }

    fn listener(&self) -> Result<Option<SocketAddr>> {
        let listeners: Value = serde_json::from_str(&self.admin_get("/listeners?format=json")?)?;
        let statuses = listeners
            .pointer("/listener_statuses")
            .and_then(Value::as_array);
        // With TLS the filter's own listener has a socket in the file system.
        let mut sockets = statuses
            .into_iter()
            .flatten()
            .filter_map(|status| status.pointer("/local_address/socket_address"));
        let Some(port) = sockets
            .next()
            .and_then(|socket| socket.get("port_value"))
            .and_then(Value::as_u64)
        else {
            return Ok(None);
        };
        let warm = self.stat("listener_manager.total_listeners_warming")? == Some(0);
        let port = u16::try_from(port)?;
        Ok((warm && port != 0).then(|| SocketAddr::from(([127, 0, 0, 1], port))))
    }

    fn admin_get(&self, path: &str) -> Result<String> {
        self.admin("GET", path)
    }

    fn admin(&self, method: &str, path: &str) -> Result<String> {
        let stream = TcpStream::connect(self.admin).context("Envoy's admin port")?;
        stream.set_read_timeout(Some(START_DEADLINE))?;
        (&stream).write_all(
            format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut reader = BufReader::new(&stream);
        let head = http1::read_head(&mut reader)?.context("no answer from Envoy's admin port")?;
        let body = http1::read_body(&mut reader, &head, Framing::ReplyTo(method))?;
        Ok(http1::latin1(&body.content))
    }

    /// A counter or gauge of Envoy's; none while Envoy has not made it.
    ///
    /// # Errors
    /// When Envoy does not tell.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        Ok(parse_stats(&self.admin_get(&format!("/stats?filter=^{name}$"))?).remove(name))
    }
}

impl Gateway for EnvoyGateway {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn log(&self) -> String {
        fs::read(self.plan.folder.join("envoy.log"))
            .map_or_else(|_| String::new(), |bytes| http1::latin1(&bytes))
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let stats = parse_stats(&self.admin_get("/stats?filter=^wasmcustom")?);
        Ok(stats
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("wasmcustom.")?.to_owned(), value)))
            .collect())
    }

    fn reconfigure(&mut self, configuration: &Value) -> Result<Reconfigured> {
        let taken = self
            .stat("listener_manager.lds.update_success")?
            .unwrap_or(0);
        let refused = self
            .stat("listener_manager.lds.update_rejected")?
            .unwrap_or(0);
        self.version += 1;
        write_listener(&self.plan, configuration, self.version)?;
        let outcome =
            wait::until_some(START_DEADLINE, "Envoy's answer to the new listener", || {
                self.still_runs()?;
                if self
                    .stat("listener_manager.lds.update_rejected")?
                    .unwrap_or(0)
                    > refused
                {
                    return Ok(Some(Reconfigured::Refused));
                }
                let now_taken = self
                    .stat("listener_manager.lds.update_success")?
                    .unwrap_or(0);
                Ok((now_taken > taken && self.listener()?.is_some())
                    .then_some(Reconfigured::Accepted))
            })?;
        if let Some(address) = self.listener()? {
            self.address = address;
        }
        Ok(outcome)
    }

    fn trapped(&self) -> bool {
        let log = self.log();
        TRAP_MARKS.iter().any(|mark| log.contains(mark))
    }

    fn memory_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.context("Envoy has no memory")?;
        Ok(kib.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn host_calls(&self) -> Option<BTreeMap<(&'static str, &'static str), u64>> {
        None
    }

    fn heaviest_hook(&self) -> Option<u64> {
        None
    }

    fn lines_in_vain(&self) -> Option<u64> {
        None
    }

    fn set_log_level(&self, level: LogLevel) -> Result<()> {
        let name = match level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warning",
            LogLevel::Error => "error",
            LogLevel::Critical => "critical",
        };
        let said = self.admin("POST", &format!("/logging?wasm={name}"))?;
        ensure!(said.contains("active loggers"), "{said}");
        Ok(())
    }
}

impl Drop for EnvoyGateway {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(program: &Path, folder: &Path, workers: u32) -> Result<Child> {
    let log = File::create(folder.join("envoy.log"))?;
    Command::new(program)
        .arg("-c")
        .arg(folder.join("bootstrap.json"))
        .arg("--admin-address-path")
        .arg(folder.join("admin-address"))
        .args([
            "--concurrency",
            &workers.to_string(),
            "--use-dynamic-base-id",
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:debug",
        ])
        .args([
            "--drain-time-s",
            "2",
            "--drain-strategy",
            "immediate",
            "--parent-shutdown-time-s",
            "4",
            "--file-flush-interval-msec",
            "50",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// Replaces the listener's file as a whole: Envoy watches the folder for renames.
fn write_listener(plan: &GatewayPlan, configuration: &Value, version: u32) -> Result<()> {
    let fresh: PathBuf = plan.folder.join("listener.new");
    fs::write(
        &fresh,
        bootstrap::listener(plan, configuration, version).to_string(),
    )?;
    fs::rename(&fresh, plan.folder.join("lds/listener.json"))
        .context("put the listener's file in place")
}

fn parse_stats(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}
