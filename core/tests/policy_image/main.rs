//! The policy image against the decision: what a gateway passes on its own is what ASE would have passed without a word.
#![expect(clippy::unwrap_used, reason = "test code outside of a test function")]

mod bytes;
mod implication;
mod reasons;
mod sizes;
mod world;
