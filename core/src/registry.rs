//! Which API a request belongs to.
//!
//! A [`Registry`] is compiled once from all [`ApiDefinition`]s and never changes: a new set of definitions is a new
//! registry. Look-up costs one hash of the host and one step per path segment, however many APIs there are. The order of
//! preference is `docs/decisions/0005-registry-matching.md`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::api_id::ApiId;
use crate::fault::{FaultCollector, Faults};
use crate::host::{HostName, HostPattern};
use crate::path::NormalPath;

mod definition;
mod raw;
mod routes;
mod rules;
mod tree;

pub use definition::{ApiDefinition, Blocking, JwtClaims, JwtLocation, MAX_LEVELS, Protocol};
pub use routes::{MAX_ROUTE_SEGMENTS, MAX_ROUTES, Parameters, Routes};
pub use rules::{
    Decoys, Lure, MAX_DECOYS, MediaRange, Pattern, Patterns, Rules, SpikeLimit, TokenRule, Window,
};
use tree::PathTree;

/// Every API that ASE knows, ready for look-up.
#[derive(Debug, Default)]
pub struct Registry {
    apis: BTreeMap<ApiId, Arc<ApiDefinition>>,
    // The keys come from the operator, so a fixed hash key invites no collisions; `core` draws no randomness.
    exact_hosts: HashMap<HostName, PathTree, FixedState>,
    any_host: PathTree,
    /// Every path of every API, to tell an unknown host from an unknown path.
    all_hosts: PathTree,
}

/// What the registry says of a request.
#[derive(Clone, Copy, Debug)]
pub enum Found<'r> {
    /// It belongs to this API.
    Api(&'r Arc<ApiDefinition>),
    /// No API has such a path.
    UnknownApi,
    /// An API has such a path, but on another host.
    UnknownHostname,
}

impl Registry {
    /// Compiles definitions, in any order.
    ///
    /// # Errors
    /// Two definitions with one id, or with one host pattern and path: every such pair, under the id that comes later
    /// in alphabetical order.
    pub fn compile(definitions: impl IntoIterator<Item = ApiDefinition>) -> Result<Self, Faults> {
        let mut collector = FaultCollector::default();
        let mut registry = Self::default();
        for definition in definitions {
            let id = definition.id().clone();
            if registry
                .apis
                .insert(id.clone(), Arc::new(definition))
                .is_some()
            {
                collector.fault(id.as_str(), "is the id of two APIs");
            }
        }
        for (id, api) in &registry.apis {
            let tree = match api.host() {
                HostPattern::Any => &mut registry.any_host,
                HostPattern::Exact(host) => registry.exact_hosts.entry(host.clone()).or_default(),
            };
            if let Some(first) = tree.insert(api.base_path(), Arc::clone(api)) {
                let (host, path, first) = (api.host(), api.base_path(), first.id().as_str());
                collector.fault(
                    id.as_str(),
                    format_args!("hostname {host} and url {path} are those of {first:?} already"),
                );
            }
            // Only whether there is one matters here.
            drop(registry.all_hosts.insert(api.base_path(), Arc::clone(api)));
        }
        collector.into_result(registry)
    }

    /// Finds the API of a request. `host` is `None` when the request has no host name that can be read; it can still
    /// match an API of every host.
    #[must_use]
    pub fn find(&self, host: Option<&HostName>, path: &NormalPath) -> Found<'_> {
        let exact = host.and_then(|host| self.exact_hosts.get(host));
        let api = exact
            .and_then(|tree| tree.longest_prefix(path))
            .or_else(|| self.any_host.longest_prefix(path));
        match api {
            Some(api) => Found::Api(api),
            None if self.all_hosts.longest_prefix(path).is_some() => Found::UnknownHostname,
            None => Found::UnknownApi,
        }
    }

    /// The API of this id.
    #[must_use]
    pub fn get(&self, id: &ApiId) -> Option<&ApiDefinition> {
        self.apis.get(id).map(Arc::as_ref)
    }

    /// Every API, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &ApiDefinition> {
        self.apis.values().map(Arc::as_ref)
    }

    /// How many APIs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apis.len()
    }

    /// Whether there is no API.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }
}

#[cfg(test)]
mod tests;
