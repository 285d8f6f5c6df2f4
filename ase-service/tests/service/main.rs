//! The daemon over real HTTP on ports of its own, in process or as the real binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod abs;
mod attacks;
mod batches;
mod certificates;
mod checks;
mod command_line;
mod correlation;
mod definitions;
mod detections;
mod discovery;
mod engine;
mod engine_memory;
mod engine_replays;
mod engine_steering;
mod entering;
mod exhaustion;
mod fairness;
mod fast_path;
mod harness;
mod images;
mod leniency;
mod lenient;
mod limits;
mod lists;
mod long_lists;
mod management;
mod management_tls;
mod observability;
mod operating;
mod processes;
mod real_time;
mod recorded_traffic;
mod redaction;
mod replays;
mod rotation;
mod slow_readers;
mod statuses;
mod tokens;
mod transport;
mod upkeep;
