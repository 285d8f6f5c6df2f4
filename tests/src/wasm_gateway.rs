//! A small real HTTP gateway that runs the filter's `.wasm` on wasmtime as Envoy does: hyper in front, hyper behind, proxy-wasm 0.2.1 between.
//!
//! What it reproduces was measured on Envoy 1.40; as `nginx` it does some things as that host is said to (`nginx.rs`). It assumes HTTP/1.1 on every side and one worker; trailers, gRPC callouts and shared queues are
//! absent. Gateways share nothing but compiled modules, so any number of them run in one process. Must never be taken for
//! the truth where it and Envoy differ.

mod abi;
mod callout;
mod canary;
mod data_calls;
mod event;
mod exchange;
mod filter_chain;
mod front;
mod guest;
mod header_calls;
mod heads;
mod host;
mod imports;
mod local_reply;
mod nginx;
mod pairs;
mod property;
mod stream;
mod telemetry;
mod vm;
mod wasi;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use canary::Parts;
use event::Event;
use filter_chain::HeadersPause;
use front::Front;
use host::Settings;
use telemetry::Telemetry;
use vm::Vm;

pub use telemetry::{LogLevel, LogLine};

/// Which host is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKind {
    /// Envoy.
    #[default]
    Envoy,
    /// nginx with `ngx_wasm_module`: what it refuses ends the guest by a trap, as there.
    Nginx,
}

/// What `Pause` from a headers hook means: Envoy's `allow_on_headers_stop_iteration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeadersStopIteration {
    /// Envoy's default: nothing of the message moves until the filter resumes.
    #[default]
    Forbidden,
    /// Body hooks run meanwhile, and one that continues lets the whole message go.
    Allowed,
}

/// What the listener takes for the client's address: Envoy's `use_remote_address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoteAddress {
    /// Envoy's default, `use_remote_address: false`: the rightmost `x-forwarded-for` entry with port 0, else the peer; nothing is appended.
    #[default]
    Forwarded,
    /// `use_remote_address: true`: the peer, or with trusted hops the entry so many from the right of what the client sent; the peer's address
    /// is appended to `x-forwarded-for`. (Envoy appends the machine's own address for a peer on loopback.)
    Peer {
        /// Envoy's `xff_num_trusted_hops`.
        trusted_hops: usize,
    },
}

/// The largest request head that reaches the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Header lines.
    pub headers: usize,
    /// Names and values together, in bytes.
    pub bytes: usize,
}

impl Default for HeadLimits {
    /// Envoy's.
    fn default() -> Self {
        Self {
            headers: 100,
            bytes: 60 * 1024,
        }
    }
}

/// How a gateway is to be.
#[derive(Debug, Clone)]
pub struct WasmGatewayConfig {
    /// Which host is imitated.
    pub host: HostKind,
    /// The filter's `.wasm`.
    pub module: PathBuf,
    /// The plugin configuration, JSON.
    pub plugin_configuration: String,
    /// Where requests go that the filter lets pass.
    pub upstream: SocketAddr,
    /// Targets of callouts; a cluster without addresses has no endpoint.
    pub clusters: BTreeMap<String, Vec<SocketAddr>>,
    /// Host calls that the filter may not use, such as `proxy_get_header_map_pairs`: they return `InternalFailure`.
    pub denied_capabilities: BTreeSet<String>,
    /// What `Pause` from a headers hook means.
    pub allow_on_headers_stop_iteration: HeadersStopIteration,
    /// What the listener takes for the client's address.
    pub use_remote_address: RemoteAddress,
    /// Larger request heads get 431.
    pub head_limits: HeadLimits,
    /// Most callouts under way at once per cluster; one more is `InternalFailure`, as from an open circuit breaker. No entry is no limit.
    pub max_requests: BTreeMap<String, usize>,
    /// Metadata of routes; the first that matches counts.
    pub route_metadata: Vec<RouteMetadata>,
    /// What is shown of the clients' TLS connections, by the names of the properties.
    pub connection: BTreeMap<String, String>,
    /// Claims of a verified token in their binary forms, as `jwt_authn` leaves them under `payload`.
    pub verified_claims: BTreeMap<String, Vec<u8>>,
}

/// What one route holds in the namespace `ase`.
#[derive(Debug, Clone)]
pub struct RouteMetadata {
    /// The start of its paths.
    pub prefix: String,
    /// Keys and values in their binary forms.
    pub settings: Vec<(String, Vec<u8>)>,
}

/// Why a gateway did not start or did not take a configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is not a module, or cannot be read.
    #[error("filter module {path}: {source:#}")]
    Module {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: wasmtime::Error,
    },
    /// The module imports what this host does not offer, or traps while it is made.
    #[error("filter instance: {source:#}")]
    Instance {
        /// What is wrong with it.
        source: wasmtime::Error,
    },
    /// The filter refused its configuration.
    #[error("the filter refused its configuration: {log:?}")]
    ConfigurationRefused {
        /// What it logged meanwhile.
        log: Vec<String>,
    },
    /// The filter trapped while it was configured, or had trapped before.
    #[error("the filter trapped: {log:?}")]
    Trapped {
        /// What was logged meanwhile.
        log: Vec<String>,
    },
    /// The listener could not be opened.
    #[error("listener on loopback: {0}")]
    Listen(#[from] std::io::Error),
    /// The gateway has ended.
    #[error("the gateway has ended")]
    Ended,
}

