//! The daemon over real HTTP on ports of its own, in process or as the real binary.

mod batches;
mod correlation;
mod definitions;
mod harness;
mod leniency;
mod lists;
mod processes;
mod redaction;
mod replays;
mod statuses;
mod tokens;
