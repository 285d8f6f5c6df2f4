//! Which prefix lengths a list holds, so that a look-up probes only those.
//!
//! Assumes that every `remove` undoes one `add` of the same length.

/// The lengths and the number of networks of each, longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct PrefixLengths(Vec<(u8, usize)>);

impl PrefixLengths {
    /// Counts one more network of that length.
    pub(super) fn add(&mut self, prefix: u8) {
        match self.place(prefix) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.0.insert(at, (prefix, 1)),
        }
    }

    /// Counts one network less of that length.
    pub(super) fn remove(&mut self, prefix: u8) {
        if let Ok(at) = self.place(prefix)
            && let Some((_, count)) = self.0.get_mut(at)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The lengths that have a network, longest first.
    pub(super) fn longest_first(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(|(prefix, _)| *prefix)
    }

    fn place(&self, prefix: u8) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| prefix.cmp(held))
    }
}
