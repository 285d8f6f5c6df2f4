//! The proxy-wasm ABI's numbers and the traffic of bytes through guest memory.
//!
//! Numbers are those of proxy-wasm 0.2.1. Pointers come from the guest and are never trusted: one that leaves the memory is a status, not a
//! trap. Must never keep a view of guest memory across a call into the guest, which may move it.

use wasmtime::{Caller, Extern, Memory};

use super::host::Host;

/// What a host call returns to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Status {
    /// The call did what it should.
    Ok = 0,
    /// There is no such thing.
    NotFound = 1,
    /// An argument is outside the call's domain, or the thing is not available in this phase.
    BadArgument = 2,
    /// A pointer leaves guest memory.
    InvalidMemoryAccess = 6,
    /// Somebody else wrote the shared datum.
    CasMismatch = 8,
    /// The host failed, or the capability is denied.
    InternalFailure = 10,
    /// This host does not offer the call.
    Unimplemented = 12,
}

/// Why a host call did not return `Ok`.
pub(super) enum Fault {
    /// The guest gets this status.
    Status(Status),
    /// The guest trapped while the host called back into it.
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// A header map that a guest can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapType {
    /// The stream's request headers.
    RequestHeaders,
    /// The stream's response headers.
    ResponseHeaders,
    /// The headers of the callout reply under way.
    CalloutHeaders,
    /// Trailers and gRPC metadata, which this host never has.
    Absent,
}

impl TryFrom<u32> for MapType {
    type Error = Status;

    fn try_from(number: u32) -> Result<Self, Status> {
        match number {
            0 => Ok(Self::RequestHeaders),
            2 => Ok(Self::ResponseHeaders),
            6 => Ok(Self::CalloutHeaders),
            1 | 3 | 4 | 5 | 7 => Ok(Self::Absent),
            _ => Err(Status::BadArgument),
        }
    }
}

/// A byte buffer that a guest can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BufferType {
    /// The request body that the hook shows.
    RequestBody,
    /// The response body that the hook shows.
    ResponseBody,
    /// The body of the callout reply under way.
    CalloutBody,
    /// The VM's configuration.
    VmConfiguration,
    /// The plugin's configuration.
    PluginConfiguration,
    /// TCP data, gRPC messages and foreign-call data, which this host never has.
    Absent,
}

impl TryFrom<u32> for BufferType {
    type Error = Status;

    fn try_from(number: u32) -> Result<Self, Status> {
        match number {
            0 => Ok(Self::RequestBody),
            1 => Ok(Self::ResponseBody),
            4 => Ok(Self::CalloutBody),
            6 => Ok(Self::VmConfiguration),
            7 => Ok(Self::PluginConfiguration),
            2 | 3 | 5 | 8 => Ok(Self::Absent),
            _ => Err(Status::BadArgument),
        }
    }
}

/// A hook's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Go on.
    Continue,
    /// Hold the stream.
    Pause,
}

impl From<u32> for Action {
    fn from(number: u32) -> Self {
        if number == 0 {
            Self::Continue
        } else {
            Self::Pause
        }
    }
}

/// Copies `size` bytes out of guest memory.
pub(super) fn read(caller: &mut Caller<'_, Host>, start: u32, size: u32) -> Result<Vec<u8>, Fault> {
    let memory = memory(caller)?;
    let start = usize::try_from(start).map_err(|_| Status::InvalidMemoryAccess)?;
    let size = usize::try_from(size).map_err(|_| Status::InvalidMemoryAccess)?;
    let bytes = memory
        .data(&*caller)
        .get(start..)
        .and_then(|rest| rest.get(..size))
        .ok_or(Status::InvalidMemoryAccess)?;
    Ok(bytes.to_vec())
}

/// Copies text out of guest memory; bytes that are not UTF-8 are replaced.
pub(super) fn text(caller: &mut Caller<'_, Host>, start: u32, size: u32) -> Result<String, Fault> {
    Ok(String::from_utf8_lossy(&read(caller, start, size)?).into_owned())
}

/// Copies bytes into guest memory.
pub(super) fn write(caller: &mut Caller<'_, Host>, start: u32, bytes: &[u8]) -> Result<(), Fault> {
    let memory = memory(caller)?;
    let start = usize::try_from(start).map_err(|_| Status::InvalidMemoryAccess)?;
    memory
        .write(&mut *caller, start, bytes)
        .map_err(|_| Fault::Status(Status::InvalidMemoryAccess))
}

/// Gives bytes to the guest in memory that the guest allocates; no bytes are a null pointer of size 0.
pub(super) fn hand_over(
    caller: &mut Caller<'_, Host>,
    bytes: &[u8],
    return_data: u32,
    return_size: u32,
) -> Result<(), Fault> {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let start = if bytes.is_empty() {
        0
    } else {
        allocate(caller, size)?
    };
    write(caller, start, bytes)?;
    write(caller, return_data, &start.to_le_bytes())?;
    write(caller, return_size, &size.to_le_bytes())
}

fn allocate(caller: &mut Caller<'_, Host>, size: u32) -> Result<u32, Fault> {
    let Some(allocator) = ["proxy_on_memory_allocate", "malloc"]
        .into_iter()
        .find_map(|name| caller.get_export(name).and_then(Extern::into_func))
    else {
        return Err(Status::InternalFailure.into());
    };
    let allocator = allocator.typed::<u32, u32>(&*caller).map_err(Fault::Trap)?;
    let start = allocator.call(&mut *caller, size).map_err(Fault::Trap)?;
    if start == 0 {
        Err(Status::InvalidMemoryAccess.into())
    } else {
        Ok(start)
    }
}

fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory, Fault> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or(Fault::Status(Status::InternalFailure))
}
