//! The baselines of all APIs, and of the routes that are used most.
//!
//! Routes find their place in a set of [`WAYS`]. A newcomer to a full set presses on the route with the least traffic until that
//! has no more left than what pressed on it: many routes that come and go displace each other, and not those that are used.

use std::num::NonZeroU64;

use crate::clock::Moment;
use crate::counters::Counters;
use crate::signs::ApiIndex;

use super::training::{Baseline, Of};

const WAYS: usize = 8;
/// Routes that have a baseline, over all APIs.
pub(super) const ROUTES: usize = 1024;
/// What presses on a route so often displaces it, however much traffic it once had.
const MOST_HELD: u16 = 4096;

/// All baselines.
#[derive(Debug)]
pub(super) struct Table {
    /// By [`ApiIndex`].
    apis: Vec<Option<Box<Baseline>>>,
    routes: Vec<[Option<Box<Route>>; WAYS]>,
}

/// A route with a baseline.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) route: NonZeroU64,
    pub(super) api: ApiIndex,
    /// For people: `/orders/{id}`.
    pub(super) template: Box<str>,
    pub(super) baseline: Baseline,
    /// Calls lately, at most [`MOST_HELD`], less what has pressed on it.
    held: u16,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            apis: Vec::new(),
            routes: vec![Default::default(); ROUTES / WAYS],
        }
    }

    /// The baseline of an API, begun at `at` when there is none.
    pub(super) fn of_api(&mut self, api: ApiIndex, at: Moment) -> Option<&mut Baseline> {
        let place = usize::from(api.0);
        if self.apis.len() <= place {
            self.apis.resize(place + 1, None);
        }
        let slot = self.apis.get_mut(place)?;
        Some(slot.get_or_insert_with(|| Box::new(Baseline::new(Of::Api, at))))
    }

    /// The baseline of a route that is called at `at`; begun when there is none and room can be had.
    pub(super) fn of_called(
        &mut self,
        (api, route): (ApiIndex, NonZeroU64),
        at: Moment,
        template: impl FnOnce() -> Box<str>,
        counters: &mut Counters,
    ) -> Option<&mut Baseline> {
        let set = self.set(route)?;
        let own = |held: &Option<Box<Route>>| held.as_ref().is_some_and(|it| it.route == route);
        if let Some(place) = set.iter().position(own) {
            let known = set.get_mut(place)?.as_mut()?;
            known.held = (known.held + 1).min(MOST_HELD);
            return Some(&mut known.baseline);
        }
        let least = set
            .iter_mut()
            .min_by_key(|held| held.as_ref().map_or(0, |known| known.held))?;
        if let Some(known) = least {
            known.held = known.held.saturating_sub(1);
            if known.held > 0 {
                return None;
            }
            counters.route_baselines_displaced += 1;
        }
        let begun = least.insert(Box::new(Route {
            route,
            api,
            template: template(),
            baseline: Baseline::new(Of::Route, at),
            held: 1,
        }));
        Some(&mut begun.baseline)
    }

    /// The baseline of an API or, where a route is named, of that route.
    pub(super) fn get_mut(
        &mut self,
        api: ApiIndex,
        route: Option<NonZeroU64>,
    ) -> Option<&mut Baseline> {
        match route {
            None => self.apis.get_mut(usize::from(api.0))?.as_deref_mut(),
            Some(route) => {
                let mut known = self.set(route)?.iter_mut().flatten();
                known
                    .find(|known| known.route == route)
                    .map(|known| &mut known.baseline)
            }
        }
    }

    pub(super) fn api(&self, api: ApiIndex) -> Option<&Baseline> {
        self.apis.get(usize::from(api.0))?.as_deref()
    }

    pub(super) fn apis(&self) -> impl Iterator<Item = (ApiIndex, &Baseline)> {
        let numbered = (0_u16..).map(ApiIndex).zip(&self.apis);
        numbered.filter_map(|(api, baseline)| Some((api, baseline.as_deref()?)))
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flatten().flatten().map(AsRef::as_ref)
    }

    /// Takes a baseline back; `None` when there is one already, or no such route.
    pub(super) fn restore(
        &mut self,
        api: ApiIndex,
        route: Option<NonZeroU64>,
        baseline: Baseline,
    ) -> Option<()> {
        let Some(route) = route else {
            let new = self.api(api).is_none();
            return new
                .then(|| self.of_api(api, baseline.last))
                .flatten()
                .map(|begun| *begun = baseline);
        };
        let mut known = self.set(route)?.iter_mut().flatten();
        let known = known.find(|known| known.route == route && known.api == api)?;
        let new = known.held == 0;
        new.then(|| {
            // About as many calls as it has taught windows, at least.
            known.held = (baseline.windows.min(u32::from(MOST_HELD)) as u16).max(1);
            known.baseline = baseline;
        })
    }

    /// Takes a route back, whose baseline comes next; `None` when it is known already, or there is no room.
    pub(super) fn restore_route(
        &mut self,
        (api, route): (ApiIndex, NonZeroU64),
        template: &str,
    ) -> Option<()> {
        let set = self.set(route)?;
        if set.iter().flatten().any(|known| known.route == route) {
            return None;
        }
        let free = set.iter_mut().find(|held| held.is_none())?;
        *free = Some(Box::new(Route {
            route,
            api,
            template: template.into(),
            baseline: Baseline::new(Of::Route, Moment::default()),
            held: 0,
        }));
        Some(())
    }

    fn set(&mut self, route: NonZeroU64) -> Option<&mut [Option<Box<Route>>; WAYS]> {
        let set = ((route.get() >> 32) as usize).checked_rem(self.routes.len())?;
        self.routes.get_mut(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route of the first set.
    fn route(number: u32) -> (ApiIndex, NonZeroU64) {
        let hash = u64::from(number) + 1;
        (ApiIndex(1), NonZeroU64::new(hash).unwrap())
    }

    fn call(table: &mut Table, number: u32, counters: &mut Counters) -> bool {
        let template = || format!("/{number}").into();
        let found = table.of_called(route(number), Moment(1), template, counters);
        found.is_some()
    }

    #[test]
    fn routes_that_come_and_go_displace_each_other_and_not_those_that_are_used() {
        let (mut table, mut counters) = (Table::new(), Counters::default());
        for _ in 0..50 {
            assert!((0..7).all(|number| call(&mut table, number, &mut counters)));
        }
        for stranger in 100..10_000 {
            call(&mut table, stranger, &mut counters);
        }
        let templates: Vec<&str> = table.routes().map(|known| &*known.template).collect();
        let used = (0..7).filter(|number| templates.contains(&format!("/{number}").as_str()));
        assert_eq!((used.count(), templates.len()), (7, WAYS));
        assert!(counters.route_baselines_displaced > 1_000);
    }

    #[test]
    fn a_route_that_is_used_from_now_on_finds_room_in_a_full_set() {
        let (mut table, mut counters) = (Table::new(), Counters::default());
        for _ in 0..10_000 {
            assert!((0..8).all(|number| call(&mut table, number, &mut counters)));
        }
        let tries = (1..).find(|_| call(&mut table, 99, &mut counters));
        assert_eq!(tries, Some(i32::from(MOST_HELD)));
    }
}
