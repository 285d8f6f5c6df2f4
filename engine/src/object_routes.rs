//! Which objects are for everybody. Reading one public page after another is no walk over other people's objects; scraping counts it.
//!
//! Objects are public where several clients without any credential read them, in an API whose clients bear credentials
//! otherwise; and where several addresses read the same ones. Whoever is found to walk has no say: what it read is forgotten.

use hashbrown::HashTable;

use crate::clock::Moment;
use crate::counters::Counters;
use crate::path_shape::Object;
use crate::signs::ApiIndex;

/// Clients that make objects public, by either sign.
const SEVERAL: u32 = 3;
/// The share of reads without credentials from which on they are no exception.
const BARE_SHARE: f32 = 0.1;
/// The share of reads with credentials from which on an API is one that knows its clients.
const BORNE_SHARE: f32 = 0.02;
/// When a count reaches this, both counts of the pair are halved: old habits fade.
const FADE_AT: f32 = 10_000.0;
/// Objects of a route whose readers are followed.
const SAMPLED: usize = 64;
const SAMPLE_SECONDS: f32 = 15.0 * 60.0;

#[derive(Debug)]
pub(crate) struct ObjectRoutes {
    capacity: usize,
    routes: HashTable<Box<Route>>,
    apis: Vec<Reads>,
}

#[derive(Debug)]
struct Route {
    route: u32,
    reads: Reads,
    /// A bit per client without credentials, by its hash.
    strangers: u64,
    /// A bit per client that has read what another had read first.
    sharers: u64,
    sample: [Followed; SAMPLED],
}

#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    bare: f32,
    borne: f32,
}

/// An object and who has read it first.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    object: u32,
    reader: u32,
    since: Moment,
}

/// Who read, from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The hash of the address.
    pub(crate) address: u64,
    pub(crate) bears: Bears,
}

/// Whether a reader bore a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bears {
    Nothing,
    Credential,
}

