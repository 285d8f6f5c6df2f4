//! Whether readers of a route read the same objects: some of its objects are followed, each for half an hour or as long as several
//! go on reading it, and who reads them.
//!
//! Attackers who walk over the same ids share objects too, so not everybody has a say. Who has walked as far as
//! a walk takes to be reported has none for an hour, and what it has read until then is taken back. An
//! object is followed for as long as a walk is, so a walk is over before what it has touched is left alone. The widest readers
//! are left out as well: one who reads everybody's objects shares one with each owner, and that makes none of them public.

use crate::clock::Moment;

use super::{Reader, SEVERAL, bit};

/// Objects of a route whose readers are followed.
const SAMPLED: usize = 64;
/// As long as a walk is one.
const SAMPLE_SECONDS: f32 = 30.0 * 60.0;
/// Walkers that are remembered, and for how long.
const WALKERS: usize = 16;
const WALKER_SECONDS: f32 = 60.0 * 60.0;
/// One reader, and one of so many, is left out as one of the widest.
const ONE_OF: u32 = 8;

#[derive(Debug)]
pub(super) struct Sample {
    objects: [Followed; SAMPLED],
    walkers: [Walker; WALKERS],
    /// How many share objects, where most readers do; 0 where they do not.
    sharers: u32,
}

/// An object, who has read it first, and everybody who has.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    object: u32,
    /// When it was read first; once it is shared, when it was read last.
    since: Moment,
    address: u32,
    credential: u32,
    /// A bit per reader, by the hash of its address; nobody: the place is free.
    readers: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Walker {
    address: u32,
    last: Moment,
}

impl Sample {
    pub(super) fn new() -> Self {
        Self {
            objects: [Followed::default(); SAMPLED],
            walkers: [Walker::default(); WALKERS],
            sharers: 0,
        }
    }

    /// Whether readers share objects as a rule, and more of them than have walked lately.
    pub(super) fn is_shared(&self, at: Moment) -> bool {
        self.sharers >= SEVERAL && self.sharers > self.walkers_lately(at)
    }

    /// How many have walked lately, as far as they are remembered.
    pub(super) fn walkers_lately(&self, at: Moment) -> u32 {
        let lately = self.walkers.iter().filter(|walker| walker.is_one(at));
        lately.count() as u32
    }

    /// Whether somebody has walked lately.
    pub(super) fn has_walked(&self, address: u64, at: Moment) -> bool {
        let mut walkers = self.walkers.iter();
        walkers.any(|walker| walker.address == tag(address) && walker.is_one(at))
    }

    /// Somebody walks: what it has read says nothing.
    pub(super) fn walk(&mut self, address: u64, at: Moment) {
        let own = |walker: &Walker| walker.address == tag(address);
        let place = match self.walkers.iter().position(own) {
            Some(place) => self.walkers.get_mut(place),
            None => self.walkers.iter_mut().min_by_key(|walker| walker.last),
        };
        if let Some(place) = place {
            *place = Walker {
                address: tag(address),
                last: at,
            };
        }
        for followed in &mut self.objects {
            followed.readers &= !bit(address);
            if followed.address == tag(address) {
                (followed.address, followed.credential) = (0, 0);
            }
        }
        self.weigh();
    }

    pub(super) fn read(&mut self, object: u64, reader: Reader, at: Moment) {
        let hash = object.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let Some(followed) = self.objects.get_mut((hash >> 58) as usize % SAMPLED) else {
            return;
        };
        let object = (hash >> 16) as u32;
        let free = followed.readers == 0 || at.seconds_since(followed.since) > SAMPLE_SECONDS;
        let before = followed.readers;
        if free {
            *followed = Followed {
                object,
                since: at,
                address: tag(reader.address),
                credential: reader.credential,
                readers: bit(reader.address),
            };
        } else if followed.object == object {
            if !followed.was_first_read_by(reader) {
                followed.readers |= bit(reader.address);
            }
            if followed.readers.count_ones() >= 2 {
                followed.since = at;
            }
        }
        if free || followed.readers != before {
            self.weigh();
        }
    }

    fn weigh(&mut self) {
        let mut breadth = [0_u32; 64];
        let mut readers = 0;
        for followed in &self.objects {
            readers |= followed.readers;
            for (place, objects) in breadth.iter_mut().enumerate() {
                *objects += u32::from(followed.readers >> place & 1 == 1);
            }
        }
        let mut widest = 0_u64;
        let left_out = 1 + readers.count_ones() / ONE_OF;
        for _ in 0..left_out {
            let rest = breadth.iter().enumerate();
            let rest = rest.filter(|(place, _)| widest >> place & 1 == 0);
            let next = rest.max_by_key(|(_, objects)| **objects);
            widest |= next.map_or(0, |(place, _)| 1 << place);
        }
        let rest = self
            .objects
            .iter()
            .map(|followed| followed.readers & !widest);
        let shared = rest.filter(|readers| readers.count_ones() >= 2);
        let sharers = shared.fold(0, |all, readers| all | readers).count_ones();
        let others = (readers & !widest).count_ones();
        let as_a_rule = sharers > 0 && sharers * 2 >= others;
        self.sharers = if as_a_rule { sharers + left_out } else { 0 };
    }
}

impl Followed {
    /// Whether it is the first reader that comes again, perhaps from another network.
    fn was_first_read_by(&self, reader: Reader) -> bool {
        let same_credential = reader.credential != 0 && reader.credential == self.credential;
        self.address == tag(reader.address) || same_credential
    }
}

impl Walker {
    fn is_one(&self, at: Moment) -> bool {
        self.last != Moment::default() && at.seconds_since(self.last) < WALKER_SECONDS
    }
}

fn tag(address: u64) -> u32 {
    address as u32 | 1
}
