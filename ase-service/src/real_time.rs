//! What follows from a decision: requests are counted per client and API, what broke a rule is stored as a detection, and
//! its client is proposed to the list owner.
//!
//! Both touch the disk, so they go through bounded queues to a thread of their own; only the answer to the offender waits
//! for its listing, and not for long, so that the offender's next request meets the new entry. What finds no room is
//! counted, and a listing is proposed again by the client's next offence.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ase_core::address::{ClientAddress, Ipv6Width, Network};
use ase_core::decision::{Decision, Detection, Snapshot};
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source};
use ase_core::registry::ApiDefinition;
use ase_core::time::UnixMillis;
use tokio::sync::oneshot;

use crate::counters::{Counter, Counters};
use crate::lifetimes::{IdentifierType, Lifetime, Origin, SharedLifetimes};
use crate::lists::Lists;
use crate::state::ListName;

mod sightings;
mod spikes;

use sightings::{Noted, Offence, Sightings};
pub use spikes::{SpikeCounts, Spikes};

/// Most proposals that wait for the list owner.
const QUEUE: usize = 4096;
/// Most proposals that one visit to the disk takes along.
const AT_ONCE: usize = 256;
/// Longest that an offender's answer waits for the list owner.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longest that a detection without a listing waits to be stored.
const STORE_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for everything that is under way.
const SETTLE: Duration = Duration::from_secs(5);

/// The hands of decisions.
#[derive(Debug)]
pub struct RealTime {
    /// The counted requests.
    pub spikes: Spikes,
    proposals: SyncSender<Message>,
    sightings: Arc<Sightings>,
    counters: Arc<Counters>,
    width: Ipv6Width,
    lifetimes: SharedLifetimes,
    /// How long an entry lasts where no lifetime of addresses is set.
    ttl: Duration,
}

/// A decision whose effects are to be carried out.
#[derive(Debug)]
pub struct Deed {
    /// The client that made the request.
    pub client: ClientAddress,
    /// What was decided.
    pub decision: Decision,
    /// What shows the detection, where there is one: a JSON object without secrets.
    pub evidence: Option<String>,
    /// When the request was made, for its count.
    pub at: UnixMillis,
}

/// A proposal under way.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<()>);

#[derive(Debug)]
enum Message {
    List(Proposal),
    /// Everything that came before is to be stored.
    Settle(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Proposal {
    identifier: ListedIdentifier,
    entry: Entry,
    done: oneshot::Sender<()>,
}

impl RealTime {
    /// Starts the thread that carries proposals and detections to `lists`; it ends with this value. Entries last as
    /// `lifetimes` say, or for `ttl`; `clients` is how many counts are kept at most.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        lists: Arc<Lists>,
        counters: Arc<Counters>,
        (width, lifetimes, ttl): (Ipv6Width, SharedLifetimes, Duration),
        clients: usize,
    ) -> std::io::Result<Self> {
        let (proposals, queue) = sync_channel(QUEUE);
        let sightings = Arc::new(Sightings::default());
        let carrier = Carrier {
            lists,
            sightings: Arc::clone(&sightings),
            counters: Arc::clone(&counters),
        };
        std::thread::Builder::new()
            .name("real-time".to_owned())
            .spawn(move || carrier.carry(&queue))?;
        Ok(Self {
            spikes: Spikes::new(clients, width),
            proposals,
            sightings,
            counters,
            width,
            lifetimes,
            ttl,
        })
    }

    /// Carries out the effects of a decision. What is returned is worth waiting for where the client's next request
    /// could follow.
    pub fn carry_out(&self, deed: &Deed, snapshot: &Snapshot, now: UnixMillis) -> Option<Pending> {
        let api = deed.decision.api.as_deref()?;
        if let Some(detection) = deed.decision.detection {
            self.counters.count(Counter::Detected(detection));
            let noted = self.sightings.note(&Offence {
                client: deed.client.network(self.width),
                decision: &deed.decision,
                detection,
                api: api.id().as_str(),
                evidence: deed.evidence.as_deref().unwrap_or("{}"),
                at: deed.at,
                ttl: self.lifetime(),
            });
            match noted {
                Noted::Waits => {}
                Noted::Dropped => self.counters.count(Counter::DetectionsDropped),
            }
        }
        if let Some(limit) = deed.decision.effects.count {
            let evicted = self.spikes.count((deed.client, api), limit, deed.at);
            self.counters.add(Counter::SpikeCountsEvicted, evicted);
        }
        let detection = deed.decision.effects.list?;
        self.propose(deed.client, detection, api, (snapshot, now))
    }

    /// How long a client is listed from now on; `None` is for ever.
    fn lifetime(&self) -> Option<Duration> {
        let set = self.lifetimes.get().get(Origin::Attack, IdentifierType::Ip);
        set.map_or(Some(self.ttl), Lifetime::duration)
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
        let ttl = self.lifetime();
        // Renewed in the second half of its life only, so that a busy offender costs nothing.
        let renew_before = now.after(ttl.unwrap_or(self.ttl) / 2);
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
            expires: ttl.map(|ttl| now.after(ttl)),
            source,
            reason: reason(detection, api),
            added: now,
        };
        let proposal = Proposal {
            identifier,
            entry,
            done,
        };
        match self.proposals.try_send(Message::List(proposal)) {
            Ok(()) => Some(Pending(pending)),
            Err(_) => {
                self.counters.count(Counter::ListingsDropped);
                None
            }
        }
    }

    /// Waits, not for long, until everything that was found up to this moment is stored.
    pub async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        // With a full queue the thread is busy storing; what it has not reached may be missed.
        if self.proposals.try_send(Message::Settle(done)).is_ok() {
            drop(tokio::time::timeout(SETTLE, settled).await);
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

/// The thread's own.
struct Carrier {
    lists: Arc<Lists>,
    sightings: Arc<Sightings>,
    counters: Arc<Counters>,
}

impl Carrier {
    fn carry(&self, queue: &Receiver<Message>) {
        loop {
            let first = match queue.recv_timeout(STORE_EVERY) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let more = first.is_some().then(|| queue.try_iter());
            let messages = first.into_iter().chain(more.into_iter().flatten());
            let (mut proposals, mut settled) = (Vec::new(), Vec::new());
            for message in messages.take(AT_ONCE) {
                match message {
                    Message::List(proposal) => proposals.push(proposal),
                    Message::Settle(done) => settled.push(done),
                }
            }
            self.store(proposals);
            for done in settled {
                if done.send(()).is_err() {
                    tracing::debug!("nobody waited for detections to be stored");
                }
            }
        }
        self.store(Vec::new());
    }

    /// Lists the clients of proposals; all that was found until then is stored with it.
    fn store(&self, proposals: Vec<Proposal>) {
        let sightings = self.sightings.take();
        if proposals.is_empty() && sightings.is_empty() {
            return;
        }
        let entries = proposals
            .iter()
            .map(|proposal| (proposal.identifier, proposal.entry.clone()))
            .collect();
        let stored = self.lists.add_detected(ListName::Deny, entries, &sightings);
        if let Err(error) = &stored {
            let lost = u64::try_from(sightings.len()).unwrap_or(u64::MAX);
            self.counters.add(Counter::DetectionsDropped, lost);
            tracing::error!(%error, lost, "detections were not stored");
        }
        for Proposal {
            identifier,
            entry,
            done,
        } in proposals
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
