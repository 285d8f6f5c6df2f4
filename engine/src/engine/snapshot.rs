//! What the engine has learned as text that a person can read, so that a restart forgets none of it: one fact a line.
//!
//! ```text
//! ase-engine 2 <fingerprint of the seed>
//! api <index> <name>
//! login <hash> <refuses><answers><redirects>  what a login route's answers mean
//! objects <hash> <strangers> <shared: 0, 1> <reads without credentials> <with>
//! reads <api index> <reads without credentials> <with>
//! lesson client <identifier> <attack>
//! lesson route <hash> <attack>
//! lesson threshold <api index> <attack> <variable> <value>
//! route <hash> <clients>                      a route that answers well
//! offender <identifier> <offences> <listed until> <reported until> <attacks>
//! proven <identifier>                         a credential that stands for one client
//! made <id> <identifier> <attack> <api index> <route hash> <values>   a detection that can be taken back
//! followed <api index>/<route hash> <path>    a route that has a baseline of its own
//! training <api index or api index/route hash> <seconds> <windows> <sessions> <clients> <last> <refreshed> <active> <above>
//! usual <api index or api index/route hash> <quantity> <threshold> <bucket:count,...>
//! sequence <hash> <count> <different calls after it> <clients>
//! ```
//!
//! Hashes are in hexadecimal and mean something under the same seed only; times are Unix milliseconds. A line that is none is
//! left out and counted; a text from anywhere can do no worse than teach nonsense within the limits. What is not in it is worth
//! minutes: what clients have done lately, windows that are not over, samples.

use std::collections::VecDeque;
use std::fmt::Write as _;

use ase_core::identifier_list::ListedIdentifier;
use ase_core::time::UnixMillis;

use super::{Engine, Made, bit};
use crate::baseline::Memory;
use crate::catalogue::Attack;
use crate::client::Standing;
use crate::lessons::Undone;

mod read;

pub use read::Restored;

const VERSION: &str = "ase-engine 2";
/// Offenders and proven credentials that are written down, the last seen ones.
const REMEMBERED: usize = 1 << 17;

/// What an engine has learned, copied out of it: cheap to take, so that the text can be made on another thread.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Everything of which there is little, in lines.
    head: String,
    routes: Vec<(u64, u32)>,
    clients: Vec<Remembered>,
    made: VecDeque<Made>,
    baselines: Memory,
}

/// What is worth knowing of a client for longer than minutes.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    identifier: ListedIdentifier,
    last: UnixMillis,
    /// `None` of those who have done nothing.
    offence: Option<Offence>,
    standing: Standing,
}

#[derive(Clone, Copy, Debug)]
struct Offence {
    offences: u8,
    listed_until: UnixMillis,
    reported_until: UnixMillis,
    attacks: u32,
}

impl Engine {
    /// What has been learned; see the module's text for its form.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            head: self.head(),
            routes: self.routes.facts().collect(),
            clients: self.remembered().collect(),
            made: self.made.clone(),
            baselines: self.baselines.memory(&self.clock),
        }
    }

    fn head(&self) -> String {
        let mut text = first_line(self);
        for (api, index) in &self.apis {
            line(&mut text, format_args!("api {} {api}", index.0));
        }
        for (route, flags) in self.logins.facts() {
            line(&mut text, format_args!("login {route:x} {flags}"));
        }
        for fact in self.objects.facts(self.clock.now()) {
            line(&mut text, format_args!("objects {fact}"));
        }
        for fact in self.objects.reads() {
            line(&mut text, format_args!("reads {fact}"));
        }
        for (identifier, attack) in &self.lessons.clients {
            let whom = written(identifier);
            line(&mut text, format_args!("lesson client {whom} {attack}"));
        }
        for (route, attack) in &self.lessons.routes {
            line(&mut text, format_args!("lesson route {route:x} {attack}"));
        }
        for ((api, attack, variable), value) in &self.lessons.raised {
            let (api, variable) = (api.0, variable.as_str());
            let fact = format_args!("lesson threshold {api} {attack} {variable} {value}");
            line(&mut text, fact);
        }
        text
    }

    fn remembered(&self) -> impl Iterator<Item = Remembered> {
        let now = self.clock.now();
        self.clients.iter().filter_map(move |client| {
            let offence = (client.offences > 0 || client.reported_until > now).then(|| Offence {
                offences: client.offences,
                listed_until: self.clock.unix(client.listed_until),
                reported_until: self.clock.unix(client.reported_until),
                attacks: client.attacks,
            });
            let proven = client.standing == Standing::Proven;
            (offence.is_some() || proven).then(|| Remembered {
                identifier: client.identifier,
                last: self.clock.unix(client.last),
                offence,
                standing: client.standing,
            })
        })
    }

    /// Tells seeds apart without giving them away.
    fn fingerprint(&self) -> u64 {
        self.reader.hasher.bytes(b"fingerprint of the seed")
    }
}

impl Snapshot {
    /// The text. Two engines that have learned the same have the same.
    #[must_use]
    pub fn into_text(mut self) -> String {
        let mut text = self.head;
        self.routes.sort_unstable();
        for (route, clients) in self.routes {
            line(&mut text, format_args!("route {route:x} {clients:x}"));
        }
        let mut clients = self.clients;
        if clients.len() > REMEMBERED {
            clients.sort_unstable_by_key(|client| std::cmp::Reverse(client.last));
            clients.truncate(REMEMBERED);
        }
        let mut lines: Vec<String> = clients.iter().flat_map(Remembered::lines).collect();
        lines.sort_unstable();
        for fact in lines {
            line(&mut text, format_args!("{fact}"));
        }
        for made in &self.made {
            line(&mut text, format_args!("{}", taken_back_by(made)));
        }
        self.baselines.write(&mut text);
        text
    }
}

impl Remembered {
    fn lines(&self) -> impl Iterator<Item = String> {
        let whom = written(&self.identifier);
        let offender = self.offence.map(|offence| {
            let of_bit = |attack: &Attack| offence.attacks & bit(*attack) != 0;
            let names = Attack::ALL.into_iter().filter(of_bit).map(Attack::as_str);
            let names: Vec<&str> = names.collect();
            let names = if names.is_empty() {
                "-".to_owned()
            } else {
                names.join(",")
            };
            let (listed, reported) = (offence.listed_until.0, offence.reported_until.0);
            let offences = offence.offences;
            format!("offender {whom} {offences} {listed} {reported} {names}")
        });
        let proven = match self.standing {
            Standing::Proven => Some(format!("proven {whom}")),
            Standing::Unproven => None,
        };
        offender.into_iter().chain(proven)
    }
}

/// What taking a detection back needs.
fn taken_back_by(made: &Made) -> String {
    let Made {
        id,
        undone: Undone { identifier, attack },
        api,
        route,
        values,
    } = made;
    let (id, whom, api) = (id.0, written(identifier), api.0);
    format!(
        "made {id} {whom} {attack} {api} {route:x} {}",
        values.text()
    )
}

fn first_line(engine: &Engine) -> String {
    format!("{VERSION} {:016x}\n", engine.fingerprint())
}

fn line(text: &mut String, fact: std::fmt::Arguments<'_>) {
    // A string takes everything.
    text.write_fmt(fact).unwrap_or_default();
    text.push('\n');
}

/// An identifier in one word.
fn written(identifier: &ListedIdentifier) -> String {
    match identifier {
        ListedIdentifier::Network(network) => network.to_string(),
        ListedIdentifier::Credential { kind, id } => format!("{kind}={id}"),
    }
}
