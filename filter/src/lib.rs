//! The gateway policy.
