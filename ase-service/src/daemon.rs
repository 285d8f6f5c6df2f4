//! The daemon: opens what it needs, serves both ports, and stops without losing what it took.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ase_core::decision::Snapshot;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access_log::{AccessLog, Destination};
use crate::ase::Ase;
use crate::audit::Audit;
use crate::clock;
use crate::config::Settings;
use crate::counters::Counters;
use crate::data_port::Port;
use crate::definitions::{Folder, Followed};
use crate::engine_host::{EngineHost, Keeper};
use crate::health::Part;
use crate::lifetimes::SharedLifetimes;
use crate::lists::{self, Lists};
use crate::management::tls::AdminCertificate;
use crate::management::{self, ApiFolder, Documents, Followers, Management, restricted};
use crate::policy_image::Images;
use crate::real_time::RealTime;
use crate::secret::Secret;
use crate::state::{ListName, SharedState, State};
use crate::telemetry::Telemetry;
use crate::telemetry::port::Observed;
use crate::tls::Tls;
use crate::whole_file::{self, Audience, WriteError};

mod listeners;
mod secret_file;
mod start_error;
mod upkeep;

pub use listeners::DataAddresses;
use listeners::Listeners;
use secret_file::admin_secret;
pub use start_error::StartError;
use start_error::of_file;
use upkeep::upkeep;

/// The file in the state folder that says where the ports are.
pub const ADDRESSES_FILE: &str = "addresses.json";
/// The file in the state folder that holds the management secret.
pub const SECRET_FILE: &str = "admin.secret";

/// How long a port may take to end beyond the drain time.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything that was taken is written.
    Whole,
    /// The access log did not take everything within the drain time.
    Cut,
}

