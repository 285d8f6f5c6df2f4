//! What the engine has learned as text that a person can read, so that a restart forgets none of it: one fact a line.
//!
//! ```text
//! ase-engine 1 <fingerprint of the seed>
//! api <index> <name>
//! route <hash> <clients>                      a route that answers well
//! login <hash> <refuses><answers><redirects>  what a login route's answers mean
//! objects <hash> <strangers> <sharers> <reads without credentials> <with>
//! offender <identifier> <offences> <listed until, Unix milliseconds>
//! lesson client <identifier> <attack>
//! lesson route <hash> <attack>
//! lesson threshold <api index> <attack> <variable> <value>
//! ```
//!
//! Hashes are in hexadecimal and mean something under the same seed only. A line that is none is left out and counted; a
//! text from anywhere can do no worse than teach nonsense within the limits.

use ase_core::address::Network;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;

use super::Engine;
use crate::catalogue::{Attack, Variable};
use crate::settings::Settings;
use crate::signs::ApiIndex;

const VERSION: &str = "ase-engine 1";

/// How much of a snapshot was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Lines that were taken.
    pub taken: u64,
    /// Lines that were not: broken, beyond a limit, or hashed under another seed.
    pub left_out: u64,
}

impl Engine {
    /// What has been learned; see the module's text for its form.
    #[must_use]
    pub fn snapshot(&self) -> String {
        let mut text = format!("{VERSION} {:016x}\n", self.fingerprint());
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            text.push_str(&arguments.to_string());
            text.push('\n');
        };
        for (api, index) in &self.apis {
            line(format_args!("api {} {api}", index.0));
        }
        for (route, clients) in self.routes.facts() {
            line(format_args!("route {route:x} {clients:x}"));
        }
        for (route, flags) in self.logins.facts() {
            line(format_args!("login {route:x} {flags}"));
        }
        for fact in self.objects.facts() {
            line(format_args!("objects {fact}"));
        }
        for client in self.clients.iter().filter(|client| client.offences > 0) {
            let until = self.clock.unix(client.listed_until).0;
            let identifier = written(&client.identifier);
            line(format_args!(
                "offender {identifier} {} {until}",
                client.offences
            ));
        }
        for (identifier, attack) in &self.lessons.clients {
            line(format_args!(
                "lesson client {} {attack}",
                written(identifier)
            ));
        }
        for (route, attack) in &self.lessons.routes {
            line(format_args!("lesson route {route:x} {attack}"));
        }
        for ((api, attack, variable), value) in &self.lessons.raised {
            line(format_args!(
                "lesson threshold {} {attack} {} {value}",
                api.0,
                variable.as_str()
            ));
        }
        text
    }

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
        let first = format!("{VERSION} {:016x}", engine.fingerprint());
        let same_seed = lines.next() == Some(first.as_str());
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let hashed = !matches!(
                words.as_slice(),
                ["offender", ..] | ["lesson", "client", ..]
            );
            let taken = (same_seed || !hashed) && engine.take_fact(&words).is_some();
            if taken {
                restored.taken += 1;
            } else {
                restored.left_out += 1;
            }
        }
        (engine, restored)
    }

    /// Tells seeds apart without giving them away.
    fn fingerprint(&self) -> u64 {
        self.reader.hasher.bytes(b"fingerprint of the seed")
    }

    /// Takes one line; `None` when it is none.
    fn take_fact(&mut self, words: &[&str]) -> Option<()> {
        let at = self.clock.now();
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
                self.routes.restore(hash(route)?, clients, at)
            }
            ["login", route, flags] => self.logins.restore(hash(route)?, flags),
            ["objects", rest @ ..] => self.objects.restore(rest),
            ["offender", identifier, offences, until] => {
                let (offences, until) = (offences.parse().ok()?, until.parse().ok()?);
                let (slot, _) = self
                    .clients
                    .touch(read(identifier)?, at, &mut self.counters);
                let client = self.clients.get_mut(slot)?;
                client.offences = offences;
                client.listed_until = self.clock.moment_of(UnixMillis(until));
                client.reported_until = client.listed_until;
                Some(())
            }
            ["lesson", rest @ ..] if self.lessons.has_room() => self.take_lesson(rest),
            _ => None,
        }
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
                let variable = Variable::ALL
                    .into_iter()
                    .find(|known| known.as_str() == *variable)?;
                let value: f32 = value.parse().ok().filter(|value: &f32| value.is_finite())?;
                let key = (
                    ApiIndex(api.parse().ok()?),
                    Attack::parse(attack)?,
                    variable,
                );
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

/// An identifier in one word.
fn written(identifier: &ListedIdentifier) -> String {
    match identifier {
        ListedIdentifier::Network(network) => network.to_string(),
        ListedIdentifier::Credential { kind, id } => format!("{kind}={id}"),
    }
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
