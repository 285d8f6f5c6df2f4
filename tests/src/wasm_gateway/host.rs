//! The data behind one VM: contexts, deferred actions and what the host calls may touch.
//!
//! One per VM, owned by its store, touched by one thread at a time. Must never wait for anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::abi::Status;
use super::pairs::Pairs;
use super::stream::{ContextId, Direction, Stream};
use super::telemetry::{LogLevel, Telemetry};
use super::{HostKind, RouteMetadata};

/// What a reply of the guest's or the host's making consists of.
#[derive(Debug, Clone)]
pub(super) struct LocalReply {
    pub(super) code: u16,
    /// `response.code_details`; empty is none.
    pub(super) details: String,
    pub(super) headers: Pairs,
    pub(super) body: Vec<u8>,
    /// The status for a gRPC client; none derives it from `code`.
    pub(super) grpc_status: Option<u32>,
}

/// What a host call asked for and the host does once the guest has returned.
#[derive(Debug)]
pub(super) enum Deferred {
    /// Let a held half go.
    Resume(ContextId, Direction),
    /// Answer the client.
    Reply(ContextId, LocalReply),
    /// Break the stream.
    Reset(ContextId),
    /// A root context has finished its work after all.
    Done(ContextId),
}

/// A callout that a guest started.
#[derive(Debug)]
pub(super) struct Callout {
    /// Who is told of the answer: as Envoy the root context, as nginx the context that made the call.
    pub(super) told: ContextId,
    pub(super) token: u32,
    pub(super) cluster: String,
    pub(super) headers: Pairs,
    pub(super) body: Vec<u8>,
    /// 0 means for ever.
    pub(super) timeout_ms: u32,
}

/// The reply to a callout, as the guest reads it while its hook runs.
#[derive(Debug, Default)]
pub(super) struct CalloutReply {
    /// Empty if the reply broke after its headers.
    pub(super) headers: Pairs,
    pub(super) body: Vec<u8>,
}

/// Whether a root context still serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootState {
    /// It is or will be the current one, or streams still use it.
    Serving,
    /// `on_done` returned false; it ends at `proxy_done`.
    Draining,
}

/// One plugin configuration in the VM.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) plugin_configuration: Vec<u8>,
    /// 0 means no ticks.
    pub(super) tick_period_ms: u32,
    pub(super) state: RootState,
}

/// What is fixed for a gateway's life and read by host calls.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) host: HostKind,
    pub(super) denied_capabilities: BTreeSet<String>,
    /// Targets of callouts.
    pub(super) clusters: BTreeMap<String, Vec<SocketAddr>>,
    /// Most callouts under way per cluster, where limited.
    pub(super) max_requests: BTreeMap<String, usize>,
    /// Metadata of routes; the first that matches counts.
    pub(super) route_metadata: Vec<RouteMetadata>,
    /// What is known of the clients' TLS connections.
    pub(super) connection: BTreeMap<String, String>,
    /// Claims of a verified token.
    pub(super) verified_claims: BTreeMap<String, Vec<u8>>,
}

/// The data behind one VM.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) settings: Arc<Settings>,
    pub(super) telemetry: Arc<Telemetry>,
    /// Whose hook runs.
    pub(super) current: ContextId,
    /// Whom the hook acts for, if not for `current`.
    pub(super) effective: Option<ContextId>,
    /// The name of the running hook.
    pub(super) hook: &'static str,
    pub(super) roots: BTreeMap<ContextId, Root>,
    pub(super) streams: BTreeMap<ContextId, Stream>,
    pub(super) deferred: VecDeque<Deferred>,
    /// Callouts to start once the guest has returned.
    pub(super) callouts: Vec<Callout>,
    /// Callouts without a reply so far, by token, with their cluster.
    pub(super) under_way: BTreeMap<u32, String>,
    pub(super) next_token: u32,
    pub(super) callout_reply: Option<CalloutReply>,
    /// What `proxy_get_status` says: Envoy keeps the last failure for ever.
    pub(super) status: (u32, &'static str),
}

impl Host {
    pub(super) fn new(settings: Arc<Settings>, telemetry: Arc<Telemetry>) -> Self {
        Self {
            settings,
            telemetry,
            current: ContextId(0),
            effective: None,
            hook: "",
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            deferred: VecDeque::new(),
            callouts: Vec::new(),
            under_way: BTreeMap::new(),
            next_token: 1,
            callout_reply: None,
            status: (0, ""),
        }
    }

    /// Whom the running hook acts for.
    pub(super) fn acting(&self) -> ContextId {
        self.effective.unwrap_or(self.current)
    }

    /// The root context of whom the running hook acts for.
    pub(super) fn acting_root(&self) -> ContextId {
        let acting = self.acting();
        self.streams
            .get(&acting)
            .map_or(acting, |stream| stream.root)
    }

    /// The stream that the running hook acts for.
    pub(super) fn acting_stream(&mut self) -> Option<&mut Stream> {
        let acting = self.acting();
        self.streams.get_mut(&acting)
    }

    /// Lets the running hook act for another context.
    pub(super) fn act_for(&mut self, context: ContextId) -> Result<(), Status> {
        if self.settings.host == HostKind::Nginx {
            return Ok(());
        }
        let known = self.roots.contains_key(&context)
            || self
                .streams
                .get(&context)
                .is_some_and(|stream| stream.known_to_guest);
        if known {
            self.effective = Some(context);
            Ok(())
        } else {
            Err(Status::BadArgument)
        }
    }

    /// Whether the guest may not use a host call; the refusal is logged as Envoy does.
    pub(super) fn denies(&self, capability: &str) -> bool {
        let denied = self.settings.denied_capabilities.contains(capability);
        if denied {
            self.telemetry.log(
                LogLevel::Error,
                format!("Attempted call to restricted proxy-wasm capability: {capability}"),
            );
        }
        denied
    }

    /// Queues a local reply; a second one in the same hook takes the first one's place.
    pub(super) fn reply(&mut self, context: ContextId, reply: LocalReply) {
        for deferred in &mut self.deferred {
            if let Deferred::Reply(id, waiting) = deferred
                && *id == context
            {
                *waiting = reply;
                return;
            }
        }
        self.deferred.push_back(Deferred::Reply(context, reply));
    }

    /// Checks a callout and takes it; the statuses are Envoy's (B.1 of the host facts).
    pub(super) fn call_out(
        &mut self,
        cluster: &str,
        headers: Pairs,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> Result<u32, Status> {
        let addresses = self.settings.clusters.get(cluster).map(Vec::len);
        let as_envoy = self.settings.host == HostKind::Envoy;
        if as_envoy && addresses.is_none() {
            return Err(Status::BadArgument);
        }
        let complete = [":path", ":method", ":authority"]
            .into_iter()
            .all(|name| headers.get(name.as_bytes()).is_some());
        if !complete || i32::try_from(timeout_ms).is_err() {
            return Err(Status::BadArgument);
        }
        let under_way = self
            .under_way
            .values()
            .filter(|other| *other == cluster)
            .count();
        let full = self
            .settings
            .max_requests
            .get(cluster)
            .is_some_and(|limit| under_way >= *limit);
        if as_envoy && (addresses == Some(0) || full) {
            return Err(Status::InternalFailure);
        }
        let token = self.next_token;
        self.next_token += 1;
        let told = if as_envoy {
            self.acting_root()
        } else {
            self.current
        };
        self.under_way.insert(token, cluster.to_owned());
        self.callouts.push(Callout {
            told,
            token,
            cluster: cluster.to_owned(),
            headers,
            body,
            timeout_ms,
        });
        Ok(token)
    }
}
