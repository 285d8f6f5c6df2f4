//! The words by which a request betrays what it is after: paths that only attackers look for, queries shaped to break a
//! program, programs that only attackers run. Short lists by category; weight and context are the detectors' business.

mod agents;
mod paths;
mod queries;
mod words;

pub(crate) use agents::{Agent, AgentWords};
pub(crate) use paths::{PathWords, Sensitive};
pub(crate) use queries::{Injection, QueryWords};
