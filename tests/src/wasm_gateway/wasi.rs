//! The few WASI preview 1 calls that a std build of a guest imports.
//!
//! No files, no arguments, no environment: what Envoy gives. Output goes to the log. Must never let a guest reach the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Linker, bail};

use super::abi::{self, Fault};
use super::host::Host;
use super::telemetry::LogLevel;

const SUCCESS: u32 = 0;
const BADF: u32 = 8;
const FAULT: u32 = 21;
const NOSYS: u32 = 52;
const MODULE: &str = "wasi_snapshot_preview1";

/// Links the calls.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for sizes in ["environ_sizes_get", "args_sizes_get"] {
        linker.func_wrap(
            MODULE,
            sizes,
            |mut caller: Caller<'_, Host>, count: u32, size: u32| {
                let written = abi::write(&mut caller, count, &[0; 4])
                    .and_then(|()| abi::write(&mut caller, size, &[0; 4]));
                errno(written)
            },
        )?;
    }
    for values in ["environ_get", "args_get"] {
        linker.func_wrap(MODULE, values, |_: Caller<'_, Host>, _: u32, _: u32| {
            SUCCESS
        })?;
    }
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, Host>, fd: u32, vectors: u32, count: u32, written: u32| {
            errno(write_out(&mut caller, fd, vectors, count, written))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, Host>, _: u32, _: u64, time: u32| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
            errno(abi::write(&mut caller, time, &nanoseconds.to_le_bytes()))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut caller: Caller<'_, Host>, start: u32, size: u32| {
            if caller.data().denies("random_get") {
                return NOSYS;
            }
            let bytes = random(size);
            errno(abi::write(&mut caller, start, &bytes))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "proc_exit",
        |_: Caller<'_, Host>, code: u32| -> wasmtime::Result<()> {
            bail!("the guest ended itself with code {code}")
        },
    )?;
    linker.func_wrap(MODULE, "sched_yield", |_: Caller<'_, Host>| SUCCESS)?;
    linker.func_wrap(MODULE, "fd_close", |_: Caller<'_, Host>, _: u32| NOSYS)?;
    linker.func_wrap(
        MODULE,
        "fd_seek",
        |_: Caller<'_, Host>, _: u32, _: u64, _: u32, _: u32| NOSYS,
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |_: Caller<'_, Host>, _: u32, _: u32| NOSYS,
    )?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_get",
        |_: Caller<'_, Host>, _: u32, _: u32| BADF,
    )?;
    linker.func_wrap(
        MODULE,
        "fd_prestat_dir_name",
        |_: Caller<'_, Host>, _: u32, _: u32, _: u32| BADF,
    )?;
    Ok(())
}

fn write_out(
    caller: &mut Caller<'_, Host>,
    fd: u32,
    vectors: u32,
    count: u32,
    written: u32,
) -> Result<(), Fault> {
    let table = abi::read(caller, vectors, count.saturating_mul(8))?;
    let mut text = Vec::new();
    for entry in table.as_chunks::<8>().0 {
        let [s0, s1, s2, s3, l0, l1, l2, l3] = *entry;
        text.extend(abi::read(
            caller,
            u32::from_le_bytes([s0, s1, s2, s3]),
            u32::from_le_bytes([l0, l1, l2, l3]),
        )?);
    }
    let size = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let level = if fd == 2 {
        LogLevel::Error
    } else {
        LogLevel::Info
    };
    caller
        .data()
        .telemetry
        .log(level, String::from_utf8_lossy(&text).trim_end());
    abi::write(caller, written, &size.to_le_bytes())
}

/// Bytes that differ from run to run: a guest seeds its hash maps and ids with them, nothing here is secret.
fn random(size: u32) -> Vec<u8> {
    use std::hash::{BuildHasher, RandomState};
    let source = RandomState::new();
    (0..size)
        .map(|index| source.hash_one(index).to_le_bytes()[0])
        .collect()
}

fn errno(result: Result<(), Fault>) -> u32 {
    match result {
        Ok(()) => SUCCESS,
        Err(Fault::Status(_) | Fault::Trap(_)) => FAULT,
    }
}
