//! What an operator copies out of `envoy/` is held against what reads it: the filter's own parser, a real Envoy, the schemas of the Kubernetes kinds.
//!
//! Assumes the filter's wasm file, an Envoy, the `ase` binary, `make schemas` and `make identity-provider`; what is missing fails the tests that need it. What no test here can reach, such
//! as a cluster or an nginx with proxy-wasm, `docs/deployment.md` says.

mod bootstrap;
mod envoy;
mod files;
mod oauth;
mod oci;
mod provider;
mod token_endpoint;
