//! An engine that knows what a snapshot says. Every line is held against the limits; what is beyond them or no fact is left out.

use ase_core::address::Network;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;

use super::{VERSION, first_line};
use crate::baseline::Place;
use crate::catalogue::{Attack, Variable};
use crate::client::{Client, Standing};
use crate::detection::DetectionId;
use crate::detectors::Values;
use crate::engine::{Engine, Made, bit};
use crate::lessons::Undone;
use crate::settings::Settings;
use crate::signs::ApiIndex;

/// No engine has made more: there is room to count on.
const MOST_DETECTIONS: u64 = u64::MAX / 2;

/// How much of a snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Lines that were taken.
    pub taken: u64,
    /// Lines that were not: broken, beyond a limit, of another version or hashed under another seed.
    pub left_out: u64,
}

impl Engine {
    /// An engine that knows what `snapshot` says. `now` is the host's clock; the seed must be the one that the snapshot was made under.
    #[must_use]
    pub fn restore(
        settings: Settings,
        seed: u64,
        snapshot: &str,
        now: UnixMillis,
    ) -> (Self, Restored) {
        let mut engine = Self::new(settings, seed);
        let mut restored = Restored::default();
        engine.clock.advance(now, &mut engine.counters);
        let mut lines = snapshot.lines();
        let first = lines.next().unwrap_or_default();
        let same_seed = first_line(&engine).strip_suffix('\n') == Some(first);
        let same_version = first
            .strip_prefix(VERSION)
            .is_some_and(|rest| rest.starts_with(' '));
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let hashed = !matches!(
                words.as_slice(),
                ["offender" | "proven", ..] | ["lesson", "client", ..]
            );
            let readable = same_version && (same_seed || !hashed);
            let taken = readable && engine.take_fact(&words).is_some();
            if taken {
                restored.taken += 1;
            } else {
                restored.left_out += 1;
            }
        }
        (engine, restored)
    }

    /// Takes one line; `None` when it is none.
    fn take_fact(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["api", index, name] => {
                let index: u16 = index.parse().ok()?;
                let room = index > 0 && index < self.settings.limits.apis;
                let index = room.then_some(ApiIndex(index))?;
                let free = !self.apis.values().any(|other| *other == index);
                let id = ApiId::parse(name).ok()?;
                let new = free && !self.apis.contains_key(&id);
                new.then(|| {
                    self.apis.insert(id, index);
                })
            }
            ["route", route, clients] => {
                let clients = u32::from_str_radix(clients, 16).ok()?;
                self.routes.restore(hash(route)?, clients, self.clock.now())
            }
            ["login", route, flags] => self.logins.restore(hash(route)?, flags),
            ["objects", rest @ ..] => self.objects.restore(rest, self.clock.now()),
            ["reads", api, rest @ ..] => {
                let api = self.account(api)?;
                self.objects.restore_reads(api, rest)
            }
            ["offender", identifier, offence @ ..] => self.take_offender(identifier, offence),
            ["proven", identifier] => {
                let client = self.remember_client(identifier)?;
                client.standing = Standing::Proven;
                Some(())
            }
            ["made", rest @ ..] => self.take_made(rest),
            ["followed", place, template] => {
                let place = self.place_of_baseline(place)?;
                self.baselines.restore_route(place, template)
            }
            ["training", place, rest @ ..] => {
                let place = self.place_of_baseline(place)?;
                self.baselines.restore_training(place, rest, &self.clock)
            }
            ["usual", place, rest @ ..] => {
                let place = self.place_of_baseline(place)?;
                self.baselines.restore_usual(place, rest)
            }
            ["sequence", rest @ ..] => self.baselines.restore_sequence(rest),
            ["lesson", rest @ ..] if self.lessons.has_room() => self.take_lesson(rest),
            _ => None,
        }
    }

    /// The number of an API's account, within the limit.
    fn account(&self, word: &str) -> Option<ApiIndex> {
        let index: u16 = word.parse().ok()?;
        (index <= self.settings.limits.apis).then_some(ApiIndex(index))
    }

    /// An API's account or a route of it.
    fn place_of_baseline(&self, word: &str) -> Option<Place> {
        let place = Place::parse(word)?;
        (place.api.0 <= self.settings.limits.apis).then_some(place)
    }

    fn remember_client(&mut self, identifier: &str) -> Option<&mut Client> {
        let identifier = read(identifier)?;
        let at = self.clock.now();
        let (slot, _) = self.clients.touch(identifier, at, &mut self.counters);
        self.clients.get_mut(slot)
    }

    fn take_offender(&mut self, identifier: &str, offence: &[&str]) -> Option<()> {
        let [offences, listed, reported, attacks] = offence else {
            return None;
        };
        let offences = offences.parse().ok()?;
        let ends = self.settings.ttl.of(&read(identifier)?, u8::MAX);
        let latest = self.clock.now().after_millis(ends.as_millis());
        let clock = self.clock.clone();
        let until = |word: &str| {
            let time = word.parse().ok()?;
            Some(clock.moment_of(UnixMillis(time)).min(latest))
        };
        let (listed, reported) = (until(listed)?, until(reported)?);
        let names = attacks.split(',').filter(|name| *name != "-");
        let attacks = names
            .map(|name| Attack::parse(name).map(bit))
            .try_fold(0, |mask, one| Some(mask | one?))?;
        let client = self.remember_client(identifier)?;
        client.offences = offences;
        client.listed_until = listed;
        client.reported_until = reported;
        client.attacks = attacks;
        Some(())
    }

    /// Detections come in the order of their numbers.
    fn take_made(&mut self, words: &[&str]) -> Option<()> {
        let [id, identifier, attack, api, route, values] = words else {
            return None;
        };
        let id: u64 = id.parse().ok()?;
        let made = Made {
            id: DetectionId(id),
            undone: Undone {
                identifier: read(identifier)?,
                attack: Attack::parse(attack)?,
            },
            api: self.account(api)?,
            route: hash(route)?,
            values: Values::parse(values)?,
        };
        if id < self.next_detection || id > MOST_DETECTIONS {
            return None;
        }
        self.next_detection = id + 1;
        self.remember(made);
        Some(())
    }

    fn take_lesson(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["client", identifier, attack] => {
                let lesson = (read(identifier)?, Attack::parse(attack)?);
                self.lessons.clients.insert(lesson).then_some(())
            }
            ["route", route, attack] => {
                let lesson = (hash(route)?, Attack::parse(attack)?);
                self.lessons.routes.insert(lesson).then_some(())
            }
            ["threshold", api, attack, variable, value] => {
                let variable = Variable::parse(variable)?;
                let value: f32 = value.parse().ok()?;
                let value = (0.0..f32::INFINITY).contains(&value).then_some(value)?;
                let key = (self.account(api)?, Attack::parse(attack)?, variable);
                self.lessons.raised.insert(key, value);
                Some(())
            }
            _ => None,
        }
    }
}

fn hash(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn read(word: &str) -> Option<ListedIdentifier> {
    let Some((kind, id)) = word.split_once('=') else {
        return Network::parse(word).ok().map(ListedIdentifier::Network);
    };
    Some(ListedIdentifier::Credential {
        kind: CredentialKind::parse(kind).ok()?,
        id: CredentialId::parse(id).ok()?,
    })
}
