//! What the benchmarks share: the load, what the system says of a process, and the statistics of rounds.

pub mod load;
pub mod process;
pub mod statistics;
