//! Routes that have answered well, and to whom: a failure there is an ordinary mistake, and a page for operators is no secret there.
//!
//! Only good answers make an entry, so that no scanner can fill the table; bounded all the same.

use hashbrown::HashTable;

use crate::clock::Moment;
use crate::counters::Counters;

/// Entries of a single client older than this make room for others.
const STALE_SECONDS: f32 = 60.0 * 60.0;
/// A clean-up is tried at most so often.
const CLEANUP_SECONDS: f32 = 60.0;

#[derive(Debug)]
pub(crate) struct KnownRoutes {
    capacity: usize,
    routes: HashTable<Known>,
    cleaned: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    route: u64,
    /// A bit per client, by its hash: enough to tell one from several.
    clients: u32,
    last: Moment,
}

impl KnownRoutes {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity as usize,
            routes: HashTable::new(),
            cleaned: Moment::default(),
        }
    }

    /// Whether the route has answered well to another client than `client`.
    pub(crate) fn is_known_to_others(&self, route: u64, client: u64) -> bool {
        let found = self.routes.find(route, |known| known.route == route);
        found.is_some_and(|known| known.clients & !bit(client) != 0)
    }

    /// Whether the route has answered well to two clients at least.
    pub(crate) fn is_common(&self, route: u64) -> bool {
        let found = self.routes.find(route, |known| known.route == route);
        found.is_some_and(|known| known.clients.count_ones() >= 2)
    }

    /// A route has answered well.
    pub(crate) fn learn(&mut self, route: u64, client: u64, at: Moment, counters: &mut Counters) {
        if let Some(known) = self.routes.find_mut(route, |known| known.route == route) {
            known.clients |= bit(client);
            known.last = known.last.max(at);
            return;
        }
        if self.routes.len() >= self.capacity {
            self.clean_up(at);
        }
        if self.routes.len() >= self.capacity {
            counters.routes_refused += 1;
            return;
        }
        let known = Known {
            route,
            clients: bit(client),
            last: at,
        };
        self.routes.insert_unique(route, known, |known| known.route);
    }

    /// Every route with the bits of its clients.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.routes.iter().map(|known| (known.route, known.clients))
    }

    /// Takes a fact back; `None` when there is no room.
    pub(crate) fn restore(&mut self, route: u64, clients: u32, at: Moment) -> Option<()> {
        if self.routes.len() >= self.capacity
            || self
                .routes
                .find(route, |known| known.route == route)
                .is_some()
        {
            return None;
        }
        let known = Known {
            route,
            clients,
            last: at,
        };
        self.routes.insert_unique(route, known, |known| known.route);
        Some(())
    }

    fn clean_up(&mut self, at: Moment) {
        if at.seconds_since(self.cleaned) < CLEANUP_SECONDS {
            return;
        }
        self.cleaned = at;
        self.routes.retain(|known| {
            known.clients.count_ones() > 1 || at.seconds_since(known.last) < STALE_SECONDS
        });
    }
}

fn bit(client: u64) -> u32 {
    1 << (client >> 59)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1 << 59;
    const OTHER: u64 = 2 << 59;

    #[test]
    fn a_route_is_known_by_the_answers_that_others_had() {
        let (mut routes, mut counters) = (KnownRoutes::new(10), Counters::default());
        routes.learn(7, ONE, Moment(1), &mut counters);
        assert!(!routes.is_known_to_others(7, ONE));
        assert!(routes.is_known_to_others(7, OTHER));
        assert!(!routes.is_common(7));
        routes.learn(7, OTHER, Moment(2), &mut counters);
        assert!(routes.is_known_to_others(7, ONE));
        assert!(routes.is_common(7));
    }

    #[test]
    fn a_full_table_refuses_with_a_count_until_old_routes_of_single_clients_can_go() {
        let (mut routes, mut counters) = (KnownRoutes::new(2), Counters::default());
        let later = Moment(72_000);
        routes.learn(1, ONE, Moment(1), &mut counters);
        routes.learn(2, ONE, later, &mut counters);
        routes.learn(3, ONE, later, &mut counters);
        assert_eq!(counters.routes_refused, 0);
        routes.learn(4, ONE, later, &mut counters);
        assert_eq!(counters.routes_refused, 1);
        assert!(!routes.is_known_to_others(1, OTHER));
        assert!(routes.is_known_to_others(3, OTHER));
    }
}
