//! The one task that owns a VM: takes events in turn, ticks, starts callouts, and keeps order when the guest traps.
//!
//! A trap ends the VM as Envoy's FAIL_CLOSED does: the stream at hand and every later request get 503, streams that wait are reset. Must never
//! run two hooks at once and must never wait inside an event.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::StartError;
use super::callout;
use super::canary::Parts;
use super::event::Event;
use super::filter_chain::{Chain, Configured};
use super::host::{Callout, CalloutReply, LocalReply};
use super::local_reply;
use super::nginx;
use super::pairs::Pairs;
use super::stream::{ContextId, Direction, End, Half, Peer, Phase, Piece, Stream};
use super::telemetry::LogLevel;

/// The task that owns a VM.
pub(super) struct Vm {
    parts: Parts,
    chain: Chain,
    root: ContextId,
    /// Roots that a new configuration has replaced and that streams may still use.
    replaced: Vec<ContextId>,
    ticks: BTreeMap<ContextId, (u32, Instant)>,
    callouts: JoinSet<(ContextId, u32, CalloutReply)>,
    /// Picks endpoints in turn.
    dispatched: usize,
}

impl Vm {
    /// Makes a VM whose filter runs with a configuration, after a canary has taken it.
    pub(super) fn start(parts: Parts, configuration: &str) -> Result<Self, StartError> {
        parts.canary(configuration)?;
        let chain = parts.instantiate()?;
        let root = parts.next_context();
        let mut vm = Self {
            parts,
            chain,
            root,
            replaced: Vec::new(),
            ticks: BTreeMap::new(),
            callouts: JoinSet::new(),
            dispatched: 0,
        };
        vm.configure(root, configuration)?;
        Ok(vm)
    }