impl ObjectRoutes {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity as usize,
            routes: HashTable::new(),
            apis: Vec::new(),
        }
    }

    pub(crate) fn are_public(&self, object: Object, api: ApiIndex) -> bool {
        let found = self
            .routes
            .find(key(object.route), |known| known.route == object.route);
        let Some(route) = found else {
            return false;
        };
        let knows_its_clients = self
            .apis
            .get(usize::from(api.0))
            .is_some_and(|all| all.borne >= BORNE_SHARE * (all.borne + all.bare));
        let to_strangers = knows_its_clients
            && route.strangers.count_ones() >= SEVERAL
            && route.reads.bare >= BARE_SHARE * (route.reads.bare + route.reads.borne);
        to_strangers || route.sharers.count_ones() >= SEVERAL
    }

    /// A request of a client that is not suspected has been answered well.
    pub(crate) fn learn(
        &mut self,
        object: Option<Object>,
        api: ApiIndex,
        reader: Reader,
        at: Moment,
        counters: &mut Counters,
    ) {
        let place = usize::from(api.0);
        if self.apis.len() <= place {
            self.apis.resize(place + 1, Reads::default());
        }
        if let Some(all) = self.apis.get_mut(place) {
            all.count(reader.bears);
        }
        let Some(object) = object else {
            return;
        };
        let hash = key(object.route);
        if let Some(route) = self
            .routes
            .find_mut(hash, |known| known.route == object.route)
        {
            route.read(object, reader, at);
        } else if self.routes.len() < self.capacity {
            let mut route = Box::new(Route::new(object.route));
            route.read(object, reader, at);
            self.routes
                .insert_unique(hash, route, |route| key(route.route));
        } else {
            counters.routes_refused += 1;
        }
    }

    /// Every route of objects, in words.
    pub(crate) fn facts(&self) -> impl Iterator<Item = String> {
        self.routes.iter().map(|route| {
            let Reads { bare, borne } = route.reads;
            format!(
                "{:x} {:x} {:x} {bare} {borne}",
                route.route, route.strangers, route.sharers
            )
        })
    }

    /// Takes a fact back; `None` when it is none or there is no room.
    pub(crate) fn restore(&mut self, words: &[&str]) -> Option<()> {
        let [route, strangers, sharers, bare, borne] = words else {
            return None;
        };
        let mut restored = Box::new(Route::new(u32::from_str_radix(route, 16).ok()?));
        restored.strangers = u64::from_str_radix(strangers, 16).ok()?;
        restored.sharers = u64::from_str_radix(sharers, 16).ok()?;
        restored.reads = Reads {
            bare: number(bare)?,
            borne: number(borne)?,
        };
        let hash = key(restored.route);
        let is_known = self
            .routes
            .find(hash, |known| known.route == restored.route)
            .is_some();
        if is_known || self.routes.len() >= self.capacity {
            return None;
        }
        self.routes
            .insert_unique(hash, restored, |route| key(route.route));
        Some(())
    }

    /// How each API's objects were read, in words.
    pub(crate) fn reads(&self) -> impl Iterator<Item = String> {
        let apis = self.apis.iter().enumerate();
        apis.filter(|(_, reads)| reads.bare + reads.borne > 0.0)
            .map(|(api, Reads { bare, borne })| format!("{api} {bare} {borne}"))
    }

    /// Takes what [`Self::reads`] says back; `None` when it is none.
    pub(crate) fn restore_reads(&mut self, api: ApiIndex, words: &[&str]) -> Option<()> {
        let [bare, borne] = words else {
            return None;
        };
        let reads = Reads {
            bare: number(bare)?,
            borne: number(borne)?,
        };
        let place = usize::from(api.0);
        if self.apis.len() <= place {
            self.apis.resize(place + 1, Reads::default());
        }
        *self.apis.get_mut(place)? = reads;
        Some(())
    }

    /// A client has been found to walk: what it read says nothing about who may.
    pub(crate) fn unlearn(&mut self, object: Object, address: u64) {
        let found = self
            .routes
            .find_mut(key(object.route), |known| known.route == object.route);
        if let Some(route) = found {
            route.sharers &= !bit(address);
            route.strangers &= !bit(address);
            for followed in &mut route.sample {
                if followed.reader == tag(address) {
                    *followed = Followed::default();
                }
            }
        }
    }
}

impl Route {
    fn new(route: u32) -> Self {
        Self {
            route,
            reads: Reads::default(),
            strangers: 0,
            sharers: 0,
            sample: [Followed::default(); SAMPLED],
        }
    }

    fn read(&mut self, object: Object, reader: Reader, at: Moment) {
        self.reads.count(reader.bears);
        if reader.bears == Bears::Nothing {
            self.strangers |= bit(reader.address);
        }
        let hash = object.id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let Some(followed) = self.sample.get_mut((hash >> 58) as usize % SAMPLED) else {
            return;
        };
        let object = (hash >> 16) as u32;
        if followed.object == object && followed.since != Moment::default() {
            if followed.reader != tag(reader.address) {
                self.sharers |= bit(reader.address);
            }
        } else if followed.since == Moment::default()
            || at.seconds_since(followed.since) > SAMPLE_SECONDS
        {
            *followed = Followed {
                object,
                reader: tag(reader.address),
                since: at,
            };
        }
    }
}

impl Reads {
    fn count(&mut self, bears: Bears) {
        match bears {
            Bears::Nothing => self.bare += 1.0,
            Bears::Credential => self.borne += 1.0,
        }
        if self.bare.max(self.borne) > FADE_AT {
            self.bare /= 2.0;
            self.borne /= 2.0;
        }
    }
}

/// A count of reads.
fn number(word: &str) -> Option<f32> {
    let number = word.parse().ok();
    number.filter(|number: &f32| (0.0..=FADE_AT).contains(number))
}

fn key(route: u32) -> u64 {
    u64::from(route).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn bit(address: u64) -> u64 {
    1 << (address >> 58)
}

fn tag(address: u64) -> u32 {
    address as u32
}
