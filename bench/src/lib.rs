//! What the benchmarks share: the load, policy images, what the system says of a process, and the statistics of rounds.

pub mod images;
pub mod load;
pub mod process;
pub mod statistics;
