//! What follows from a decision: requests are counted per client and API, and a client that broke a rule is proposed to the
//! list owner.
//!
//! The owner may wait for the disk, so a proposal goes through a bounded queue to a thread of its own; only the answer to
//! the offender waits for it, and not for long, so that the offender's next request meets the new entry. What finds no
//! room is counted and proposed again by the client's next offence.

use std::sync::Arc;
use std::time::Duration;

use ase_core::address::{ClientAddress, Ipv6Width, Network};
use ase_core::decision::{Decision, Detection, Snapshot};
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source};
use ase_core::registry::ApiDefinition;
use ase_core::time::UnixMillis;
use tokio::sync::{mpsc, oneshot};

use crate::counters::{Counter, Counters};
use crate::lists::Lists;
use crate::state::ListName;

mod spikes;

pub use spikes::{SpikeCounts, Spikes};

/// Most proposals that wait for the list owner.
const QUEUE: usize = 4096;
/// Most proposals that one visit to the disk takes along.
const AT_ONCE: usize = 256;
/// Longest that an offender's answer waits for the list owner.
const PATIENCE: Duration = Duration::from_millis(250);

/// The hands of decisions.
#[derive(Debug)]
pub struct RealTime {
    /// The counted requests.
    pub spikes: Spikes,
    proposals: mpsc::Sender<Proposal>,
    counters: Arc<Counters>,
    width: Ipv6Width,
    ttl: Duration,
}

/// A decision whose effects are to be carried out.
#[derive(Debug)]
pub struct Deed {
    /// The client that made the request.
    pub client: ClientAddress,
    /// What was decided.
    pub decision: Decision,
    /// When the request was made, for its count.
    pub at: UnixMillis,
}

/// A proposal under way.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<()>);

struct Proposal {
    identifier: ListedIdentifier,
    entry: Entry,
    done: oneshot::Sender<()>,
}

impl RealTime {
    /// Starts the thread that carries proposals to `lists`; it ends with this value. `ttl` is how long an entry lasts,
    /// `clients` how many counts are kept at most.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        lists: Arc<Lists>,
        counters: Arc<Counters>,
        (width, ttl): (Ipv6Width, Duration),
        clients: usize,
    ) -> std::io::Result<Self> {
        let (proposals, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("real-time".to_owned())
            .spawn(move || carry(&lists, queue))?;
        Ok(Self {
            spikes: Spikes::new(clients, width),
            proposals,
            counters,
            width,
            ttl,
        })
    }

    /// Carries out the effects of a decision. What is returned is worth waiting for where the client's next request
    /// could follow.
    pub fn carry_out(&self, deed: &Deed, snapshot: &Snapshot, now: UnixMillis) -> Option<Pending> {
        let api = deed.decision.api.as_deref()?;
        if let Some(detection) = deed.decision.detection {
            self.counters.count(Counter::Detected(detection));
        }
        if let Some(limit) = deed.decision.effects.count {
            let evicted = self.spikes.count((deed.client, api), limit, deed.at);
            self.counters.add(Counter::SpikeCountsEvicted, evicted);
        }
        let detection = deed.decision.effects.list?;
        self.propose(deed.client, detection, api, (snapshot, now))
    }

    fn propose(
        &self,
        client: ClientAddress,
        detection: Detection,
        api: &ApiDefinition,
        (snapshot, now): (&Snapshot, UnixMillis),
    ) -> Option<Pending> {
        let identifier = ListedIdentifier::Network(client.network(self.width));
        let source = Source::RealTime(detection.rule());
        // Renewed in the second half of its life only, so that a busy offender costs nothing.
        let renew_before = now.after(self.ttl / 2);
        let is_fresh = snapshot.attack.entries_of(&identifier).iter().any(|entry| {
            entry.source == source
                && *entry.scope == Scope::All
                && entry.expires.is_none_or(|expires| expires > renew_before)
        });
        if is_fresh {
            return None;
        }
        let (done, pending) = oneshot::channel();
        let entry = Entry {
            scope: Scope::All,
            expires: Some(now.after(self.ttl)),
            source,
            reason: reason(detection, api),
            added: now,
        };
        let proposal = Proposal {
            identifier,
            entry,
            done,
        };
        match self.proposals.try_send(proposal) {
            Ok(()) => Some(Pending(pending)),
            Err(_) => {
                self.counters.count(Counter::ListingsDropped);
                None
            }
        }
    }

    /// The counts as of an instant.
    #[must_use]
    pub fn counts_at(&self, at: UnixMillis) -> SpikeCounts<'_> {
        self.spikes.at(at)
    }

    /// What an address is listed as.
    #[must_use]
    pub fn network_of(&self, client: ClientAddress) -> Network {
        client.network(self.width)
    }
}

impl Pending {
    /// Waits until the client is listed, or for as long as an answer may be held back.
    pub async fn listed(self) {
        // Out of patience, or the change failed, which the owner's thread has logged: the answer goes out either way.
        drop(tokio::time::timeout(PATIENCE, self.0).await);
    }
}

fn carry(lists: &Lists, mut queue: mpsc::Receiver<Proposal>) {
    let mut proposals = Vec::with_capacity(AT_ONCE);
    while queue.blocking_recv_many(&mut proposals, AT_ONCE) > 0 {
        let entries = proposals
            .iter()
            .map(|proposal| (proposal.identifier, proposal.entry.clone()))
            .collect();
        let stored = lists.add_all(ListName::Deny, entries);
        for Proposal {
            identifier,
            entry,
            done,
        } in proposals.drain(..)
        {
            let Entry { source, reason, .. } = entry;
            match &stored {
                Ok(()) => tracing::info!(%identifier, %source, %reason, "listed"),
                Err(error) => {
                    tracing::error!(%identifier, %source, %error, "a client was not listed");
                }
            }
            if done.send(()).is_err() {
                tracing::debug!(%identifier, "nobody waited for a client to be listed");
            }
        }
    }
}

fn reason(detection: Detection, api: &ApiDefinition) -> Arc<str> {
    let attack = detection.attack_id();
    let attack = attack.map_or_else(String::new, |id| format!(" (attack {id})"));
    Arc::from(format!("{detection}{attack} on API {}", api.id()))
}
