//! Some hundred entries of a list that lie together. Assumes nothing; holds no copy of them.

use std::net::{IpAddr, Ipv4Addr};

use super::leaf::Leaf;
use super::{EntryRef, ListedIdentifier};
use crate::address::{ClientAddress, Network};
use crate::credential::{CredentialId, CredentialKind};

/// A part of a list; see [`super::IdentifierList::blocks`].
#[derive(Clone, Copy, Debug)]
pub struct Block<'l>(pub(super) Of<'l>);

/// What the keys of a block's entries stand for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'l> {
    /// Networks of this prefix length.
    V4(u8, &'l Leaf<u32>),
    V6(u8, &'l Leaf<u128>),
    Credentials(CredentialKind, &'l Leaf<CredentialId>),
}

impl<'l> Block<'l> {
    /// Its entries, expired ones included, in no order that means anything.
    #[must_use]
    pub fn entries(self) -> Box<dyn Iterator<Item = (ListedIdentifier, EntryRef<'l>)> + 'l> {
        match self.0 {
            Of::V4(prefix, leaf) => Box::new(leaf.iter().map(move |(bits, entry)| {
                let address = ClientAddress::from(IpAddr::V4(Ipv4Addr::from_bits(bits)));
                (ListedIdentifier::Network(address.prefixed(prefix)), entry)
            })),
            Of::V6(prefix, leaf) => Box::new(leaf.iter().map(move |(bits, entry)| {
                let network = Network::v6(bits, prefix);
                (ListedIdentifier::Network(network), entry)
            })),
            Of::Credentials(kind, leaf) => {
                let named = move |id| ListedIdentifier::Credential { kind, id };
                Box::new(leaf.iter().map(move |(id, entry)| (named(id), entry)))
            }
        }
    }
}