/// A running gateway; dropping it ends it at once.
#[derive(Debug)]
pub struct WasmGateway {
    address: SocketAddr,
    telemetry: Arc<Telemetry>,
    trapped: Arc<AtomicBool>,
    memory_bytes: Arc<AtomicUsize>,
    heaviest_hook: Arc<AtomicU64>,
    events: mpsc::UnboundedSender<Event>,
    accepting: JoinHandle<()>,
    vm: JoinHandle<()>,
}

impl WasmGateway {
    /// Starts a gateway on a free loopback port. The configuration is tried in a canary VM first, as Envoy does.
    ///
    /// # Errors
    ///
    /// The module is unusable, the filter refuses the configuration or traps, or no port is free.
    pub async fn start(config: WasmGatewayConfig) -> Result<Self, StartError> {
        let path = config.module.clone();
        let compiled = tokio::task::spawn_blocking(move || guest::compile(&path))
            .await
            .map_err(|_| StartError::Ended)?;
        let module = compiled.map_err(|source| StartError::Module {
            path: config.module.clone(),
            source,
        })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let telemetry = Arc::new(Telemetry::default());
        let trapped = Arc::new(AtomicBool::new(false));
        let memory_bytes = Arc::new(AtomicUsize::new(0));
        let heaviest_hook = Arc::new(AtomicU64::new(0));
        let contexts = Arc::new(AtomicU32::new(1));
        let parts = Parts {
            module,
            settings: Arc::new(Settings {
                host: config.host,
                denied_capabilities: config.denied_capabilities,
                clusters: config.clusters,
                max_requests: config.max_requests,
                route_metadata: config.route_metadata,
                connection: config.connection,
                verified_claims: config.verified_claims,
            }),
            telemetry: Arc::clone(&telemetry),
            headers_pause: match config.allow_on_headers_stop_iteration {
                HeadersStopIteration::Forbidden => HeadersPause::StopAll,
                HeadersStopIteration::Allowed => HeadersPause::StopOne,
            },
            contexts: Arc::clone(&contexts),
            trapped: Arc::clone(&trapped),
            memory_bytes: Arc::clone(&memory_bytes),
            heaviest_hook: Arc::clone(&heaviest_hook),
        };
        let vm = Vm::start(parts, &config.plugin_configuration)?;
        let (events, received) = mpsc::unbounded_channel();
        let front = Front {
            events: events.clone(),
            upstream: config.upstream,
            remote: config.use_remote_address,
            limits: config.head_limits,
            local: address,
            contexts,
            connections: AtomicU64::new(0),
        };
        let vm = tokio::spawn(vm.run(received));
        let accepting = tokio::spawn(Arc::new(front).accept(listener));
        Ok(Self {
            address,
            telemetry,
            trapped,
            memory_bytes,
            heaviest_hook,
            events,
            accepting,
            vm,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that the filter and the host have logged, canaries included.
    pub fn log(&self) -> Vec<LogLine> {
        self.telemetry.lines()
    }

    /// Every metric by name; a histogram's value is its number of samples.
    pub fn metrics(&self) -> BTreeMap<String, i64> {
        self.telemetry.metrics()
    }

    /// Gives the filter a new configuration: a new root context in the same VM. Streams under way keep the old one, which ends with them.
    ///
    /// # Errors
    ///
    /// The filter refuses the configuration, and the old one stays; or the filter has trapped.
    pub async fn reconfigure(&self, plugin_configuration: String) -> Result<(), StartError> {
        let (done, answer) = oneshot::channel();
        self.events
            .send(Event::Reconfigure {
                configuration: plugin_configuration,
                done,
            })
            .map_err(|_| StartError::Ended)?;
        answer.await.map_err(|_| StartError::Ended)?
    }

    /// Whether the filter has trapped: from then on every request gets 503.
    pub fn trapped(&self) -> bool {
        self.trapped.load(Ordering::Relaxed)
    }

    /// The size of the filter's linear memory, which never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// How many WebAssembly instructions the heaviest hook of the filter took so far.
    pub fn heaviest_hook(&self) -> u64 {
        self.heaviest_hook.load(Ordering::Relaxed)
    }

    /// Leaves lines that are less grave out of the log from now on, and tells the filter so.
    pub fn set_log_level(&self, level: LogLevel) {
        self.telemetry.set_level(level);
    }

    /// How many lines the filter has written in vain, below the level that the log has.
    pub fn lines_in_vain(&self) -> u64 {
        self.telemetry.left_out()
    }

    /// How often the filter has called the host, by hook and function, canaries included.
    pub fn host_calls(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.telemetry.host_calls()
    }

    /// Ends the gateway in order: no new connections, every stream logged, and up to two seconds for a root context that is not done.
    pub async fn stop(self) {
        self.accepting.abort();
        let (done, stopped) = oneshot::channel();
        if self.events.send(Event::Stop { done }).is_ok() {
            // A VM that has gone has stopped.
            stopped.await.ok();
        }
    }
}

impl Drop for WasmGateway {
    fn drop(&mut self) {
        self.accepting.abort();
        self.vm.abort();
    }
}
