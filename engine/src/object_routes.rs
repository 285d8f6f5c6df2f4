//! Which objects are for everybody. Reading one public page after another is no walk over other people's objects; scraping counts it.
//!
//! Objects are public where several clients without any credential read them, in an API whose clients bear credentials
//! otherwise; and where readers share them as a rule ([`sample`]). Walkers have no say: neither who is found to walk nor who
//! would be, were the objects not held to be public.

use hashbrown::HashTable;

use crate::clock::Moment;
use crate::counters::Counters;
use crate::path_shape::{Object, ObjectSort};
use crate::signs::ApiIndex;

mod sample;

use sample::Sample;

/// Clients that make objects public, by either sign.
const SEVERAL: u32 = 3;
/// The share of reads without credentials from which on they are no exception.
const BARE_SHARE: f32 = 0.1;
/// The share of reads with credentials from which on an API is one that knows its clients.
const BORNE_SHARE: f32 = 0.02;
/// How many numbers below the highest are new ones: others make objects meanwhile.
const NEWEST: u64 = 64;
/// When a count reaches this, both counts of the pair are halved: old habits fade.
const FADE_AT: f32 = 10_000.0;
/// After a restart objects that were shared still are for so long: the sample fills meanwhile.
const REMEMBERED_SECONDS: f32 = 60.0 * 60.0;

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
    /// When it was learned from a snapshot that its objects are shared.
    shared_since: Option<Moment>,
    /// The highest number that was read.
    highest: u64,
    sample: Sample,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    bare: f32,
    borne: f32,
}

/// Who read, from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The hash of the address, or of the network that is one client.
    pub(crate) address: u64,
    /// A hash of what it bore; 0 for nothing.
    pub(crate) credential: u32,
}

impl ObjectRoutes {
    pub(crate) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity as usize,
            routes: HashTable::new(),
            apis: Vec::new(),
        }
    }

    pub(crate) fn are_public(&self, object: Object, api: ApiIndex, at: Moment) -> bool {
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
        let strangers = route.strangers.count_ones();
        let to_strangers = knows_its_clients
            && strangers >= SEVERAL
            && strangers > route.sample.walkers_lately(at)
            && route.reads.bare >= BARE_SHARE * (route.reads.bare + route.reads.borne);
        to_strangers || route.is_shared(at)
    }

    /// Whether hardly any object with a higher number has been read; so too of what nobody has read.
    pub(crate) fn is_among_the_newest(&self, object: Object) -> bool {
        let found = self
            .routes
            .find(key(object.route), |known| known.route == object.route);
        found.is_none_or(|route| object.id.saturating_add(NEWEST) > route.highest)
    }

    /// A request of a client that is not suspected and does not walk has been answered well.
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
            all.count(reader);
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
    pub(crate) fn facts(&self, at: Moment) -> impl Iterator<Item = String> {
        self.routes.iter().map(move |route| {
            let Reads { bare, borne } = route.reads;
            let shared = u8::from(route.is_shared(at));
            format!(
                "{:x} {:x} {shared} {bare} {borne}",
                route.route, route.strangers
            )
        })
    }

    /// Takes a fact back; `None` when it is none or there is no room.
    pub(crate) fn restore(&mut self, words: &[&str], at: Moment) -> Option<()> {
        let [route, strangers, shared, bare, borne] = words else {
            return None;
        };
        let mut restored = Box::new(Route::new(u32::from_str_radix(route, 16).ok()?));
        restored.strangers = u64::from_str_radix(strangers, 16).ok()?;
        restored.shared_since = match *shared {
            "0" => None,
            "1" => Some(at),
            _ => return None,
        };
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

    /// Whether somebody has walked over objects of the route lately.
    pub(crate) fn has_walked(&self, object: Object, address: u64, at: Moment) -> bool {
        let found = self
            .routes
            .find(key(object.route), |known| known.route == object.route);
        found.is_some_and(|route| route.sample.has_walked(address, at))
    }

    /// Somebody walks over objects: what it read says nothing about who may.
    pub(crate) fn walk(&mut self, object: Object, address: u64, at: Moment) {
        let found = self
            .routes
            .find_mut(key(object.route), |known| known.route == object.route);
        if let Some(route) = found {
            route.strangers &= !bit(address);
            route.sample.walk(address, at);
        }
    }
}

impl Route {
    fn new(route: u32) -> Self {
        Self {
            route,
            reads: Reads::default(),
            strangers: 0,
            shared_since: None,
            highest: 0,
            sample: Sample::new(),
        }
    }

    fn is_shared(&self, at: Moment) -> bool {
        let remembered = self
            .shared_since
            .is_some_and(|since| at.seconds_since(since) < REMEMBERED_SECONDS);
        remembered || self.sample.is_shared(at)
    }

    fn read(&mut self, object: Object, reader: Reader, at: Moment) {
        self.reads.count(reader);
        if reader.credential == 0 {
            self.strangers |= bit(reader.address);
        }
        if object.sort == ObjectSort::Number {
            self.highest = self.highest.max(object.id);
        }
        self.sample.read(object.id, reader, at);
    }
}

impl Reads {
    fn count(&mut self, reader: Reader) {
        if reader.credential == 0 {
            self.bare += 1.0;
        } else {
            self.borne += 1.0;
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
