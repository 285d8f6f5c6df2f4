//! Load on a real `ase`, beside a bare hyper server that returns 200 for the same bytes, in one run.
//!
//! Short rounds alternate between the two, so that what else the machine does hits both; medians and spread are told, and what counts is the median
//! ratio of neighbouring rounds, not an absolute number.
//! Server and generator run on different cores where there are two. Traffic stays on loopback. Usage: `bench-ase ASE_BINARY`.
#![expect(clippy::print_stdout, reason = "the table is the program's result")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

mod batches;
mod decision;
mod population;
mod server;
mod workload;
mod yardstick;

use ase_bench::load::{Outcome, Pace, Rate};
use ase_bench::process;
use ase_bench::statistics::{median, paired, spread};
use server::Server;
use workload::Workload;

/// As in the daemon, so that a difference is not the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Length of one round.
const ROUND: Duration = Duration::from_secs(1);
/// Length of a round at half of the peak.
const TAIL_ROUND: Duration = Duration::from_millis(300);
/// Its beginning, when connections are accepted and caches are cold, is a hundredth of its calls and more: it has a line of its own.
const TAIL_BEGINNING: Duration = Duration::from_millis(50);
/// As many of them for each round at the peak.
const TAIL_ROUNDS: usize = 4;
/// Rounds per server and workload.
const ROUNDS: usize = 15;
/// List entries.
const ENTRIES: u32 = 1_000_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("usage: bench-ase ASE_BINARY")?;
    if program == "yardstick" {
        return yardstick::serve();
    }
    let rounds = environment("ASE_BENCH_ROUNDS", ROUNDS)?;
    let entries = environment("ASE_BENCH_ENTRIES", ENTRIES)?;
    process::keep_off_the_measured_core();
    let program = PathBuf::from(program);
    decision::report(entries)?;
    let home = tempfile::tempdir()?;
    let empty = resident_when_empty(&program)?;
    population::fill(&program, home.path(), entries)?;
    let started = Instant::now();
    let ase = Server::ase(&program, home.path())?;
    let full = ase.resident_bytes()?;
    println!(
        "memory    {entries} entries: {:.0} bytes of RSS each ({:.1} MB, {:.1} MB when empty); ready after {:.1} s",
        (full.saturating_sub(empty)) as f64 / f64::from(entries),
        full as f64 / 1e6,
        empty as f64 / 1e6,
        started.elapsed().as_secs_f64()
    );
    let yardstick = Server::yardstick()?;
    compare("log off", &Workload::questions(), rounds, &ase, &yardstick)?;
    compare(
        "all on",
        &Workload::transactions(),
        rounds,
        &ase,
        &yardstick,
    )?;
    lost("all on", &ase)?;
    batches::report(rounds, &ase)
}

/// What the engine and the log have not seen of everything that came: a fast answer is worth nothing without them.
fn lost(name: &str, ase: &Server) -> Result<()> {
    println!(
        "{name:9} lost       exchanges studied {}, not studied for want of room {}; log lines written {}, dropped {}",
        ase.counted("ase_engine_events_total{event=\"observed\"} ")?,
        ase.counted("ase_engine_events_total{event=\"dropped\"} ")?,
        ase.counted("ase_access_log_lines_written_total ")?,
        ase.counted("ase_access_log_lines_dropped_total ")?
    );
    Ok(())
}

fn environment<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .ok()
            .with_context(|| format!("{name}={text:?} is not a number")),
        Err(_) => Ok(default),
    }
}

/// A daemon with the same APIs and no entry.
fn resident_when_empty(program: &std::path::Path) -> Result<u64> {
    let home = tempfile::tempdir()?;
    population::fill(program, home.path(), 0)?;
    Server::ase(program, home.path())?.resident_bytes()
}

/// Peak rate in alternating rounds, then latency at half of the yardstick's peak.
fn compare(
    name: &str,
    workload: &Workload,
    rounds: usize,
    ase: &Server,
    yardstick: &Server,
) -> Result<()> {
    let servers = [yardstick, ase];
    let mut peaks: [Vec<Outcome>; 2] = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (server, peaks) in servers.iter().zip(&mut peaks) {
            let outcome = server.run(workload, Pace::Closed, ROUND)?;
            // The first round warms caches and connections.
            if round > 0 {
                peaks.push(outcome);
            }
        }
    }
    let of =
        |peaks: &[Outcome], what: fn(&Outcome) -> f64| peaks.iter().map(what).collect::<Vec<f64>>();
    let [bare, ours] = &peaks;
    let (bare_rate, our_rate) = (of(bare, Outcome::rate), of(ours, Outcome::rate));
    let (bare_cpu, our_cpu) = (of(bare, Outcome::cpu_us), of(ours, Outcome::cpu_us));
    let rates = paired(&our_rate, &bare_rate);
    let costs = paired(&bare_cpu, &our_cpu);
    println!(
        "{name:9} peak       yardstick {:8.0}/s {}   ase {:8.0}/s {}   ratio {rates:.2}",
        median(&bare_rate),
        spread(&bare_rate),
        median(&our_rate),
        spread(&our_rate)
    );
    println!(
        "{name:9} CPU/call   yardstick {:8.2} us {}  ase {:8.2} us {}  ratio {costs:.2}",
        median(&bare_cpu),
        spread(&bare_cpu),
        median(&our_cpu),
        spread(&our_cpu)
    );
    println!(
        "{name:9} busy       yardstick {:8.0} %              ase {:8.0} %   of the server's core",
        100.0 * median(&of(bare, Outcome::busy)),
        100.0 * median(&of(ours, Outcome::busy))
    );
    tails(name, workload, TAIL_ROUNDS * rounds, servers)
}

/// The 99th percentile at half of the yardstick's peak: of rounds, and of all calls.
fn tails(name: &str, workload: &Workload, rounds: usize, servers: [&Server; 2]) -> Result<()> {
    let mut by_round: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    let mut together: [Vec<Outcome>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        // What half of the peak is changes with what else the machine does: a rate of minutes ago may be more than it has now.
        let [yardstick, _] = servers;
        let peak = yardstick.run(workload, Pace::Closed, TAIL_ROUND)?.rate();
        let per_second = peak / 2.0;
        let pace = Pace::Open(Rate::per_second(per_second)?);
        let beginning = per_second * TAIL_BEGINNING.as_secs_f64();
        for ((server, by_round), together) in servers.iter().zip(&mut by_round).zip(&mut together) {
            let outcome = server.run(workload, pace, TAIL_ROUND)?;
            let steady = outcome.clone().without_first(beginning as usize);
            by_round.push(steady.percentile_us(0.99));
            together.push(outcome);
        }
    }
    let [bare, ours] = &by_round;
    println!(
        "{name:9} p99 @half  yardstick {:8.0} us {}  ase {:8.0} us {}  ratio {:.2}",
        median(bare),
        spread(bare),
        median(ours),
        spread(ours),
        paired(ours, bare)
    );
    let [bare, ours] = together.map(|rounds| Outcome::together(rounds).percentile_us(0.99));
    println!(
        "{name:9} p99 @half, all calls of all rounds, beginnings too  yardstick {bare:8.0} us   ase {ours:8.0} us   ratio {:.2}",
        ours / bare
    );
    Ok(())
}