/// A daemon that serves.
pub struct Daemon {
    /// Where the data port is.
    pub data: SocketAddr,
    /// Every listener of the data port.
    pub listening: DataAddresses,
    /// Where the management port is.
    pub admin: SocketAddr,
    /// The management secret, when this start has made it.
    pub new_secret: Option<Secret>,
    ase: Arc<Ase>,
    tls: Option<Arc<Tls>>,
    admin_tls: Option<AdminCertificate>,
    drain: Duration,
    /// Data port and management port, each with its stop. The management port tells of the drain until the data port is done.
    ports: [(watch::Sender<bool>, JoinHandle<()>); 2],
    upkeep: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Opens everything and starts to serve.
    ///
    /// # Errors
    /// When something that was configured cannot be had. A broken API definition or list line is only logged.
    pub async fn start(mut settings: Settings) -> Result<Self, StartError> {
        let now = clock::now();
        let telemetry = Arc::new(Telemetry::start(settings.otel.clone()));
        let mut state = State::open(&settings.state_dir)?;
        telemetry.health.loaded(Part::State);
        let keys = Arc::new(ArcSwap::from_pointee(state.key_ring()?));
        state.keep_detections(settings.real_time.detections);
        let lifetimes = SharedLifetimes::new(settings.real_time.lifetimes.restored(&state)?);
        let mut switches = settings.real_time.switches;
        let turned = (&mut switches, &mut settings.engine.listing);
        management::restore(&state, turned, &settings.tokens)?;
        settings.guarded().map_err(StartError::Unguarded)?;
        let state = SharedState::new(state);
        let secret_file = settings.state_dir.join(SECRET_FILE);
        let given = settings.management.first_secret.as_ref();
        let (secret, new_secret) = admin_secret(&secret_file, given)?;
        let restricted_file = secret_file.with_file_name(restricted::SECRET_FILE);
        let (restricted_secret, _) = admin_secret(&restricted_file, None)?;
        let (folder, snapshot) = registered(&settings)?;
        let published = Arc::new(ArcSwap::from_pointee(snapshot));
        telemetry.health.loaded(Part::Registry);
        let lists = Arc::new(Lists::open(state.clone(), Arc::clone(&published))?);
        lists.set_switches(switches)?;
        let followed = folder.map(|folder| Arc::new(Followed::new(folder, Arc::clone(&lists))));
        load_list_files(&settings, &lists)?;
        telemetry.health.loaded(Part::Lists);
        let counters = Arc::new(Counters::default());
        let log = open_log(&settings, &counters)?;
        let data = Listeners::open(&settings).await?;
        let admin = listen("--admin-listen", settings.admin_listen).await?;
        let addresses = (data.addresses.plain, local("--admin-listen", &admin)?);
        let drain = settings.limits.drain;
        let shared = (settings.tokens, settings.limits);
        let entry = (
            settings.ipv6_prefix,
            lifetimes.clone(),
            settings.real_time.ttl,
        );
        let clients = settings.real_time.counted_clients;
        let real_time = RealTime::start(Arc::clone(&lists), Arc::clone(&counters), entry, clients);
        let real_time = real_time.map_err(StartError::Thread)?;
        let recording = (counters, log);
        let ase = Ase::new(shared, published, Arc::clone(&keys), recording, real_time);
        let ase = ase.lenient(settings.leniency).measured(telemetry);
        let keeper = Keeper {
            lists: Arc::clone(&lists),
            published: Arc::clone(&ase.snapshot),
            lifetimes: lifetimes.clone(),
            state: state.clone(),
        };
        let engine = EngineHost::start(&settings.engine, keeper).map_err(StartError::Thread)?;
        let images = Images::start(
            Arc::clone(&lists),
            Arc::clone(&keys),
            Arc::clone(&ase.counters),
        );
        let images = images.map_err(StartError::Thread)?;
        let ase = ase.studied(engine).imaged(images);
        let ase = ase.recalling(&settings.access_log);
        let ase = Arc::new(ase);
        let (stop, stopped) = watch::channel(false);
        let (stop_admin, admin_stopped) = watch::channel(false);
        let port = Port::new(Arc::clone(&ase), settings.keep_alive);
        let hosts = &settings.management.hosts;
        let admin_tls =
            management::tls::open(&settings.management.tls, &settings.state_dir, hosts)?;
        let management = Management {
            ase: Arc::clone(&ase),
            lists: Arc::clone(&lists),
            apis: ApiFolder::new(settings.api_dir, Arc::clone(&lists), followed.clone()),
            keys,
            state,
            secret: ArcSwap::from_pointee(secret),
            secret_file,
            restricted_secret: ArcSwap::from_pointee(restricted_secret),
            audit: Audit::open(&settings.state_dir)?,
            turning: Mutex::new(()),
            lifetimes,
            configured_lifetimes: settings.real_time.lifetimes,
            followers: Followers::new(settings.access_log.clone(), admin_stopped.clone()),
            documents: Documents::default(),
            settings: settings.management,
            ipv6_prefix: settings.ipv6_prefix,
            started: now,
            addresses,
        };
        let observed = Observed {
            ase: Arc::clone(&ase),
            access_log: settings.access_log,
            started: now,
            access: settings.metrics,
        };
        let router = management::router(management, observed);
        let serving = admin_tls.as_ref().map(|admin| Arc::clone(&admin.tls));
        let bounds = (management::Bounds::default(), drain);
        let admin = management::serve(admin, (router, serving), bounds, admin_stopped);
        let listening = data.addresses.clone();
        write_addresses(&settings.state_dir, (&listening, addresses.1))?;
        let tls = data.tls.clone();
        let data = data.serve(port, drain, stopped);
        Ok(Self {
            data: addresses.0,
            listening,
            admin: addresses.1,
            new_secret,
            ports: [
                (stop, tokio::spawn(data)),
                (stop_admin, tokio::spawn(admin)),
            ],
            upkeep: upkeep((followed, tls.clone(), admin_tls.clone()), &ase, lists),
            ase,
            tls,
            admin_tls,
            drain,
        })
    }

    /// The line that says where the daemon serves, as it is printed and written to [`ADDRESSES_FILE`].
    #[must_use]
    pub fn ready_line(&self) -> String {
        addresses_json((&self.listening, self.admin))
    }

    /// Opens the access log again under its name.
    pub async fn reopen_log(&self) {
        self.ase.log.reopen();
    }

    /// Reads certificate and key again; faulty ones are logged and change nothing.
    pub async fn reload_certificates(&self) {
        if let Some(tls) = &self.tls {
            listeners::reload(tls, &self.ase.counters, || {}).await;
        }
        if let Some(admin) = self.admin_tls.clone() {
            let tls = Arc::clone(&admin.tls);
            listeners::reload(&tls, &self.ase.counters, move || admin.show()).await;
        }
    }

