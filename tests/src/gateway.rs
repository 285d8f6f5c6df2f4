//! A gateway that runs the filter: a wasmtime host, as Envoy or as nginx, or a real Envoy. Scenarios see only this.
//!
//! Outcomes are the same on both; what only one of them does is said in the scenario, with the reason.

mod wasmtime;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use self::wasmtime::WasmtimeGateway;
use crate::envoy_gateway::EnvoyGateway;
use crate::wait;
use crate::wasm_gateway::{HostKind, LogLevel};

/// Longest wait for the first image, the start of a daemon that builds it included.
const IMAGE_WITHIN: Duration = Duration::from_secs(20);

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayKind {
    /// The wasmtime host of this package.
    Wasmtime,
    /// The same host as nginx with `ngx_wasm_module`.
    Nginx,
    /// A real Envoy.
    Envoy,
}

/// Everything that a gateway needs to start.
#[derive(Clone, Debug)]
pub struct GatewayPlan {
    /// The filter's wasm file.
    pub module: PathBuf,
    /// The filter's configuration.
    pub plugin_configuration: Value,
    /// The API behind the gateway.
    pub upstream: SocketAddr,
    /// The clusters that the filter may call, by name.
    pub clusters: BTreeMap<String, Vec<SocketAddr>>,
    /// What the listener is told.
    pub listener: Listener,
    /// A folder of this test alone.
    pub folder: PathBuf,
}

/// Settings of the listener and of the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listener {
    /// The client address is the peer's (true) or what `x-forwarded-for` says (false).
    pub use_remote_address: bool,
    /// Trusted proxies in front of the gateway.
    pub xff_num_trusted_hops: u32,
    /// A filter that pauses at the headers still gets the body.
    pub allow_on_headers_stop_iteration: bool,
    /// Host functions that the filter may not call.
    pub denied_capabilities: BTreeSet<String>,
    /// Most request headers; the gateway's default when absent.
    pub max_request_headers: Option<u32>,
    /// Largest request head in KiB; the gateway's default when absent.
    pub max_request_headers_kb: Option<u32>,
    /// Requests that one upstream connection pool may hold for the `ase` cluster; the gateway's default when absent.
    pub ase_max_requests: Option<u32>,
    /// Claims of a token that the gateway has verified, as `jwt_authn` leaves them under `payload`.
    pub verified_claims: BTreeMap<String, Value>,
    /// The configuration of Envoy's `jwt_authn` in front of the filter.
    pub jwt_authn: Option<Value>,
    /// Clients come over TLS; what the host shows of their connections, by the names of its properties. With a certificate's subject among it
    /// they show one.
    pub tls: BTreeMap<String, String>,
    /// Envoy's `failure_policy` for the filter; `FAIL_RELOAD`, which is shipped, when absent.
    pub failure_policy: Option<String>,
    /// Envoy's worker threads; one when absent.
    pub workers: Option<u32>,
    /// Envoy's `grpc_web` stands in front of the filter.
    pub grpc_web: bool,
    /// Routes with settings of their own, by the start of the path, before the one for everything.
    pub routes: Vec<RouteSettings>,
}

/// What one route is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSettings {
    /// The start of the paths.
    pub prefix: String,
    /// Its metadata in the namespace `ase`.
    pub metadata: Option<BTreeMap<String, Value>>,
    /// `FilterConfig.disabled` for the filter.
    pub disabled: bool,
    /// Envoy follows a redirect of upstream by itself.
    pub internal_redirect: bool,
}

/// What became of a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconfigured {
    /// It runs.
    Accepted,
    /// The former one still runs.
    Refused,
}

/// A running gateway.
pub trait Gateway {
    /// Where it accepts requests.
    fn address(&self) -> SocketAddr;
    /// Its log so far, the filter's lines included.
    fn log(&self) -> String;
    /// The filter's counters, by the name that the filter gave them.
    ///
    /// # Errors
    /// When the gateway does not tell.
    fn counters(&self) -> Result<BTreeMap<String, u64>>;
    /// Gives the filter a new configuration and waits until it is known what became of it.
    ///
    /// # Errors
    /// When that is not known within the deadline.
    fn reconfigure(&mut self, configuration: &Value) -> Result<Reconfigured>;
    /// Whether the filter ended by a trap.
    fn trapped(&self) -> bool;
    /// How much memory the filter has: its linear memory where that is known, else what the whole process has resident.
    ///
    /// # Errors
    /// When the gateway has ended.
    fn memory_bytes(&self) -> Result<u64>;
    /// How many WebAssembly instructions the filter has held its worker at most; none where the gateway does not tell.
    fn heaviest_hook(&self) -> Option<u64>;
    /// Leaves what is less grave out of the log from now on.
    ///
    /// # Errors
    /// When the gateway does not take it.
    fn set_log_level(&self, level: LogLevel) -> Result<()>;
    /// How many lines the filter has written that are too fine for the log; none where the gateway does not tell.
    fn lines_in_vain(&self) -> Option<u64>;
    /// How often the filter has called the host, by hook and function; none where the gateway does not tell.
    fn host_calls(&self) -> Option<BTreeMap<(&'static str, &'static str), u64>>;
}

impl GatewayKind {
    /// All, in the order in which tests are listed.
    pub const ALL: [Self; 3] = [Self::Wasmtime, Self::Nginx, Self::Envoy];

    /// As it is written in test names and scenarios.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wasmtime => "wasmtime",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// How many of its VMs hold a policy image: Envoy has one more than it has workers, in its main thread.
    #[must_use]
    pub fn vms(self, listener: &Listener) -> u64 {
        match self {
            Self::Wasmtime | Self::Nginx => 1,
            Self::Envoy => u64::from(listener.workers.unwrap_or(1)) + 1,
        }
    }

    /// Starts it with the filter in it.
    ///
    /// # Errors
    /// When a file is missing or it does not start.
    pub fn start(self, plan: &GatewayPlan) -> Result<Box<dyn Gateway>> {
        ensure!(
            plan.module.is_file(),
            "{} does not exist: run `make filter`, or set ASE_FILTER_WASM to the filter's wasm file",
            plan.module.display()
        );
        match self {
            Self::Wasmtime => Ok(Box::new(WasmtimeGateway::start(plan, HostKind::Envoy)?)),
            Self::Nginx => Ok(Box::new(WasmtimeGateway::start(plan, HostKind::Nginx)?)),
            Self::Envoy => Ok(Box::new(EnvoyGateway::start(plan)?)),
        }
    }
}

/// Waits until each of so many VMs has the policy image of mode `local`: before that it is as `sync`.
///
/// # Errors
/// When that does not come; the error holds the gateway's log.
pub fn wait_for_image(gateway: &dyn Gateway, vms: u64) -> Result<()> {
    wait::until_some(IMAGE_WITHIN, "the image of every worker", || {
        let taken = gateway.counters()?.get("ase_images_taken").copied();
        Ok(taken.filter(|images| *images >= vms))
    })
    .map(drop)
    .with_context(|| gateway.log())
}

/// The repository's root folder.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The filter under test: `ASE_FILTER_WASM`, else where `make filter` puts it.
#[must_use]
pub fn filter_module() -> PathBuf {
    std::env::var_os("ASE_FILTER_WASM").map_or_else(
        || repository().join("target/wasm32-wasip1/wasm/ase_filter.wasm"),
        PathBuf::from,
    )
}

/// The Envoy under test: `ENVOY`, else where `make envoy` puts it.
#[must_use]
pub fn envoy_program() -> PathBuf {
    std::env::var_os("ENVOY").map_or_else(|| repository().join(".venv/bin/envoy"), PathBuf::from)
}
