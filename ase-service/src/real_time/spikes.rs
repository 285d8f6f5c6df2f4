//! How many requests each client has made to each API with a limit, in the present window.
//!
//! Bounded: each shard keeps two generations of counts and forgets the older one when the younger is full, so a client
//! that keeps calling keeps its count. Keys are hashes under a key that is random per process, so nobody outside can make two
//! clients share a count.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ase_core::address::{ClientAddress, Ipv6Width};
use ase_core::decision::RequestCounts;
use ase_core::metadata::RequestReport;
use ase_core::registry::{ApiDefinition, SpikeLimit};
use ase_core::time::UnixMillis;

const SHARDS: usize = 64;

/// The counts.
#[derive(Debug)]
pub struct Spikes {
    hasher: RandomState,
    width: Ipv6Width,
    shards: Vec<Mutex<Shard>>,
    /// Most counts of one generation of one shard.
    half: usize,
}

/// The counts as of one instant.
#[derive(Clone, Copy, Debug)]
pub struct SpikeCounts<'s> {
    spikes: &'s Spikes,
    at: UnixMillis,
}

#[derive(Debug, Default)]
struct Shard {
    younger: HashMap<u64, Count>,
    older: HashMap<u64, Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    window: u64,
    /// The last millisecond of the window or later: after that the count means nothing.
    until: UnixMillis,
    requests: u32,
}

impl Spikes {
    /// Keeps at most about `clients` counts.
    #[must_use]
    pub fn new(clients: usize, width: Ipv6Width) -> Self {
        Self {
            hasher: RandomState::new(),
            width,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            half: (clients / SHARDS / 2).max(1),
        }
    }

    /// The counts as of `at`.
    #[must_use]
    pub fn at(&self, at: UnixMillis) -> SpikeCounts<'_> {
        SpikeCounts { spikes: self, at }
    }

    /// Counts a request made at `at`; one of a window that has passed is not counted. Returns how many counts of others
    /// that still meant something were forgotten for it.
    pub fn count(
        &self,
        (client, api): (ClientAddress, &ApiDefinition),
        limit: SpikeLimit,
        at: UnixMillis,
    ) -> u64 {
        let key = self.key(client, api);
        let Some(mut shard) = self.shard(key) else {
            return 0;
        };
        let window = limit.window_of(at.0);
        let fresh = Count {
            window,
            until: limit.window_end(at.0),
            requests: 0,
        };
        let mut evicted = 0;
        if !shard.younger.contains_key(&key) {
            if shard.younger.len() >= self.half {
                evicted = shard.age(at);
            }
            let known = shard.older.remove(&key).unwrap_or(fresh);
            shard.younger.insert(key, known);
        }
        if let Some(count) = shard.younger.get_mut(&key) {
            if count.window < window {
                *count = fresh;
            }
            if count.window == window {
                count.requests = count.requests.saturating_add(1);
            }
        }
        evicted
    }

    fn requests(&self, key: u64, window: u64) -> u32 {
        let Some(shard) = self.shard(key) else {
            return 0;
        };
        let known = shard.younger.get(&key).or_else(|| shard.older.get(&key));
        known
            .filter(|count| count.window == window)
            .map_or(0, |count| count.requests)
    }

    fn key(&self, client: ClientAddress, api: &ApiDefinition) -> u64 {
        let network = client.network(self.width);
        self.hasher.hash_one((api.id().as_str(), network))
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        let number = usize::try_from(key % 64).unwrap_or(0);
        let shard = self.shards.get(number)?;
        // A panic under the lock leaves whole counts.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RequestCounts for SpikeCounts<'_> {
    fn requests(&self, report: &RequestReport<'_>, api: &ApiDefinition, limit: SpikeLimit) -> u32 {
        let key = self.spikes.key(report.client, api);
        self.spikes.requests(key, limit.window_of(self.at.0))
    }
}

impl Shard {
    /// Forgets the older generation and says how many of its counts still meant something.
    fn age(&mut self, at: UnixMillis) -> u64 {
        let forgotten = std::mem::replace(&mut self.older, std::mem::take(&mut self.younger));
        let live = forgotten.values().filter(|count| count.until >= at);
        u64::try_from(live.count()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ase_core::api_id::ApiId;

    fn api(id: &str) -> ApiDefinition {
        let document = br#"{"api_metadata": {"url": "/a", "hostname": "*", "flow_control": {"client_spike_threshold": "5/second"}}}"#;
        ApiDefinition::from_json(ApiId::parse(id).unwrap(), document)
            .unwrap()
            .0
    }

    fn client(number: u32) -> ClientAddress {
        std::net::IpAddr::from(number.to_be_bytes()).into()
    }

    fn seen(spikes: &Spikes, client: ClientAddress, api: &ApiDefinition, at: u64) -> u32 {
        let limit = api.rules().spike().unwrap();
        spikes.requests(spikes.key(client, api), limit.window_of(at))
    }

    #[test]
    fn counts_are_per_client_api_and_window() {
        let (spikes, one, two) = (
            Spikes::new(1000, Ipv6Width::default()),
            api("one"),
            api("two"),
        );
        let limit = one.rules().spike().unwrap();
        for at in [1000, 1500, 1999, 2000] {
            spikes.count((client(1), &one), limit, UnixMillis(at));
        }
        spikes.count((client(1), &one), limit, UnixMillis(1999));
        assert_eq!(
            seen(&spikes, client(1), &one, 2999),
            1,
            "a late request counts nowhere"
        );
        assert_eq!(seen(&spikes, client(1), &one, 1999), 0);
        assert_eq!(seen(&spikes, client(1), &two, 2000), 0);
        assert_eq!(seen(&spikes, client(2), &one, 2000), 0);
        for _ in 0..3 {
            spikes.count((client(1), &one), limit, UnixMillis(2001));
        }
        assert_eq!(seen(&spikes, client(1), &one, 2000), 4);
    }

    #[test]
    fn addresses_of_one_ipv6_client_share_a_count() {
        let (spikes, api) = (Spikes::new(1000, Ipv6Width::default()), api("one"));
        let limit = api.rules().spike().unwrap();
        let of = |text| ClientAddress::parse(text).unwrap();
        spikes.count((of("2001:db8::1"), &api), limit, UnixMillis(0));
        assert_eq!(seen(&spikes, of("2001:db8::2"), &api, 0), 1);
        assert_eq!(seen(&spikes, of("2001:db8:0:1::1"), &api, 0), 0);
    }

    #[test]
    fn a_flood_of_clients_stays_bounded_and_does_not_wash_out_one_that_keeps_calling() {
        let (spikes, api) = (Spikes::new(6400, Ipv6Width::default()), api("one"));
        let limit = api.rules().spike().unwrap();
        let mut evicted = 0;
        for number in 0..100_000 {
            evicted += spikes.count((client(number + 10), &api), limit, UnixMillis(5));
            if number % 500 == 0 {
                spikes.count((client(1), &api), limit, UnixMillis(5));
            }
        }
        let held: usize = spikes
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.younger.len() + shard.older.len()
            })
            .sum();
        assert!(held <= 6400, "{held}");
        assert_eq!(seen(&spikes, client(1), &api, 5), 200);
        assert!(evicted > 90_000, "{evicted}");
    }
}
