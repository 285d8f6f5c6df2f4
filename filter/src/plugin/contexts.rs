//! The contexts of the VM: which of them a hook is about, and whose a callout's answer is.
//!
//! Hooks never nest and a VM has one thread, so the cell of all contexts is free whenever a hook begins. A hook about a context that is not there, which no
//! host calls, does nothing and lets nothing pass.

use std::cell::RefCell;

use super::Root;
use super::stream::Stream;
use crate::exchange::CalloutToken;
use crate::host;
use crate::numbered::Numbered;

/// What a stream does after a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It goes on.
    Continue = 0,
    /// It is held.
    Pause = 1,
}

/// Most open exchanges that are told of in one look: what a look misses, the next one sees.
const TOLD_AT_ONCE: u32 = 200;

thread_local! {
    static CONTEXTS: RefCell<Contexts> = const { RefCell::new(Contexts { roots: Vec::new(), streams: Numbered::new() }) };
    /// Which context each callout under way belongs to.
    static CALLOUTS: RefCell<Numbered<u32>> = const { RefCell::new(Numbered::new()) };
}

struct Contexts {
    /// One for each configuration that something still runs under.
    roots: Vec<(u32, Root)>,
    streams: Numbered<Stream>,
}

impl Contexts {
    fn root(&mut self, context: u32) -> Option<&mut Root> {
        let found = self.roots.iter_mut().find(|(known, _)| *known == context);
        found.map(|(_, root)| root)
    }
}

/// The host made a context: a root context where `root` is 0, else a stream under that root.
pub(crate) fn create(context: u32, root: u32) {
    with(|contexts| {
        if root == 0 {
            contexts.roots.push((context, Root::new(context)));
        } else if let Some(under) = contexts.root(root) {
            let stream = under.stream(context);
            contexts.streams.insert(context, stream);
        }
    });
}

/// The host has forgotten a context.
pub(crate) fn delete(context: u32) {
    with(|contexts| match contexts.streams.remove(context) {
        Some(stream) => {
            if let Some(token) = stream.callout() {
                // Its answer has nobody to go to.
                answered(token);
            }
        }
        None => contexts.roots.retain(|(known, _)| *known != context),
    });
}

/// Runs `act` on a root context.
pub(crate) fn on_root<T>(context: u32, act: impl FnOnce(&mut Root) -> T) -> Option<T> {
    with(|contexts| contexts.root(context).map(act)).flatten()
}

/// Time went on by one tick of a root context.
pub(crate) fn tick(root: u32) {
    with(|contexts| {
        let look = contexts.root(root).and_then(Root::on_tick);
        if let Some(shared) = look {
            let mut told = 0;
            for stream in contexts.streams.values_mut() {
                if told == TOLD_AT_ONCE || !shared.has_room_for_open_ones() {
                    break;
                }
                told += u32::from(stream.look_if_open(&shared));
            }
        }
    });
}

/// Runs `act` on a stream.
pub(crate) fn on_stream<T>(context: u32, act: impl FnOnce(&mut Stream) -> T) -> Option<T> {
    with(|contexts| contexts.streams.get_mut(context).map(act)).flatten()
}

/// Remembers that the answer to a callout is for `context`.
pub(super) fn called_out(token: CalloutToken, context: u32) {
    CALLOUTS.with(|callouts| {
        if let Ok(mut callouts) = callouts.try_borrow_mut() {
            callouts.insert(token.0, context);
        }
    });
}

/// A callout was answered: with so many headers, and a body of so many bytes.
pub(crate) fn on_answer(token: CalloutToken, headers: usize, body_size: usize) {
    let Some(context) = answered(token) else {
        return;
    };
    with(|contexts| {
        if let Some(stream) = contexts.streams.get_mut(context) {
            // The host calls for the root context; what follows is about the stream. A configuration is refused where this is not allowed.
            if host::set_effective_context(context).is_ok() {
                stream.on_answer(token, headers, body_size);
            }
        } else if let Some(root) = contexts.root(context) {
            root.on_answer(token, headers, body_size);
        }
    });
}

fn answered(token: CalloutToken) -> Option<u32> {
    CALLOUTS.with(|callouts| callouts.try_borrow_mut().ok()?.remove(token.0))
}

fn with<T>(act: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.try_borrow_mut().ok().map(|mut all| act(&mut all)))
}
