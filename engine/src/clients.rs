//! The table of clients: bounded, in chunks that never move, with the least used forgotten first.
//!
//! Two queues: newcomers, and those that have been seen often or are suspected. When the table is full a newcomer goes, as
//! long as newcomers hold an eighth of it, so that a flood of made-up identifiers displaces itself and not what is known.

use ase_core::identifier_list::ListedIdentifier;
use hashbrown::HashTable;

use crate::client::Client;
use crate::clock::Moment;
use crate::counters::Counters;
use crate::hash::Hasher;

const CHUNK: usize = 1024;
/// Fewer clients than these and one transaction could evict its own.
const LEAST_CAPACITY: u32 = 64;
/// From so many requests on a client is no newcomer.
const KNOWN_REQUESTS: u32 = 8;

/// Names a record until it is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u32);

#[derive(Debug)]
pub(crate) struct Clients {
    hasher: Hasher,
    capacity: u32,
    index: HashTable<u32>,
    chunks: Vec<Vec<Node>>,
    length: u32,
    newcomers: Queue,
    known: Queue,
}

#[derive(Debug)]
struct Node {
    client: Client,
    newer: u32,
    older: u32,
    queue: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Newcomers,
    Known,
}

/// A list through the nodes; [`NONE`] ends it.
#[derive(Debug)]
struct Queue {
    newest: u32,
    oldest: u32,
    length: u32,
}

const NONE: u32 = u32::MAX;

impl Clients {
    pub(crate) fn new(capacity: u32, hasher: Hasher) -> Self {
        Self {
            hasher,
            capacity: capacity.clamp(LEAST_CAPACITY, NONE - 1),
            index: HashTable::new(),
            chunks: Vec::new(),
            length: 0,
            newcomers: Queue::new(),
            known: Queue::new(),
        }
    }

    /// How many are watched.
    pub(crate) fn len(&self) -> u32 {
        self.length
    }

    pub(crate) fn find(&self, identifier: &ListedIdentifier) -> Option<Slot> {
        let hash = self.hasher.identifier(identifier);
        let same = |slot: &u32| {
            self.node(*slot)
                .is_some_and(|node| node.client.identifier == *identifier)
        };
        self.index.find(hash, same).copied().map(Slot)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Client> {
        self.node(slot.0).map(|node| &node.client)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Client> {
        self.node_mut(slot.0).map(|node| &mut node.client)
    }

    /// Every record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.chunks.iter().flatten().map(|node| &node.client)
    }

    /// Every record, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.chunks
            .iter_mut()
            .flatten()
            .map(|node| &mut node.client)
    }

    /// The record of an identifier, made when there is none, with everything faded up to `at`. Also says who was forgotten for it.
    pub(crate) fn touch(
        &mut self,
        identifier: ListedIdentifier,
        at: Moment,
        counters: &mut Counters,
    ) -> (Slot, Option<Slot>) {
        if let Some(slot) = self.find(&identifier) {
            self.renew(slot.0, at);
            return (slot, None);
        }
        let client = Client::new(identifier, at);
        let (slot, evicted) = if self.length < self.capacity {
            (self.append(client), None)
        } else {
            let slot = self.evict(counters);
            if let Some(node) = self.node_mut(slot) {
                node.client = client;
            }
            (slot, Some(Slot(slot)))
        };
        let hash = self.hasher.identifier(&identifier);
        let Self {
            index,
            chunks,
            hasher,
            ..
        } = self;
        index.insert_unique(hash, slot, |slot| {
            node(chunks, *slot).map_or(0, |node| hasher.identifier(&node.client.identifier))
        });
        self.link(slot, Which::Newcomers);
        (Slot(slot), evicted)
    }

    /// Forgets an identifier's past but not that it exists.
    pub(crate) fn reset(&mut self, slot: Slot, at: Moment) {
        if let Some(client) = self.get_mut(slot) {
            *client = Client::new(client.identifier, at);
        }
    }

    /// A newcomer who has become a suspect is one no longer.
    pub(crate) fn promote(&mut self, slot: Slot) {
        let node = self.node(slot.0);
        if node.is_some_and(|node| node.queue == Which::Newcomers && node.client.is_suspect()) {
            self.unlink(slot.0);
            self.link(slot.0, Which::Known);
        }
    }

    fn renew(&mut self, slot: u32, at: Moment) {
        let Some(node) = self.node_mut(slot) else {
            return;
        };
        node.client.age(at);
        let known = node.client.requests >= KNOWN_REQUESTS || node.client.is_suspect();
        self.unlink(slot);
        self.link(
            slot,
            if known {
                Which::Known
            } else {
                Which::Newcomers
            },
        );
    }

