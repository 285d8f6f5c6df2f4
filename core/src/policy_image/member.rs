//! What the membership filter and the overlay hold of an identifier: 64 bits that nobody can foresee who does not know the build's seed.

use std::net::IpAddr;

use siphasher::sip::SipHasher13;

use crate::address::{ClientAddress, Network};
use crate::credential::{CredentialId, CredentialKind, KeyId};
use crate::identifier_list::ListedIdentifier;

use super::read::Cursor;

const TAG_IPV4: u8 = 4;
const TAG_IPV6: u8 = 6;

/// The keyed hash of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberKey(pub(super) u64);

/// Makes keys under the seed of one build.
#[derive(Clone, Debug)]
pub(super) struct Members(SipHasher13);

/// What is looked for: which sort of identifier, and of which prefix length or under which credential key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    V4(u8),
    V6(u8),
    Credential(CredentialKind, KeyId),
}

/// Some numbers from 0 to 255: prefix lengths, or ids of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers([u64; 4]);

/// For each kind of credential the ids of the keys under which some are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeysByKind([Numbers; CredentialKind::ALL.len()]);

impl Members {
    pub(super) fn new(seed: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(seed))
    }

    /// The key of the network of the first `prefix` bits of an address.
    pub(super) fn network(&self, address: ClientAddress, prefix: u8) -> MemberKey {
        match address.prefixed(prefix).first().ip() {
            IpAddr::V4(first) => self.v4(first.to_bits(), prefix),
            IpAddr::V6(first) => self.v6(first.to_bits(), prefix),
        }
    }

    pub(super) fn v4(&self, first: u32, prefix: u8) -> MemberKey {
        let [a, b, c, d] = first.to_be_bytes();
        MemberKey(self.0.hash(&[TAG_IPV4, prefix, a, b, c, d]))
    }

    pub(super) fn v6(&self, first: u128, prefix: u8) -> MemberKey {
        self.tagged(TAG_IPV6, prefix, first.to_be_bytes())
    }

    pub(super) fn credential(&self, kind: CredentialKind, id: &CredentialId) -> MemberKey {
        self.tagged(tag_of(kind), id.key().0, id.digest())
    }

    /// The key of an entry, and what finds it.
    pub(super) fn listed(&self, identifier: &ListedIdentifier) -> (Probe, MemberKey) {
        match identifier {
            ListedIdentifier::Network(network) => self.listed_network(network),
            ListedIdentifier::Credential { kind, id } => (
                Probe::Credential(*kind, id.key()),
                self.credential(*kind, id),
            ),
        }
    }

    fn listed_network(&self, network: &Network) -> (Probe, MemberKey) {
        let prefix = network.prefix();
        match network.first().ip() {
            IpAddr::V4(first) => (Probe::V4(prefix), self.v4(first.to_bits(), prefix)),
            IpAddr::V6(first) => (Probe::V6(prefix), self.v6(first.to_bits(), prefix)),
        }
    }

    fn tagged(&self, tag: u8, number: u8, bytes: [u8; 16]) -> MemberKey {
        let mut message = [0; 18];
        let content = [tag, number].into_iter().chain(bytes);
        for (place, byte) in message.iter_mut().zip(content) {
            *place = byte;
        }
        MemberKey(self.0.hash(&message))
    }
}

impl Probe {
    /// As two bytes of the image.
    pub(super) fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::V4(prefix) => [TAG_IPV4, prefix],
            Self::V6(prefix) => [TAG_IPV6, prefix],
            Self::Credential(kind, key) => [tag_of(kind), key.0],
        }
    }

    /// Reads two bytes of the image.
    pub(super) fn of_bytes([tag, number]: [u8; 2]) -> Option<Self> {
        match (tag, number) {
            (TAG_IPV4, 0..=32) => Some(Self::V4(number)),
            (TAG_IPV6, 0..=128) => Some(Self::V6(number)),
            (_, _) => {
                let kind = CredentialKind::ALL
                    .into_iter()
                    .find(|kind| tag_of(*kind) == tag)?;
                Some(Self::Credential(kind, KeyId(number)))
            }
        }
    }
}

impl Numbers {
    /// As many bytes of the image as they take.
    pub(super) const BYTES: usize = 32;

    pub(super) fn insert(&mut self, number: u8) {
        if let Some(word) = self.0.get_mut(usize::from(number / 64)) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn has(&self, number: u8) -> bool {
        let word = self.0.get(usize::from(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut both = *self;
        for (word, more) in both.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        both
    }

    /// The numbers, smallest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        let words = (0_u8..4).zip(self.0);
        words.flat_map(|(place, mut word)| {
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok()?;
                if bit >= 64 {
                    return None;
                }
                word &= word - 1;
                Some(place * 64 + bit)
            })
        })
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn of_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let mut numbers = Self::default();
        for (word, bytes) in numbers.0.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        numbers
    }
}

impl KeysByKind {
    pub(super) fn of(&self, kind: CredentialKind) -> Numbers {
        self.0.get(place_of(kind)).copied().unwrap_or_default()
    }

    pub(super) fn insert(&mut self, kind: CredentialKind, key: KeyId) {
        if let Some(keys) = self.0.get_mut(place_of(kind)) {
            keys.insert(key.0);
        }
    }

    /// Reads those of every kind, in the order of [`CredentialKind::ALL`].
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut kinds = Self::default();
        for keys in &mut kinds.0 {
            *keys = Numbers::of_bytes(&cursor.array()?);
        }
        Some(kinds)
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        self.0.into_iter().flat_map(Numbers::to_bytes).collect()
    }
}

fn tag_of(kind: CredentialKind) -> u8 {
    match kind {
        CredentialKind::Cookie => 16,
        CredentialKind::Token => 17,
        CredentialKind::ApiKey => 18,
        CredentialKind::Username => 19,
    }
}

fn place_of(kind: CredentialKind) -> usize {
    match kind {
        CredentialKind::Cookie => 0,
        CredentialKind::Token => 1,
        CredentialKind::ApiKey => 2,
        CredentialKind::Username => 3,
    }
}
