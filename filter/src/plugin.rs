//! The hooks of the host ABI: hooks to inputs, effects to host calls. It decides nothing.
//!
//! Assumes one thread per VM and a host that never calls a hook within a hook. It must never panic: a trap stops every stream of the worker. A stream dispatches its question; only the root context dispatches records.
//!
//! The answer to a call comes to the context that it was made for ([`contexts`]), or to nobody where that has gone.

use std::rc::Rc;

use crate::capability::Capability;
use crate::config::Config;
use crate::exchange::CalloutToken;
use crate::host::{self, Buffer, Level};
use crate::host_profile::HostCall;

mod body;
mod callout;
mod complaint;
mod contexts;
mod halves;
mod image;
mod incoming;
mod metrics;
mod refusal;
mod shared;
mod stream;

use shared::Shared;
use stream::Stream;

pub(crate) use body::Shown;
pub(crate) use contexts::{Action, create, delete, on_answer, on_root, on_stream, tick};

/// Longest answer to a batch that is read, in bytes.
const MAX_RECEIPT_BYTES: usize = 1 << 20;

/// One configuration in one VM.
pub(crate) struct Root {
    context: u32,
    shared: Option<Rc<Shared>>,
}

impl Root {
    fn new(context: u32) -> Self {
        Self {
            context,
            shared: None,
        }
    }

    /// A new stream under this configuration.
    fn stream(&self, context: u32) -> Stream {
        Stream::new(context, self.shared.clone())
    }

    fn configure(&mut self, size: usize) -> Result<(), String> {
        let document = if size == 0 {
            host::Returned::default()
        } else {
            host::buffer(Buffer::PluginConfiguration, size)
                .map_err(|refused| format!("proxy_get_buffer_bytes is refused by the host (status {}): the configuration cannot be read", refused.0))?
        };
        let config = Config::parse(&document).map_err(|faults| faults.to_string())?;
        self.need_capabilities(&config)?;
        match &self.shared {
            Some(shared) => shared.reconfigure(config),
            None => self.shared = Some(Rc::new(Shared::new(config, self.context))),
        }
        Ok(())
    }

    /// Refuses a configuration that could not be carried out safely; see the table in [`crate::host`].
    fn need_capabilities(&self, config: &Config) -> Result<(), String> {
        let denied = |call: &str, status: u32, consequence: &str| {
            format!(
                "the host refuses {call} (status {status}), without which {consequence}: allow it"
            )
        };
        host::set_effective_context(self.context).map_err(|refused| {
            denied(
                "proxy_set_effective_context",
                refused.0,
                "the answer to a callout cannot be taken",
            )
        })?;
        host::set_tick_period(config.delivery().tick).map_err(|refused| {
            denied(
                "proxy_set_tick_period_milliseconds",
                refused.0,
                "no record would ever be sent",
            )
        })?;
        if config.may_ask() && config.host().offers(HostCall::ContinueNowhere) {
            match host::may_continue_requests() {
                Err(refused) if refused.is_denial() => {
                    return Err(denied(
                        "proxy_continue_stream",
                        refused.0,
                        "a request that waits for ASE could never go on",
                    ));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The hooks.
impl Root {
    /// The answer to a callout of the root context has come.
    fn on_answer(&mut self, token: CalloutToken, headers: usize, body_size: usize) {
        let Some(shared) = &self.shared else {
            return;
        };
        let Some(config) = shared.config() else {
            return;
        };
        if image::answered(shared, &config, token, headers, body_size) {
            return;
        }
        let answer = callout::answer(headers, body_size, &config);
        let body = callout::body(MAX_RECEIPT_BYTES.min(body_size));
        shared.delivery_answered(token, &answer, &body);
        if shared.drained() {
            end_root();
        }
    }

    /// The context is to end. Whether it may do so at once.
    pub(crate) fn on_done(&mut self) -> bool {
        match &self.shared {
            Some(shared) if shared.offers(HostCall::Done) => shared.drain(),
            Some(_) | None => true,
        }
    }

    /// There is a configuration of `size` bytes. Whether it is taken.
    pub(crate) fn on_configure(&mut self, size: usize) -> bool {
        match self.configure(size) {
            Ok(()) => true,
            Err(faults) => {
                for fault in faults.lines() {
                    host::log(
                        Level::Error,
                        &format!("ase: configuration refused: {fault}"),
                    );
                }
                false
            }
        }
    }

    /// Time went on by one tick. Gives what the streams are to be looked at with, when a look for exchanges that stay open is due.
    fn on_tick(&mut self) -> Option<Rc<Shared>> {
        let shared = self.shared.as_ref()?;
        shared.tick();
        if shared.drained() {
            end_root();
        }
        shared.look_is_due().then(|| Rc::clone(shared))
    }
}

fn end_root() {
    if host::root_is_done().is_err() {
        host::log(
            Level::Warn,
            &format!("ase: {}", complaint::refusal(Capability::Done)),
        );
    }
}
