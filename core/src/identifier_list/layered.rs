//! A map in two layers: a large base that clones share and a small overlay with the changes since.
//!
//! Values are slices, and an empty slice is the same as an absent key. It knows nothing of what the values mean.
//! The hasher is std's keyed SipHash: keys can come from attackers (through the engine), and a look-up stays far below a microsecond with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Layered<K, V> {
    /// No value is empty.
    base: Arc<HashMap<K, Arc<[V]>>>,
    /// Wins over the base; empty: the key is gone.
    overlay: HashMap<K, Arc<[V]>>,
}

impl<K: Copy + Eq + Hash, V> Layered<K, V> {
    /// The values of `key`.
    pub(super) fn get(&self, key: &K) -> &[V] {
        let changed = if self.overlay.is_empty() {
            None
        } else {
            self.overlay.get(key)
        };
        changed
            .or_else(|| self.base.get(key))
            .map_or(&[], |values| values)
    }

    /// Makes `values` the values of `key`: in the base when nobody shares it, in the overlay otherwise.
    pub(super) fn set(&mut self, key: K, values: Vec<V>) {
        if let Some(base) = Arc::get_mut(&mut self.base) {
            self.overlay.remove(&key);
            fold(base, key, values.into());
        } else if values.is_empty() && !self.base.contains_key(&key) {
            self.overlay.remove(&key);
        } else {
            self.overlay.insert(key, values.into());
        }
    }

    /// Every key that has values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &[V])> {
        let unchanged = self
            .base
            .iter()
            .filter(|(key, _)| !self.overlay.contains_key(*key));
        unchanged
            .chain(&self.overlay)
            .map(|(key, values)| (*key, &**values))
            .filter(|(_, values)| !values.is_empty())
    }

    /// The number of keys in the overlay.
    pub(super) fn overlay_len(&self) -> usize {
        self.overlay.len()
    }

    /// Empties the overlay into the base; copies the base when it is shared.
    pub(super) fn merge(&mut self) {
        if self.overlay.is_empty() {
            return;
        }
        let base = Arc::make_mut(&mut self.base);
        std::mem::take(&mut self.overlay)
            .into_iter()
            .for_each(|(key, values)| fold(base, key, values));
    }
}

impl<K, V> Default for Layered<K, V> {
    fn default() -> Self {
        Self {
            base: Arc::default(),
            overlay: HashMap::new(),
        }
    }
}

fn fold<K: Eq + Hash, V>(base: &mut HashMap<K, Arc<[V]>>, key: K, values: Arc<[V]>) {
    if values.is_empty() {
        base.remove(&key);
    } else {
        base.insert(key, values);
    }
}
