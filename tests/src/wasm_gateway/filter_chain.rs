//! Moves the two halves of every stream through the guest: Envoy's filter manager with one filter in it.
//!
//! Pieces come from the network, hooks run, what the guest lets go goes to the next hop. What a hook asked for (resume, reply, reset) happens as
//! soon as the hook has returned and before its answer counts, as in Envoy. Every error is a trap; after one the chain must never be used again.

use hyper::body::Bytes;

use super::abi::Action;
use super::guest::Guest;
use super::host::{CalloutReply, Deferred, LocalReply, Root, RootState};
use super::local_reply;
use super::pairs::Pairs;
use super::stream::{Ack, ContextId, Direction, End, Flow, Half, Phase, Piece, Stream};
use super::telemetry::LogLevel;
use super::{HostKind, nginx};

/// What `Pause` from a headers hook means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadersPause {
    /// No hook of the half runs until the guest resumes.
    StopAll,
    /// Body hooks run, and one that continues lets everything go.
    StopOne,
}

/// Unseen body that a held half takes before the sender has to wait.
const WINDOW_BYTES: usize = 256 * 1024;
/// Seen body that a half holds before the exchange fails: Envoy's default buffer limit.
const BUFFER_LIMIT_BYTES: usize = 1024 * 1024;
/// The router's default timeout, which Envoy tells the upstream.
const ROUTE_TIMEOUT_MS: &[u8] = b"15000";

/// Whether the guest took a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Configured {
    /// It did.
    Accepted,
    /// It refused.
    Refused,
}

/// All streams of one VM and their guest.
pub(super) struct Chain {
    pub(super) guest: Guest,
    pub(super) headers_pause: HeadersPause,
}

impl Chain {
    /// Makes a root context and configures it.
    pub(super) fn add_root(
        &mut self,
        id: ContextId,
        configuration: &str,
    ) -> wasmtime::Result<Configured> {
        let root = Root {
            plugin_configuration: configuration.as_bytes().to_vec(),
            tick_period_ms: 0,
            state: RootState::Serving,
        };
        self.guest.host().roots.insert(id, root);
        self.guest.on_context_create(id, None)?;
        let accepted =
            self.guest.on_vm_start(id)? && self.guest.on_configure(id, configuration.len())?;
        self.settle()?;
        Ok(if accepted {
            Configured::Accepted
        } else {
            Configured::Refused
        })
    }

    /// Tells a root context that it is over; it goes now or at its `proxy_done`.
    pub(super) fn end_root(&mut self, id: ContextId) -> wasmtime::Result<()> {
        match self.guest.host().roots.get_mut(&id) {
            Some(root) => root.state = RootState::Draining,
            None => return Ok(()),
        }
        let done = self.guest.on_done(id)?;
        self.settle()?;
        if done { self.delete_root(id) } else { Ok(()) }
    }

    /// Begins a stream with its request headers.
    pub(super) fn open(
        &mut self,
        id: ContextId,
        stream: Stream,
        head: Pairs,
        end: End,
    ) -> wasmtime::Result<()> {
        let root = stream.root;
        self.guest.host().streams.insert(id, stream);
        self.guest.on_context_create(id, Some(root))?;
        self.settle()?;
        self.head(id, Direction::Request, head, end)
    }

    /// Logs a request that the host answered before the guest could see it: a context that lives for `on_log` only.
    pub(super) fn log_rejected(
        &mut self,
        id: ContextId,
        mut stream: Stream,
        head: Pairs,
    ) -> wasmtime::Result<()> {
        stream.request.headers = head;
        stream.response.complete = true;
        let root = stream.root;
        self.guest.host().streams.insert(id, stream);
        self.guest.on_context_create(id, Some(root))?;
        self.close(id)
    }

