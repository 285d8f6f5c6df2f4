//! What goes on beside the calls while a daemon serves. What fails is logged, and the next round tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::listeners;
use crate::ase::Ase;
use crate::clock;
use crate::definitions::Followed;
use crate::lists::Lists;
use crate::management::tls::AdminCertificate;
use crate::telemetry::sideband_stats::{self, SidebandStats};
use crate::tls::Tls;

/// Between two looks for exchanges whose response did not come in time.
const EXPIRE_EVERY: Duration = Duration::from_millis(500);
/// Between two removals of expired list entries.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// Starts it; the tasks go on until they are aborted.
pub(super) fn upkeep(
    (followed, tls, admin_tls): (
        Option<Arc<Followed>>,
        Option<Arc<Tls>>,
        Option<AdminCertificate>,
    ),
    ase: &Arc<Ase>,
    lists: Arc<Lists>,
) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(expire(Arc::clone(ase))),
        tokio::spawn(tell_failures(Arc::clone(ase))),
        tokio::spawn(listeners::follow(tls, Arc::clone(&ase.counters), || {})),
        tokio::spawn(listeners::follow(
            admin_tls.as_ref().map(|admin| Arc::clone(&admin.tls)),
            Arc::clone(&ase.counters),
            move || {
                if let Some(admin) = &admin_tls {
                    admin.show();
                }
            },
        )),
        tokio::spawn(purge(lists)),
    ];
    tasks.extend(followed.map(|followed| tokio::spawn(followed.follow())));
    tasks
}

async fn expire(ase: Arc<Ase>) {
    let mut ticks = tokio::time::interval(EXPIRE_EVERY);
    loop {
        ticks.tick().await;
        ase.expire(Instant::now());
    }
}

async fn tell_failures(ase: Arc<Ase>) {
    let mut stats = SidebandStats::default();
    let mut ticks = tokio::time::interval(sideband_stats::EVERY);
    loop {
        ticks.tick().await;
        if let Some(line) = stats.line(&ase.counters) {
            tracing::warn!("{line}");
        }
    }
}

async fn purge(lists: Arc<Lists>) {
    let mut ticks = tokio::time::interval(PURGE_EVERY);
    loop {
        ticks.tick().await;
        let lists = Arc::clone(&lists);
        match tokio::task::spawn_blocking(move || lists.purge_expired(clock::now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "expired list entries stay in the state"),
            Err(error) => tracing::error!(%error, "the removal of expired list entries broke off"),
        }
    }
}
