//! A credential in the hands of two: used from several networks by several programs, back and forth, within an hour.
//!
//! Somebody who moves from one network to another keeps the program and does not move back every minute.

use ase_core::credential::CredentialKind;
use ase_core::identifier_list::ListedIdentifier;

use crate::catalogue::{Attack, Variable};
use crate::client::{Client, Fading};
use crate::clock::Moment;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, Signs};

const PLACES: usize = 4;
const WINDOW_SECONDS: f32 = 60.0 * 60.0;

/// Where a credential has been used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    ring: [Place; PLACES],
    /// Which place was used last.
    present: u8,
    /// Changes between places that differ in network and program.
    swaps: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    network: u16,
    agent: u16,
    last: Moment,
}

/// How many networks a credential is used from within an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spread {
    One,
    Few,
    /// More than a person has: it is shared by many clients.
    Many,
}

/// Notes where a credential was used and accepted.
pub(crate) fn learn(client: &mut Client, signs: &Signs) {
    if signs.answer == Answer::Success {
        client.places.visit(signs);
    }
}

pub(crate) fn judge(
    client: &Client,
    context: Context,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    use Variable::{A, B};
    if !context.credential || is_of_a_fleet(client) {
        return None;
    }
    let places = client.places.distinct_pairs(client.last);
    let measure = Measure::of(
        Attack::StolenCredential,
        &[places, client.places.swaps],
        thresholds,
    );
    let is_attack = measure.normal(A) && measure.normal(B);
    measure.suspicion_if(is_attack)
}

/// Programs on many machines share a key by right; nobody shares a session.
fn is_of_a_fleet(client: &Client) -> bool {
    let is_key = matches!(
        client.identifier,
        ListedIdentifier::Credential {
            kind: CredentialKind::ApiKey,
            ..
        }
    );
    is_key && client.places.spread(client.last) == Spread::Many
}

impl Places {
    /// Names, meanings and values for people, as of `at`.
    pub(crate) fn facts(&self, at: Moment) -> [(&'static str, &'static str, f32); 2] {
        [
            (
                "places",
                "networks and programs that it is used from within an hour, four at most",
                self.recent(at).count() as f32,
            ),
            (
                "swaps",
                "changes between two of them that have nothing in common (half-life 1 h)",
                self.swaps,
            ),
        ]
    }

    pub(crate) fn fade(&mut self, fading: Fading) {
        self.swaps *= fading.hour;
    }

    /// How many networks there have been within the hour before `at`.
    pub(crate) fn spread(&self, at: Moment) -> Spread {
        let mut networks = [None; PLACES];
        let mut count = 0_usize;
        for place in self.recent(at) {
            if !networks.contains(&Some(place.network)) {
                if let Some(free) = networks.get_mut(count) {
                    *free = Some(place.network);
                }
                count += 1;
            }
        }
        match count {
            0 | 1 => Spread::One,
            2 | 3 => Spread::Few,
            _ => Spread::Many,
        }
    }

    fn visit(&mut self, signs: &Signs) {
        let here = |place: &Place| {
            place.last != Moment::default()
                && place.network == signs.network
                && place.agent == signs.agent
        };
        let place = self
            .ring
            .iter()
            .position(here)
            .unwrap_or_else(|| self.oldest());
        let before = self
            .ring
            .get(usize::from(self.present))
            .copied()
            .unwrap_or_default();
        let differs = before.last != Moment::default()
            && before.network != signs.network
            && before.agent != signs.agent;
        if differs && signs.at.seconds_since(before.last) < WINDOW_SECONDS {
            self.swaps += 1.0;
        }
        if let Some(to) = self.ring.get_mut(place) {
            *to = Place {
                network: signs.network,
                agent: signs.agent,
                last: signs.at,
            };
        }
        self.present = u8::try_from(place).unwrap_or_default();
    }

    fn oldest(&self) -> usize {
        let places = self.ring.iter().enumerate();
        places
            .min_by_key(|(_, place)| place.last)
            .map_or(0, |(at, _)| at)
    }

    /// The most places of which each has a network and a program of its own.
    fn distinct_pairs(&self, at: Moment) -> f32 {
        let mut taken: [Option<Place>; PLACES] = [None; PLACES];
        let mut count = 0_usize;
        for place in self.recent(at) {
            let apart = taken
                .iter()
                .flatten()
                .all(|other| other.network != place.network && other.agent != place.agent);
            if apart && let Some(free) = taken.get_mut(count) {
                *free = Some(*place);
                count += 1;
            }
        }
        count as f32
    }

    fn recent(&self, at: Moment) -> impl Iterator<Item = &Place> {
        self.ring.iter().filter(move |place| {
            place.last != Moment::default() && at.seconds_since(place.last) < WINDOW_SECONDS
        })
    }
}
