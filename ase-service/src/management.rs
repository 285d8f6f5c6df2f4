//! The management port: REST in JSON, for the command line, for scripts, and under the documented paths for those written
//! for the original.
//!
//! Every call shows the access key and the secret. A refusal names every fault; a change is answered after it is stored and
//! written to the audit log. Nothing that a caller sends can take the port down or be applied by half.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use ase_core::address::Ipv6Width;
use ase_core::credential::KeyRing;
use ase_core::time::UnixMillis;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware;
use tokio::sync::Semaphore;

use crate::ase::{Ase, BATCHES_AT_ONCE};
use crate::audit::Audit;
use crate::config::ManagementSettings;
use crate::lifetimes::{Lifetimes, SharedLifetimes};
use crate::lists::Lists;
use crate::secret::Secret;
use crate::state::SharedState;
use crate::telemetry::port::{self, Caller, Observed};

mod abs;
mod apis;
mod attacks;
pub mod bodies;
mod caller;
mod change;
mod clients;
mod detections;
mod discovery;
mod documented;
mod documents;
mod export;
mod follow;
mod guard;
mod keys;
mod lifetimes;
mod lists;
mod openapi;
mod reply;
pub mod restricted;
mod route;
mod sections;
mod server;
mod settings;
mod status;
mod switches;
mod thresholds;
pub mod tls;
mod tokens;
mod transfer;
mod upkeep;

use reply::Refusal;
use route::{Access, Route};
pub use server::{Bounds, serve};

/// The threads of the process for what blocks: for batches, of which BATCHES_AT_ONCE are taken at once, for management, and for policy
/// images and other things of milliseconds. Of these, management alone waits for list changes.
pub const BLOCKING_THREADS: usize = 2 * BATCHES_AT_ONCE;
/// Most of them that management has at once; further calls wait.
const OFF_PATH_AT_ONCE: usize = BATCHES_AT_ONCE - 2;
/// One for the process, as its threads are.
static OFF_PATH: Semaphore = Semaphore::const_new(OFF_PATH_AT_ONCE);

pub use apis::ApiFolder;
pub use documents::Documents;
pub use follow::Followers;
pub(crate) use switches::restore;

/// The header that names the caller; there is one name.
pub const ACCESS_KEY_HEADER: &str = "x-ase-access-key";
/// The header that carries the management secret.
pub const SECRET_KEY_HEADER: &str = "x-ase-secret-key";
/// The one access key.
pub const ACCESS_KEY: &str = "admin";
/// The same on the paths of the original's analysis engine.
pub const ABS_ACCESS_KEY_HEADER: &str = "x-abs-ak";
/// The secret there.
pub const ABS_SECRET_KEY_HEADER: &str = "x-abs-sk";
/// How the command line's `User-Agent` begins.
pub const CLI_AGENT: &str = "ase-cli";

/// What the management calls work on.
pub struct Management {
    /// Counters and snapshot.
    pub ase: Arc<Ase>,
    /// The owner of the lists.
    pub lists: Arc<Lists>,
    /// The owner of the files with API definitions.
    pub apis: ApiFolder,
    /// Make credential ids of raw values.
    pub keys: Arc<ArcSwap<KeyRing>>,
    /// What is kept on disk.
    pub state: SharedState,
    /// What callers show.
    pub secret: ArcSwap<Secret>,
    /// Where the secret is kept.
    pub secret_file: PathBuf,
    /// What callers show who may read reports without identifiers; kept beside the other.
    pub restricted_secret: ArcSwap<Secret>,
    /// Where changes are written down.
    pub audit: Audit,
    /// One turn of switches at a time.
    pub turning: Mutex<()>,
    /// How long entries last that nobody gives an end.
    pub lifetimes: SharedLifetimes,
    /// The same as the configuration has it.
    pub configured_lifetimes: Lifetimes,
    /// Who follows the access log.
    pub followers: Followers,
    /// Who reads a whole list.
    pub documents: Documents,
    /// How the port is guarded.
    pub settings: ManagementSettings,
    /// How much of a bare IPv6 address a listing covers.
    pub ipv6_prefix: Ipv6Width,
    /// When the daemon started.
    pub started: UnixMillis,
    /// Data port and management port.
    pub addresses: (SocketAddr, SocketAddr),
}

