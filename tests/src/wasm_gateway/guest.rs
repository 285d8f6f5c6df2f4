//! One instance of the filter: making it, and calling its hooks.
//!
//! A hook that the module does not export does nothing and lets everything pass. Every error from here is a trap, after which the instance
//! must never be called again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use wasmtime::{Config, Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

use super::abi::Action;
use super::host::Host;
use super::stream::{ContextId, Direction, End};
use super::{imports, wasi};

/// Compiles a module, once per process and path: a compiled module is immutable and shared.
pub(super) fn compile(path: &Path) -> wasmtime::Result<Module> {
    static COMPILED: Mutex<Option<(Engine, BTreeMap<PathBuf, Module>)>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let (engine, modules) = match &mut *compiled {
        Some(compiled) => compiled,
        none => none.insert((
            Engine::new(Config::new().consume_fuel(true))?,
            BTreeMap::new(),
        )),
    };
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Module::from_file(engine, path)?;
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// One instance of the filter.
pub(super) struct Guest {
    store: Store<Host>,
    instance: Instance,
    heaviest_call: u64,
}

impl Guest {
    /// Instantiates and initialises a module.
    pub(super) fn new(module: &Module, host: Host) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(module.engine());
        imports::link(&mut linker)?;
        wasi::link(&mut linker)?;
        let mut store = Store::new(module.engine(), host);
        store.set_fuel(u64::MAX)?;
        let instance = linker.instantiate(&mut store, module)?;
        let mut guest = Self {
            store,
            instance,
            heaviest_call: 0,
        };
        for start in ["_initialize", "_start"] {
            if guest.instance.get_func(&mut guest.store, start).is_some() {
                guest.call(ContextId(0), start, (), ())?;
                break;
            }
        }
        Ok(guest)
    }

    pub(super) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// How many instructions the heaviest hook took so far. Unlike time, that is the same on a busy machine.
    pub(super) fn heaviest_call(&self) -> u64 {
        self.heaviest_call
    }

    /// The size of the guest's linear memory.
    pub(super) fn memory_bytes(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    pub(super) fn on_context_create(
        &mut self,
        context: ContextId,
        root: Option<ContextId>,
    ) -> wasmtime::Result<()> {
        self.call(
            context,
            "proxy_on_context_create",
            (context.0, root.map_or(0, |root| root.0)),
            (),
        )
    }

    pub(super) fn on_vm_start(&mut self, root: ContextId) -> wasmtime::Result<bool> {
        Ok(self.call(root, "proxy_on_vm_start", (root.0, 0_u32), 1_u32)? != 0)
    }

    pub(super) fn on_configure(
        &mut self,
        root: ContextId,
        configuration_size: usize,
    ) -> wasmtime::Result<bool> {
        Ok(self.call(
            root,
            "proxy_on_configure",
            (root.0, size(configuration_size)),
            1_u32,
        )? != 0)
    }

    pub(super) fn on_tick(&mut self, root: ContextId) -> wasmtime::Result<()> {
        self.call(root, "proxy_on_tick", root.0, ())
    }

    pub(super) fn on_headers(
        &mut self,
        stream: ContextId,
        direction: Direction,
        count: usize,
        end: End,
    ) -> wasmtime::Result<Action> {
        let hook = match direction {
            Direction::Request => "proxy_on_request_headers",
            Direction::Response => "proxy_on_response_headers",
        };
        self.call(stream, hook, (stream.0, size(count), end.abi()), 0_u32)
            .map(Action::from)
    }

    pub(super) fn on_body(
        &mut self,
        stream: ContextId,
        direction: Direction,
        bytes: usize,
        end: End,
    ) -> wasmtime::Result<Action> {
        let hook = match direction {
            Direction::Request => "proxy_on_request_body",
            Direction::Response => "proxy_on_response_body",
        };
        self.call(stream, hook, (stream.0, size(bytes), end.abi()), 0_u32)
            .map(Action::from)
    }

    pub(super) fn on_http_call_response(
        &mut self,
        root: ContextId,
        token: u32,
        headers: usize,
        body: usize,
    ) -> wasmtime::Result<()> {
        self.call(
            root,
            "proxy_on_http_call_response",
            (root.0, token, size(headers), size(body), 0_u32),
            (),
        )
    }

    pub(super) fn on_log(&mut self, stream: ContextId) -> wasmtime::Result<()> {
        self.call(stream, "proxy_on_log", stream.0, ())
    }

    /// Whether the context may be deleted at once.
    pub(super) fn on_done(&mut self, context: ContextId) -> wasmtime::Result<bool> {
        Ok(self.call(context, "proxy_on_done", context.0, 1_u32)? != 0)
    }

    pub(super) fn on_delete(&mut self, context: ContextId) -> wasmtime::Result<()> {
        self.call(context, "proxy_on_delete", context.0, ())
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: ContextId,
        hook: &'static str,
        arguments: P,
        absent: R,
    ) -> wasmtime::Result<R> {
        let Some(function) = self.instance.get_func(&mut self.store, hook) else {
            return Ok(absent);
        };
        let function = function.typed::<P, R>(&self.store)?;
        let (current, effective) = (self.store.data().current, self.store.data().effective);
        self.store.data_mut().hook = hook;
        self.store.data_mut().current = context;
        self.store.data_mut().effective = None;
        let before = self.store.get_fuel()?;
        let result = function.call(&mut self.store, arguments);
        let spent = before.saturating_sub(self.store.get_fuel()?);
        self.heaviest_call = self.heaviest_call.max(spent);
        self.store.data_mut().current = current;
        self.store.data_mut().effective = effective;
        result
    }
}

fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
