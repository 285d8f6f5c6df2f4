//! The networks that the image holds exactly: ranges of addresses, merged and in order.

use std::net::IpAddr;
use std::ops::Range;

use crate::address::Network;

use super::read::{Cursor, first_not, u32_at, u128_at};

/// The first and the last address of a range take so many bytes.
pub(super) const V4_BYTES: usize = 8;
/// The same for IPv6.
pub(super) const V6_BYTES: usize = 32;

/// Where they lie.
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    v4: Range<usize>,
    v6: Range<usize>,
}

impl Ranges {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let (v4, v6) = (cursor.u32()?, cursor.u32()?);
        Some(Self {
            v4: cursor.records(v4, V4_BYTES)?,
            v6: cursor.records(v6, V6_BYTES)?,
        })
    }

    /// Whether one of them holds all of a network.
    pub(super) fn hold(&self, image: &[u8], network: &Network) -> bool {
        match network.first().ip() {
            IpAddr::V4(first) => {
                let first = first.to_bits();
                let last = first | u32::MAX.checked_shr(network.prefix().into()).unwrap_or(0);
                let bound = |at| u32_at(image, at);
                let starts = |at| bound(at).is_some_and(|start| start <= first);
                let range = last_of(&self.v4, V4_BYTES, starts);
                let end = range.and_then(|at| bound(at + V4_BYTES / 2));
                end.is_some_and(|end| last <= end)
            }
            IpAddr::V6(first) => {
                let first = first.to_bits();
                let last = first | u128::MAX.checked_shr(network.prefix().into()).unwrap_or(0);
                let bound = |at| u128_at(image, at);
                let starts = |at| bound(at).is_some_and(|start| start <= first);
                let range = last_of(&self.v6, V6_BYTES, starts);
                let end = range.and_then(|at| bound(at + V6_BYTES / 2));
                end.is_some_and(|end| last <= end)
            }
        }
    }
}

/// The offset of the last record of those that `starts` selects, which stand in front of the others.
fn last_of(records: &Range<usize>, size: usize, starts: impl Fn(usize) -> bool) -> Option<usize> {
    let offset = |number: usize| records.start + number * size;
    let behind = first_not(0, records.len() / size, |number| starts(offset(number)));
    behind.checked_sub(1).map(offset)
}
