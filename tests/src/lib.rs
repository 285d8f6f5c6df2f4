//! The harness: scenarios as data, gateways that run them, a scripted ASE and an upstream.