/// The port's router; the routes of `observed` are beside it, for probes and monitoring of any name.
pub fn router(management: Management, observed: Observed) -> Router {
    let management = Arc::new(management);
    let judge = Arc::clone(&management);
    let observing = port::router(observed, move |headers| {
        if guard::is_authentic(&judge, headers) {
            Caller::Authentic
        } else {
            Caller::Stranger
        }
    });
    let (mut open, mut guarded) = (Router::new(), Router::new());
    for route in routes() {
        let Route { path, serve, .. } = route;
        match route.access {
            Access::Open => open = open.route(&path, serve),
            Access::Secret => guarded = guarded.route(&path, serve),
        }
    }
    let authenticate = middleware::from_fn_with_state(Arc::clone(&management), guard::authenticate);
    let refuse = middleware::from_fn_with_state(Arc::clone(&management), guard::refuse_browsers);
    guarded
        .method_not_allowed_fallback(async |request: Request| {
            refused(
                &request,
                StatusCode::METHOD_NOT_ALLOWED,
                "not with this method",
            )
        })
        .fallback(async |request: Request| refused(&request, StatusCode::NOT_FOUND, "no such path"))
        .layer(authenticate)
        .layer(middleware::from_fn(guard::tell_too_large))
        .merge(open)
        .layer(refuse)
        .with_state(management)
        .merge(observing)
}

/// Every call that this version knows.
fn routes() -> Vec<Route> {
    let mut routes = status::routes();
    routes.extend(lists::routes());
    routes.extend(upkeep::routes());
    routes.extend(keys::routes());
    routes.extend(detections::routes());
    routes.extend(attacks::routes());
    routes.extend(abs::routes());
    routes.extend(clients::routes());
    routes.extend(thresholds::routes());
    routes.extend(discovery::routes());
    routes.extend(lifetimes::routes());
    routes.extend(apis::routes());
    routes.extend(tokens::routes());
    routes.extend(switches::routes());
    routes.extend(settings::routes());
    routes.extend(follow::routes());
    routes.extend(documented::routes());
    routes
}

fn refused(request: &Request, status: StatusCode, fault: &str) -> axum::response::Response {
    let refusal = Refusal {
        status,
        faults: vec![fault.to_owned()],
    };
    guard::in_family(request.uri().path(), refusal)
}

/// Does what touches the disk or walks a long list, away from the threads that answer gateways.
async fn off_path<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    // The semaphore is never closed.
    let turn = OFF_PATH.acquire().await;
    let work = move || {
        let done = work();
        // The caller may have gone long before.
        drop(turn);
        done
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Refusal::broken(&error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn calls_that_wait_for_a_long_change_leave_their_threads_to_batches() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime
            .enable_time()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .unwrap();
        let change = Arc::new(Mutex::new(()));
        let changing = change.lock().unwrap();
        let waiting = (0..2 * BLOCKING_THREADS).map(|_| {
            let change = Arc::clone(&change);
            runtime.spawn(off_path(move || {
                drop(change.lock());
                Ok(())
            }))
        });
        let waiting: Vec<_> = waiting.collect();
        let all_at_once = Arc::new(Barrier::new(BATCHES_AT_ONCE));
        let batches = async {
            // Every call above has been begun after this.
            tokio::task::yield_now().await;
            let batches = (0..BATCHES_AT_ONCE).map(|_| {
                let all_at_once = Arc::clone(&all_at_once);
                tokio::task::spawn_blocking(move || all_at_once.wait())
            });
            for batch in batches.collect::<Vec<_>>() {
                batch.await.unwrap();
            }
        };
        let taken = runtime.block_on(async { tokio::time::timeout(PATIENCE, batches).await });
        drop(changing);
        for call in waiting {
            assert!(runtime.block_on(call).unwrap().is_ok());
        }
        runtime.shutdown_background();
        assert!(taken.is_ok(), "batches have no thread");
    }
}
