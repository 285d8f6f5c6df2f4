//! Keyed 64-bit hashes: of identifiers, paths and agents. Fast and not cryptographic; the key keeps strangers from choosing collisions in advance.

use std::net::IpAddr;

use ase_core::credential::CredentialId;
use ase_core::identifier_list::ListedIdentifier;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes hashes under one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    seed: u64,
}

impl Hasher {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: fold(seed ^ STEP, 0xd6e8_feb8_6659_fd93),
        }
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> u64 {
        let mut chunks = bytes.chunks_exact(8);
        let mut state = self.seed ^ bytes.len() as u64;
        for chunk in &mut chunks {
            state = fold(state ^ word(chunk), STEP);
        }
        fold(state ^ word(chunks.remainder()), STEP)
    }

    pub(crate) fn pair(self, first: u64, second: u64) -> u64 {
        // One after the other: the second factor of a product loses its lowest bit.
        fold(fold(first ^ self.seed, STEP) ^ second, STEP)
    }

    pub(crate) fn identifier(self, identifier: &ListedIdentifier) -> u64 {
        match identifier {
            ListedIdentifier::Network(network) => {
                let prefix = u64::from(network.prefix());
                self.pair(self.address(network.first().ip()), prefix)
            }
            ListedIdentifier::Credential { kind, id } => {
                self.pair(self.credential(id), u64::MAX - *kind as u64)
            }
        }
    }

    pub(crate) fn address(self, ip: IpAddr) -> u64 {
        match ip {
            IpAddr::V4(v4) => self.pair(u64::from(v4.to_bits()), 4),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                self.pair((bits >> 64) as u64, bits as u64 ^ 6)
            }
        }
    }

    /// The network that an address is in, as a sign of where somebody is: 24 bits of IPv4, 48 of IPv6.
    pub(crate) fn network(self, ip: IpAddr) -> u16 {
        let hash = match ip {
            IpAddr::V4(v4) => self.pair(u64::from(v4.to_bits() >> 8), 24),
            IpAddr::V6(v6) => self.pair((v6.to_bits() >> 80) as u64, 48),
        };
        (hash >> 48) as u16
    }

    pub(crate) fn credential(self, id: &CredentialId) -> u64 {
        use std::hash::{Hash, Hasher as _};
        let mut taker = Taker(self.seed);
        id.hash(&mut taker);
        taker.finish()
    }
}

/// Takes in what [`CredentialId`] gives to any hasher: its digest, which is uniform already.
struct Taker(u64);

impl std::hash::Hasher for Taker {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.0 = fold(self.0 ^ word(chunk), STEP);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    for (to, from) in whole.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(whole)
}

/// Both halves of the product, so that every input bit reaches every output bit.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b | 1);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_numbers_have_hashes_of_their_own_on_either_side() {
        let hasher = Hasher::new(3);
        let numbers = 0..1000_u64;
        let hashes = numbers.flat_map(|number| [hasher.pair(7, number), hasher.pair(number, 7)]);
        let hashes: std::collections::BTreeSet<u64> = hashes.collect();
        // (7, 7) stands on both sides.
        assert_eq!(hashes.len(), 1999);
    }
}
