//! APIs by path, one level per segment. Depth is bounded by the definitions' own limit, not by requests.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::path::NormalPath;

use super::ApiDefinition;

#[derive(Debug, Default)]
pub(super) struct PathTree {
    api: Option<Arc<ApiDefinition>>,
    // The keys come from the operator, so a fixed hash key invites no collisions; `core` draws no randomness.
    children: HashMap<Box<[u8]>, Self, FixedState>,
}

impl PathTree {
    /// Puts `api` at `path`. Gives back the API that is there already, which stays.
    pub(super) fn insert(
        &mut self,
        path: &NormalPath,
        api: Arc<ApiDefinition>,
    ) -> Option<Arc<ApiDefinition>> {
        let mut node = self;
        for segment in path.segments() {
            node = node.children.entry(segment.into()).or_default();
        }
        if node.api.is_none() {
            node.api = Some(api);
            return None;
        }
        node.api.clone()
    }

    /// The API whose path is the longest prefix of `path`, at segment boundaries.
    pub(super) fn longest_prefix(&self, path: &NormalPath) -> Option<&Arc<ApiDefinition>> {
        let mut longest = self.api.as_ref();
        let mut node = self;
        for segment in path.segments() {
            let Some(child) = node.children.get(segment) else {
                break;
            };
            node = child;
            longest = node.api.as_ref().or(longest);
        }
        longest
    }
}