    fn append(&mut self, client: Client) -> u32 {
        let node = Node {
            client,
            newer: NONE,
            older: NONE,
            queue: Which::Newcomers,
        };
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(node),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(node);
                self.chunks.push(chunk);
            }
        }
        self.length += 1;
        self.length - 1
    }

    /// Takes the least used out of queue and index; its slot is free then.
    fn evict(&mut self, counters: &mut Counters) -> u32 {
        let newcomer = self.newcomers.length > self.capacity / 8 || self.known.length == 0;
        let slot = if newcomer {
            self.newcomers.oldest
        } else {
            self.known.oldest
        };
        self.unlink(slot);
        counters.clients_evicted += 1;
        let Some(client) = self.get(Slot(slot)) else {
            return slot;
        };
        if client.is_suspect() {
            counters.suspects_evicted += 1;
        }
        let hash = self.hasher.identifier(&client.identifier);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        slot
    }

    fn unlink(&mut self, slot: u32) {
        let Some(node) = self.node(slot) else {
            return;
        };
        let (newer, older, which) = (node.newer, node.older, node.queue);
        match self.node_mut(newer) {
            Some(node) => node.older = older,
            None => self.queue(which).newest = older,
        }
        match self.node_mut(older) {
            Some(node) => node.newer = newer,
            None => self.queue(which).oldest = newer,
        }
        let queue = self.queue(which);
        queue.length = queue.length.saturating_sub(1);
    }

    fn link(&mut self, slot: u32, which: Which) {
        let queue = self.queue(which);
        let before = queue.newest;
        queue.newest = slot;
        queue.length += 1;
        if before == NONE {
            queue.oldest = slot;
        }
        if let Some(node) = self.node_mut(slot) {
            node.newer = NONE;
            node.older = before;
            node.queue = which;
        }
        if let Some(node) = self.node_mut(before) {
            node.newer = slot;
        }
    }

    fn queue(&mut self, which: Which) -> &mut Queue {
        match which {
            Which::Newcomers => &mut self.newcomers,
            Which::Known => &mut self.known,
        }
    }

    fn node(&self, slot: u32) -> Option<&Node> {
        node(&self.chunks, slot)
    }

    fn node_mut(&mut self, slot: u32) -> Option<&mut Node> {
        let place = slot as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }
}

fn node(chunks: &[Vec<Node>], slot: u32) -> Option<&Node> {
    let place = slot as usize;
    chunks.get(place / CHUNK)?.get(place % CHUNK)
}

impl Queue {
    fn new() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            length: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use ase_core::address::{ClientAddress, Network};

    use super::*;

    fn client(number: u32) -> ListedIdentifier {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(number));
        ListedIdentifier::Network(Network::of(ClientAddress::from(ip)))
    }

    fn table() -> (Clients, Counters) {
        (Clients::new(64, Hasher::new(1)), Counters::default())
    }

    #[test]
    fn a_flood_of_newcomers_displaces_newcomers_and_not_those_who_are_known() {
        let (mut clients, mut counters) = table();
        for number in 0..40 {
            for _ in 0..=KNOWN_REQUESTS {
                let (slot, _) = clients.touch(client(number), Moment(1), &mut counters);
                clients.get_mut(slot).unwrap().requests += 1;
            }
        }
        for number in 1_000..100_000 {
            clients.touch(client(number), Moment(2), &mut counters);
        }
        assert_eq!(clients.len(), 64);
        assert!((0..40).all(|number| clients.find(&client(number)).is_some()));
        assert_eq!(counters.clients_evicted, 99_000 - 24);
        assert_eq!(counters.suspects_evicted, 0);
    }

    #[test]
    fn the_least_recently_used_of_the_known_goes_when_there_are_only_known_ones() {
        let (mut clients, mut counters) = table();
        for round in 0..=KNOWN_REQUESTS {
            for number in 0..64 {
                let (slot, _) = clients.touch(client(number), Moment(round), &mut counters);
                clients.get_mut(slot).unwrap().requests += 1;
            }
        }
        clients.touch(client(0), Moment(20), &mut counters);
        clients.touch(client(100), Moment(21), &mut counters);
        assert!(clients.find(&client(0)).is_some());
        assert!(clients.find(&client(1)).is_none());
        assert!(clients.find(&client(100)).is_some());
    }
}
