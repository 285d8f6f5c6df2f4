//! Which networks an image holds exactly, and which only in its filter.

use std::collections::BTreeMap;

use super::super::member::{MemberKey, Members, Numbers};
use super::super::ranges::{V4_BYTES, V6_BYTES};
use super::{BuildError, number};

/// The networks of a list.
pub(super) struct Networks {
    /// The prefix lengths whose networks are in the filter.
    pub(super) filtered_v4: Numbers,
    pub(super) filtered_v6: Numbers,
    /// First and last addresses, merged and in order.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// One address family: first addresses by prefix length.
struct Family<A> {
    exact: BTreeMap<u8, Vec<A>>,
    filtered: Numbers,
}

impl Networks {
    /// Puts the prefix lengths with most networks into the filter, by `into_filter`, until the ranges of the others take at most `ranges_bytes`.
    pub(super) fn split(
        v4: BTreeMap<u8, Vec<u32>>,
        v6: BTreeMap<u8, Vec<u128>>,
        ranges_bytes: usize,
        mut into_filter: impl FnMut(MemberKey),
        members: &Members,
    ) -> Self {
        let (mut v4, mut v6) = (Family::of(v4), Family::of(v6));
        loop {
            let ranges = (
                v4.merged(|first, prefix| first | u32::MAX.checked_shr(prefix).unwrap_or(0)),
                v6.merged(|first, prefix| first | u128::MAX.checked_shr(prefix).unwrap_or(0)),
            );
            let bytes = ranges.0.len() * V4_BYTES + ranges.1.len() * V6_BYTES;
            if bytes <= ranges_bytes {
                return Self {
                    filtered_v4: v4.filtered,
                    filtered_v6: v6.filtered,
                    v4: ranges.0,
                    v6: ranges.1,
                };
            }
            if v4.most() * V4_BYTES >= v6.most() * V6_BYTES {
                let (prefix, networks) = v4.take_most();
                let keys = networks.into_iter().map(|first| members.v4(first, prefix));
                keys.for_each(&mut into_filter);
            } else {
                let (prefix, networks) = v6.take_most();
                let keys = networks.into_iter().map(|first| members.v6(first, prefix));
                keys.for_each(&mut into_filter);
            }
        }
    }

    /// As [`super::super::ranges::Ranges::read`] reads them.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        out.extend_from_slice(&number(self.v4.len())?.to_le_bytes());
        out.extend_from_slice(&number(self.v6.len())?.to_le_bytes());
        for (first, last) in &self.v4 {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&last.to_le_bytes());
        }
        for (first, last) in &self.v6 {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&last.to_le_bytes());
        }
        Ok(())
    }
}

impl<A: Copy + Ord> Family<A> {
    fn of(exact: BTreeMap<u8, Vec<A>>) -> Self {
        Self {
            exact,
            filtered: Numbers::default(),
        }
    }

    /// The ranges of what is held exactly; those that overlap are one.
    fn merged(&self, last_of: impl Fn(A, u32) -> A) -> Vec<(A, A)> {
        let networks = self.exact.iter().flat_map(|(prefix, networks)| {
            let prefix = u32::from(*prefix);
            let last_of = &last_of;
            networks
                .iter()
                .map(move |first| (*first, last_of(*first, prefix)))
        });
        let mut ranges: Vec<_> = networks.collect();
        ranges.sort_unstable();
        ranges.dedup_by(|(first, last), (_, end)| {
            let joins = *first <= *end;
            if joins {
                *end = (*end).max(*last);
            }
            joins
        });
        ranges
    }

    /// How many networks the prefix length with most has.
    fn most(&self) -> usize {
        self.exact.values().map(Vec::len).max().unwrap_or(0)
    }

    fn take_most(&mut self) -> (u8, Vec<A>) {
        let most = self.most();
        let fullest = self
            .exact
            .iter()
            .find(|(_, networks)| networks.len() == most);
        let Some(prefix) = fullest.map(|(prefix, _)| *prefix) else {
            return (0, Vec::new());
        };
        self.filtered.insert(prefix);
        (prefix, self.exact.remove(&prefix).unwrap_or_default())
    }
}