    /// Serves until it is told to stop or nobody can tell it anything.
    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        loop {
            self.start_callouts();
            self.plan_ticks();
            let memory = self.chain.guest.memory_bytes();
            self.parts.memory_bytes.store(memory, Ordering::Relaxed);
            let heaviest = self.chain.guest.heaviest_call();
            self.parts.heaviest_hook.store(heaviest, Ordering::Relaxed);
            let next_tick = self.ticks.values().map(|(_, at)| *at).min();
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Stop { done }) => {
                        self.stop().await;
                        done.send(()).ok();
                        return;
                    }
                    Some(event) => self.event(event),
                    None => return,
                },
                Some(done) = self.callouts.join_next() => self.callout_done(done.ok()),
                () = sleep_until(next_tick) => self.tick(),
            }
        }
    }

    fn event(&mut self, event: Event) {
        if self.failed() {
            self.refuse(event);
            return;
        }
        let (at_hand, outcome) = match event {
            Event::Open {
                id,
                peer,
                head,
                end,
                to_upstream,
                to_client,
            } => {
                let stream = new_stream(self.root, peer, to_upstream, to_client);
                (Some(id), self.chain.open(id, stream, head, end))
            }
            Event::Rejected {
                id,
                peer,
                head,
                code,
                details,
            } => {
                let mut stream = new_stream(
                    self.root,
                    peer,
                    mpsc::unbounded_channel().0,
                    mpsc::unbounded_channel().0,
                );
                stream.code = Some(code);
                stream.details = Some(details.to_owned());
                (None, self.chain.log_rejected(id, stream, head))
            }
            Event::Data {
                id,
                direction,
                bytes,
                end,
                ack,
            } => (Some(id), self.chain.data(id, direction, bytes, end, ack)),
            Event::ResponseHead { id, head, end } => (Some(id), self.response_head(id, head, end)),
            Event::UpstreamFailed { id, failure } => {
                let reply =
                    local_reply::host_made(failure.code(), &failure.body(), &failure.details());
                (Some(id), self.upstream_failed(id, &reply))
            }
            Event::Closed { id } => (None, self.chain.close(id)),
            Event::Reconfigure {
                configuration,
                done,
            } => {
                // Who asked may have gone.
                done.send(self.reconfigure(&configuration)).ok();
                (None, Ok(()))
            }
            Event::Stop { .. } => return,
        };
        let outcome = outcome.and_then(|()| self.end_unused_roots());
        self.check(at_hand, outcome);
    }

    /// The upstream's words count only until somebody else has answered.
    fn response_head(&mut self, id: ContextId, head: Pairs, end: End) -> wasmtime::Result<()> {
        match self.chain.guest.host().streams.get(&id) {
            Some(stream) if !stream.replied_locally => {
                self.chain.head(id, Direction::Response, head, end)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn upstream_failed(&mut self, id: ContextId, reply: &LocalReply) -> wasmtime::Result<()> {
        match self.chain.guest.host().streams.get_mut(&id) {
            Some(stream) if stream.replied_locally => Ok(()),
            Some(stream) if stream.phase == Phase::Request => self.chain.reply(id, reply),
            Some(stream) => {
                stream.details = Some(
                    "upstream_reset_after_response_started{connection_termination}".to_owned(),
                );
                self.chain.reset(id);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn reconfigure(&mut self, configuration: &str) -> Result<(), StartError> {
        self.parts.canary(configuration)?;
        let root = self.parts.next_context();
        self.configure(root, configuration)?;
        self.replaced.push(std::mem::replace(&mut self.root, root));
        Ok(())
    }

    fn configure(&mut self, root: ContextId, configuration: &str) -> Result<(), StartError> {
        let mark = self.parts.telemetry.mark();
        match self.chain.add_root(root, configuration) {
            Ok(Configured::Accepted) => Ok(()),
            Ok(Configured::Refused) => {
                self.chain.guest.host().roots.remove(&root);
                Err(StartError::ConfigurationRefused {
                    log: self.parts.telemetry.since(mark),
                })
            }
            Err(trap) => {
                self.check(None, Err(trap));
                Err(StartError::Trapped {
                    log: self.parts.telemetry.since(mark),
                })
            }
        }
    }

    fn end_unused_roots(&mut self) -> wasmtime::Result<()> {
        let mut kept = Vec::new();
        for root in std::mem::take(&mut self.replaced) {
            if self
                .chain
                .guest
                .host()
                .streams
                .values()
                .any(|stream| stream.root == root)
            {
                kept.push(root);
            } else {
                self.chain.end_root(root)?;
            }
        }
        self.replaced = kept;
        Ok(())
    }

    fn callout_done(&mut self, done: Option<(ContextId, u32, CalloutReply)>) {
        if let Some((root, token, reply)) = done
            && !self.failed()
        {
            let outcome = self.chain.callout_reply(root, token, reply);
            self.check(None, outcome);
        }
    }

    fn start_callouts(&mut self) {
        for callout in std::mem::take(&mut self.chain.guest.host().callouts) {
            let Callout { told, token, .. } = callout;
            let host = self.parts.settings.host;
            let addresses = self
                .parts
                .settings
                .clusters
                .get(&callout.cluster)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let address = addresses
                .iter()
                .cycle()
                .nth(self.dispatched % addresses.len().max(1))
                .copied();
            self.dispatched = self.dispatched.wrapping_add(1);
            self.callouts.spawn(async move {
                let reply = match address {
                    Some(address) => callout::carry_out(callout, address, host).await,
                    // Only as nginx: Envoy takes no call to nowhere.
                    None => nginx::failed("resolver failure"),
                };
                (told, token, reply)
            });
        }
    }

    fn plan_ticks(&mut self) {
        let roots = &self.chain.guest.host().roots;
        self.ticks.retain(|root, (period, _)| {
            roots
                .get(root)
                .is_some_and(|root| root.tick_period_ms == *period)
        });
        for (id, root) in roots.iter().filter(|(_, root)| root.tick_period_ms > 0) {
            let period = root.tick_period_ms;
            self.ticks.entry(*id).or_insert_with(|| {
                (
                    period,
                    Instant::now() + Duration::from_millis(period.into()),
                )
            });
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due: Vec<ContextId> = self
            .ticks
            .iter()
            .filter(|(_, (_, at))| *at <= now)
            .map(|(root, _)| *root)
            .collect();
        for root in due {
            self.ticks.remove(&root);
            if !self.failed() {
                let outcome = self.chain.tick(root);
                self.check(None, outcome);
            }
        }
    }

    /// Ends every stream and every root; a root that is not done gets a bounded time for its last callouts.
    async fn stop(&mut self) {
        if self.failed() {
            return;
        }
        let streams: Vec<ContextId> = self.chain.guest.host().streams.keys().copied().collect();
        let outcome = streams
            .into_iter()
            .try_for_each(|stream| self.chain.close(stream));
        let roots: Vec<ContextId> = self.chain.guest.host().roots.keys().copied().collect();
        let outcome = outcome.and_then(|()| {
            roots
                .into_iter()
                .try_for_each(|root| self.chain.end_root(root))
        });
        self.check(None, outcome);
        let deadline = Instant::now() + LAST_CALLOUTS;
        while !self.failed()
            && !self.chain.guest.host().roots.is_empty()
            && Instant::now() < deadline
        {
            self.start_callouts();
            self.plan_ticks();
            let next_tick = self
                .ticks
                .values()
                .map(|(_, at)| *at)
                .min()
                .unwrap_or(deadline)
                .min(deadline);
            tokio::select! {
                Some(done) = self.callouts.join_next() => self.callout_done(done.ok()),
                () = sleep_until(Some(next_tick)) => self.tick(),
            }
        }
    }

    fn failed(&self) -> bool {
        self.parts.trapped.load(Ordering::Relaxed)
    }

    /// Ends the VM if the guest has trapped.
    fn check(&mut self, at_hand: Option<ContextId>, outcome: wasmtime::Result<()>) {
        let Err(trap) = outcome else { return };
        self.parts
            .telemetry
            .log(LogLevel::Critical, format!("the guest trapped: {trap:?}"));
        self.parts.trapped.store(true, Ordering::Relaxed);
        self.ticks.clear();
        let host = self.chain.guest.host();
        host.callouts.clear();
        host.roots.clear();
        for (id, mut stream) in std::mem::take(&mut host.streams) {
            if Some(id) == at_hand
                && !stream.response.head_sent
                && let Some(to_client) = stream.response.out.take()
            {
                fail_closed(&to_client);
            }
        }
    }

    /// Serves an event after a trap.
    fn refuse(&self, event: Event) {
        match event {
            Event::Open { to_client, .. } => fail_closed(&to_client),
            Event::Reconfigure { done, .. } => {
                // Who asked may have gone.
                done.send(Err(StartError::Trapped { log: Vec::new() })).ok();
            }
            Event::Rejected { .. }
            | Event::Data { .. }
            | Event::ResponseHead { .. }
            | Event::UpstreamFailed { .. }
            | Event::Closed { .. }
            | Event::Stop { .. } => {}
        }
    }
}

/// How long a stopping VM waits for a root that is not done.
const LAST_CALLOUTS: Duration = Duration::from_secs(2);

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn fail_closed(to_client: &mpsc::UnboundedSender<Piece>) {
    let message = local_reply::message(
        &Pairs::default(),
        &local_reply::host_made(503, "", "wasm_fail_stream"),
    );
    // A client that has gone needs no answer.
    to_client
        .send(Piece::Head(message.head, message.head_end))
        .ok();
}

fn new_stream(
    root: ContextId,
    peer: Peer,
    to_upstream: mpsc::UnboundedSender<Piece>,
    to_client: mpsc::UnboundedSender<Piece>,
) -> Stream {
    Stream {
        root,
        phase: Phase::Request,
        peer,
        request: Half::new(to_upstream),
        response: Half::new(to_client),
        started: Instant::now(),
        started_at: SystemTime::now(),
        code: None,
        details: None,
        properties: BTreeMap::new(),
        known_to_guest: true,
        replied_locally: false,
    }
}
