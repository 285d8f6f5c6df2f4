//! Threads that work behind the answers: where all cores are busy, whoever answers gateways goes first.
//!
//! A thread that stands back cannot come forward again without privileges: what must not be starved for seconds is never last.

use std::thread::available_parallelism;

use rustix::process::setpriority_process;
use tokio::runtime::{Handle, RuntimeMetrics};

/// How far a thread stands back, as `nice` counts.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Place {
    /// A third of an answering thread's share of a busy core.
    Behind = 5,
    /// What the others leave, and next to nothing of a busy core: an answering thread that wakes up goes on at once.
    Last = 19,
}

/// Lets the present thread stand back. On Linux a thread has a nice value of its own; elsewhere the whole process would stand back, so nothing is done.
pub fn stand_back(place: Place) {
    if cfg!(target_os = "linux")
        && let Err(error) = setpriority_process(None, place as i32)
    {
        tracing::debug!(%error, "a thread works at the usual priority");
    }
}

/// The threads that answer gateways, as who works behind them sees them.
#[derive(Debug)]
pub struct Answering {
    threads: RuntimeMetrics,
    cores: usize,
}

impl Answering {
    /// Those of the present runtime, in which this has to be called.
    #[must_use]
    pub fn here() -> Self {
        Self {
            threads: Handle::current().metrics(),
            cores: available_parallelism().map_or(1, usize::from),
        }
    }

    /// Whether they could use every core that there is.
    #[must_use]
    pub fn fill_the_cores(&self) -> bool {
        let threads = 0..self.threads.num_workers();
        // Both are counted together, so a thread is awake when the count is even.
        let naps_and_wakings = threads.map(|thread| self.threads.worker_park_unpark_count(thread));
        let awake = naps_and_wakings.filter(|count| count.is_multiple_of(2));
        awake.count() >= self.cores
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    /// Longest wait for what a loaded machine does late.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn answering_threads_fill_the_cores_while_all_of_them_work_and_not_while_one_sleeps() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        let answering = Answering {
            cores: 2,
            ..runtime.block_on(async { Answering::here() })
        };
        let until = |wanted: bool| {
            let began = Instant::now();
            while answering.fill_the_cores() != wanted {
                assert!(began.elapsed() < PATIENCE, "never {wanted}");
                std::thread::yield_now();
            }
        };
        let work = || {
            let (end, ended) = mpsc::channel::<()>();
            runtime.spawn(async move { ended.recv() });
            end
        };
        until(false);
        let first = work();
        let second = work();
        until(true);
        drop(first);
        until(false);
        drop(second);
    }
}