    /// Takes the headers of a message.
    pub(super) fn head(
        &mut self,
        id: ContextId,
        direction: Direction,
        headers: Pairs,
        end: End,
    ) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        if stream.half(direction).flow == Flow::Over {
            return Ok(());
        }
        if direction == Direction::Response {
            stream.phase = Phase::Response;
            stream.code = headers
                .text(":status")
                .and_then(|status| status.parse().ok());
            if !stream.replied_locally {
                stream.details = Some("via_upstream".to_owned());
            }
        }
        let half = stream.half(direction);
        let count = headers.len();
        half.headers = headers;
        half.exposed = true;
        half.held_head = Some(end);
        let action = self.guest.on_headers(id, direction, count, end)?;
        self.settle()?;
        let pause = self.headers_pause;
        let cannot_pause =
            direction == Direction::Response && self.guest.host().settings.host == HostKind::Nginx;
        match (self.open_half(id, direction), action) {
            (None, Action::Continue | Action::Pause) => Ok(()),
            (Some(_), Action::Continue) => self.release(id, direction),
            (Some(_), Action::Pause) if cannot_pause => Err(wasmtime::Error::msg(
                "proxy_wasm cannot pause in the header filter phase",
            )),
            (Some(half), Action::Pause) => {
                half.flow = match pause {
                    HeadersPause::StopAll => Flow::HeldAll,
                    HeadersPause::StopOne => Flow::HeldOne,
                };
                Ok(())
            }
        }
    }

    /// Takes a piece of a body. The sender is told to go on when the piece is let in or thrown away.
    pub(super) fn data(
        &mut self,
        id: ContextId,
        direction: Direction,
        bytes: Bytes,
        end: End,
        ack: Ack,
    ) -> wasmtime::Result<()> {
        let Some(half) = self.open_half(id, direction) else {
            return Ok(());
        };
        match half.flow {
            Flow::HeldAll => {
                let ack = if half.waiting_bytes() + bytes.len() <= WINDOW_BYTES {
                    Ack::default()
                } else {
                    ack
                };
                half.inbox.push_back((bytes, end, ack));
                Ok(())
            }
            Flow::Moving | Flow::HeldOne => self.body(id, direction, &bytes, end),
            Flow::Over => Ok(()),
        }
    }

    /// Answers the client in the upstream's place.
    pub(super) fn reply(&mut self, id: ContextId, reply: &LocalReply) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        if stream.response.complete {
            return Ok(());
        }
        if stream.response.head_sent {
            self.reset(id);
            return Ok(());
        }
        stream.replied_locally = true;
        stream.details = (!reply.details.is_empty()).then(|| reply.details.clone());
        stream.request.close();
        let message = local_reply::message(&stream.request.headers, reply);
        match stream.phase {
            Phase::Request => {
                self.head(id, Direction::Response, message.head, message.head_end)?;
                match message.head_end {
                    End::Last => Ok(()),
                    End::More => self.data(
                        id,
                        Direction::Response,
                        message.body,
                        End::Last,
                        Ack::default(),
                    ),
                }
            }
            // A reply from a response hook takes the upstream's place and is not shown to the guest again.
            Phase::Response | Phase::Log => {
                stream.code = Some(reply.code);
                let out = stream.response.out.take();
                stream.response.close();
                stream.response.out = out;
                stream.response.headers = message.head.clone();
                stream
                    .response
                    .send(Piece::Head(message.head, message.head_end));
                if message.head_end == End::More {
                    stream.response.send(Piece::Data(message.body, End::Last));
                }
                Ok(())
            }
        }
    }

    /// Breaks a stream: both hops see an end without a last piece.
    pub(super) fn reset(&mut self, id: ContextId) {
        if let Some(stream) = self.stream(id) {
            stream.request.close();
            stream.response.close();
        }
    }

    /// Ends a stream: the response has been sent, or the client has gone.
    pub(super) fn close(&mut self, id: ContextId) -> wasmtime::Result<()> {
        let Some(stream) = self.stream(id) else {
            return Ok(());
        };
        if !stream.response.complete
            && matches!(stream.details.as_deref(), None | Some("via_upstream"))
        {
            stream.details = Some("downstream_remote_disconnect".to_owned());
        }
        stream.phase = Phase::Log;
        stream.request.close();
        stream.response.close();
        let line = stream.access_line();
        self.guest.host().telemetry.log(LogLevel::Info, line);
        let done_first = self.guest.host().settings.host == HostKind::Nginx;
        if done_first {
            self.guest.on_done(id)?;
        }
        self.guest.on_log(id)?;
        self.settle()?;
        // The answer counts for root contexts only: Envoy deletes a stream's context in any case.
        if !done_first {
            self.guest.on_done(id)?;
        }
        self.settle()?;
        self.guest.on_delete(id)?;
        self.guest.host().streams.remove(&id);
        self.settle()
    }

    /// Brings the reply to a callout to the root context that it belongs to.
    pub(super) fn callout_reply(
        &mut self,
        root: ContextId,
        token: u32,
        reply: CalloutReply,
    ) -> wasmtime::Result<()> {
        let host = self.guest.host();
        host.under_way.remove(&token);
        // As nginx the context may be a stream; with one that has ended its call was cancelled.
        if !host.roots.contains_key(&root) && !host.streams.contains_key(&root) {
            return Ok(());
        }
        let (headers, body) = (nginx::announced(&reply.headers), reply.body.len());
        if reply.headers.len() == 0 {
            host.status = (11, "reset");
        } else {
            host.callout_reply = Some(reply);
        }
        self.guest
            .on_http_call_response(root, token, headers, body)?;
        self.settle()?;
        self.guest.host().callout_reply = None;
        Ok(())
    }

    /// Ticks a root context.
    pub(super) fn tick(&mut self, root: ContextId) -> wasmtime::Result<()> {
        if self.guest.host().roots.contains_key(&root) {
            self.guest.on_tick(root)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Does what the hooks asked for.
    fn settle(&mut self) -> wasmtime::Result<()> {
        while let Some(deferred) = self.guest.host().deferred.pop_front() {
            match deferred {
                Deferred::Resume(id, direction) => self.resume(id, direction)?,
                Deferred::Reply(id, reply) => self.reply(id, &reply)?,
                Deferred::Reset(id) => self.reset(id),
                Deferred::Done(id) => {
                    let state = self.guest.host().roots.get(&id).map(|root| root.state);
                    if state == Some(RootState::Draining) {
                        self.delete_root(id)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn delete_root(&mut self, id: ContextId) -> wasmtime::Result<()> {
        if self.guest.host().roots.remove(&id).is_some() {
            self.guest.on_delete(id)?;
        }
        Ok(())
    }

    fn resume(&mut self, id: ContextId, direction: Direction) -> wasmtime::Result<()> {
        let Some(half) = self.open_half(id, direction) else {
            return Ok(());
        };
        if half.flow == Flow::Moving {
            return Ok(());
        }
        self.release(id, direction)?;
        while let Some(half) = self.open_half(id, direction) {
            let Some((bytes, end, _ack)) = half.inbox.pop_front() else {
                break;
            };
            self.body(id, direction, &bytes, end)?;
        }
        Ok(())
    }

    fn body(
        &mut self,
        id: ContextId,
        direction: Direction,
        bytes: &[u8],
        end: End,
    ) -> wasmtime::Result<()> {
        let Some(half) = self.open_half(id, direction) else {
            return Ok(());
        };
        half.body.extend_from_slice(bytes);
        half.received_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        half.held_body = Some(end);
        let shown = half.body.len();
        let action = self.guest.on_body(id, direction, shown, end)?;
        self.settle()?;
        match (self.open_half(id, direction), action) {
            (None, Action::Continue | Action::Pause) => Ok(()),
            (Some(_), Action::Continue) => self.release(id, direction),
            (Some(half), Action::Pause) => {
                half.flow = Flow::HeldOne;
                if half.body.len() > BUFFER_LIMIT_BYTES {
                    self.reply(id, &local_reply::over_limit(direction))
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Lets go what the guest has seen.
    fn release(&mut self, id: ContextId, direction: Direction) -> wasmtime::Result<()> {
        let Some(half) = self.open_half(id, direction) else {
            return Ok(());
        };
        half.flow = Flow::Moving;
        half.exposed = false;
        if let Some(end) = half.held_head.take() {
            if direction == Direction::Request {
                if half.headers.get(b":method") == Some(b"CONNECT") {
                    return self.reply(id, &local_reply::host_made(404, "", "route_not_found"));
                }
                half.headers
                    .set(b"x-envoy-expected-rq-timeout-ms", ROUTE_TIMEOUT_MS);
            }
            half.send(Piece::Head(half.headers.clone(), end));
        }
        if let Some(end) = half.held_body.take() {
            let body = std::mem::take(&mut half.body);
            half.send(Piece::Data(Bytes::from(body), end));
        }
        Ok(())
    }

    fn stream(&mut self, id: ContextId) -> Option<&mut Stream> {
        self.guest.host().streams.get_mut(&id)
    }

    /// A half through which something can still pass.
    fn open_half(&mut self, id: ContextId, direction: Direction) -> Option<&mut Half> {
        self.stream(id)
            .map(|stream| stream.half(direction))
            .filter(|half| half.flow != Flow::Over)
    }
}
