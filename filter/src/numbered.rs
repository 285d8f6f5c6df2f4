//! What is found again by a number that the host has given: its contexts and its callouts.
//!
//! The host counts up, so the low bits of its numbers spread evenly by themselves: no hashing, and a look-up is a step into a short list.

/// Lists; a thousand entries make four a list.
const LISTS: u32 = 256;

/// Values by number.
#[derive(Debug)]
pub struct Numbered<T> {
    /// None before the first value.
    lists: Vec<Vec<(u32, T)>>,
}

impl<T> Numbered<T> {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { lists: Vec::new() }
    }

    /// Keeps a value under a number, in place of one that was there.
    pub fn insert(&mut self, number: u32, value: T) {
        if self.lists.is_empty() {
            self.lists.resize_with(place(LISTS - 1) + 1, Vec::new);
        }
        if let Some(known) = self.get_mut(number) {
            *known = value;
        } else if let Some(list) = self.lists.get_mut(place(number)) {
            list.push((number, value));
        }
    }

    /// The value of this number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let list = self.lists.get_mut(place(number))?;
        let found = list.iter_mut().find(|(known, _)| *known == number);
        found.map(|(_, value)| value)
    }

    /// Takes the value of this number out.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let list = self.lists.get_mut(place(number))?;
        let at = list.iter().position(|(known, _)| *known == number)?;
        Some(list.swap_remove(at).1)
    }

    /// Every value, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let all = self.lists.iter_mut().flatten();
        all.map(|(_, value)| value)
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Below 256, which every `usize` holds.
fn place(number: u32) -> usize {
    usize::try_from(number % LISTS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Remove(u32),
        Get(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few enough numbers to meet again, some of them in one list.
        let number = prop_oneof![0..6_u32, Just(256), Just(512), Just(u32::MAX)];
        (0..3_u8, number).prop_map(|(kind, number)| match kind {
            0 => Step::Insert(number),
            1 => Step::Remove(number),
            _ => Step::Get(number),
        })
    }

    proptest! {
        #[test]
        fn answers_as_a_map_would(steps in prop::collection::vec(step(), 0..60)) {
            let (mut numbered, mut map) = (Numbered::new(), BTreeMap::new());
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(number) => {
                        numbered.insert(number, value);
                        map.insert(number, value);
                    }
                    Step::Remove(number) => prop_assert_eq!(numbered.remove(number), map.remove(&number)),
                    Step::Get(number) => prop_assert_eq!(numbered.get_mut(number), map.get_mut(&number)),
                }
                let mut values: Vec<usize> = numbered.values_mut().map(|value| *value).collect();
                values.sort_unstable();
                let mut expected: Vec<usize> = map.values().copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(values, expected);
            }
        }
    }
}