    /// Accepts nothing more, finishes the calls under way within the drain time, and writes everything that was taken, for
    /// which it has the same time again.
    pub async fn stop(self) -> Stopped {
        self.ase.telemetry.health.drain();
        for task in self.upkeep {
            task.abort();
        }
        let began = Instant::now();
        for (stop, mut port) in self.ports {
            if stop.send(true).is_err() {
                tracing::warn!("a port had stopped before");
            }
            // The data port keeps to the drain time by itself; what is left of it bounds the management port.
            let left = self.drain.saturating_sub(began.elapsed()) + LAST_CALLS;
            match tokio::time::timeout(left, &mut port).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a port broke off"),
                Err(_) => port.abort(),
            }
        }
        if let Some(tracer) = &self.ase.telemetry.tracer
            && tokio::time::timeout(LAST_CALLS, tracer.flush())
                .await
                .is_err()
        {
            tracing::warn!("the last spans could not be exported in time");
        }
        self.ase.abort_waiting();
        self.ase.settle_detections().await;
        if tokio::time::timeout(self.drain, self.ase.engine.close())
            .await
            .is_err()
        {
            tracing::error!("the engine did not look at everything in time");
        }
        match tokio::time::timeout(self.drain, self.ase.log.close()).await {
            Ok(()) => Stopped::Whole,
            Err(_) => {
                tracing::error!("the access log did not take everything in time: lines are lost");
                Stopped::Cut
            }
        }
    }
}

/// The address line for scripts and for the command line.
fn addresses_json((data, admin): (&DataAddresses, SocketAddr)) -> String {
    let mut addresses = serde_json::Map::new();
    data.write(&mut addresses);
    addresses.insert("admin".to_owned(), admin.to_string().into());
    serde_json::Value::Object(addresses).to_string()
}

/// The API definitions, with their faults logged, and the folder that they are in.
fn registered(settings: &Settings) -> Result<(Option<Folder>, Snapshot), StartError> {
    let Some(path) = &settings.api_dir else {
        tracing::warn!("no API is registered: every question is answered 503; set api_dir");
        return Ok((None, Snapshot::default()));
    };
    let (folder, found) = Folder::open(path)?;
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    for fault in &found.faults {
        tracing::error!("{fault}");
    }
    if found.registry.is_empty() {
        tracing::warn!(folder = %path.display(), "no API is registered: every question is answered 503");
    } else {
        tracing::info!(apis = found.registry.len(), "API definitions loaded");
    }
    let snapshot = Snapshot {
        registry: Arc::new(found.registry),
        ..Snapshot::default()
    };
    Ok((Some(folder), snapshot))
}

fn load_list_files(settings: &Settings, lists: &Lists) -> Result<(), StartError> {
    let files = [
        (ListName::Deny, &settings.attack_list_file),
        (ListName::Allow, &settings.allow_list_file),
    ];
    for (name, path) in files {
        let Some(path) = path else {
            continue;
        };
        let began = Instant::now();
        let file = lists::read_list_file(path)?;
        for fault in &file.faults {
            tracing::error!("{}", lists::describe(path, fault));
        }
        let reason = path.file_name().unwrap_or_default().to_string_lossy();
        lists.load_file(name, &file, &reason, clock::now())?;
        let (entries, took) = (file.networks.len(), began.elapsed());
        tracing::info!(list = name.as_str(), entries, ?took, "list file loaded");
    }
    Ok(())
}

fn open_log(settings: &Settings, counters: &Arc<Counters>) -> Result<AccessLog, StartError> {
    let path = &settings.access_log;
    let destination = Destination {
        path: path.clone(),
        queue: settings.limits.access_log_queue,
        queue_bytes: settings.limits.access_log_queue_bytes,
        rotation: settings.access_log_rotation.clone(),
        outputs: settings.access_log_outputs.clone(),
    };
    let log = AccessLog::open(destination, Arc::clone(counters));
    log.map_err(|error| of_file(path, error))
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|error| StartError::Listen {
        flag,
        address,
        error,
    })
}

fn local(flag: &'static str, listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Listen {
        flag,
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        error,
    })
}

fn write_addresses(
    folder: &Path,
    addresses: (&DataAddresses, SocketAddr),
) -> Result<(), StartError> {
    let text = format!("{}\n", addresses_json(addresses));
    write_whole(&folder.join(ADDRESSES_FILE), &text)
}

/// Writes a file for the owner's eyes only.
fn write_whole(path: &Path, text: &str) -> Result<(), StartError> {
    let written = whole_file::write(path, text.as_bytes(), Audience::Owner);
    written.map_err(|WriteError { path, error }| StartError::File { path, error })
}
