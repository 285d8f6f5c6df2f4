//! What each way to ask about a request costs Envoy, in one run: `make bench`.
//!
//! One Envoy for each variant, one worker each, on one core; load, stub and API are one thread that never sleeps, on another. Rounds alternate, and what
//! counts is the median ratio of neighbouring rounds, not an absolute number. Traffic stays on loopback.
#![expect(clippy::print_stdout, reason = "the tables are the program's result")]
#![expect(clippy::print_stderr, reason = "the progress of a run of minutes")]

use anyhow::Result;
use ase_bench::process;

mod arguments;
mod ase;
mod bars;
mod chart;
mod document;
mod envoy;
mod envoy_config;
mod figures;
mod grpc;
mod requests;
mod rounds;
mod stub;
mod suite;
mod table;
mod variant;

use arguments::Arguments;

/// As in the daemon, so that the stub costs what ASE's own server would.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    process::keep_off_the_measured_core();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // The load yields after each step, and everybody else is to have a turn before the next.
        .event_interval(8)
        .build()?;
    let findings = runtime.block_on(suite::run(&arguments))?;
    println!("{}", findings.text());
    match &arguments.out {
        Some(file) => findings.write(file),
        None => Ok(()),
    }
}
