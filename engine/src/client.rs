//! What is remembered of one identifier: a flat record of some 400 bytes whose numbers fade with time.
//!
//! Every number fades by its own half-life when the record is touched, so a record needs no timer. Sets are bitmaps that
//! count by how full they are: they forget which elements they hold and never grow.

use ase_core::identifier_list::ListedIdentifier;

use crate::clock::Moment;
use crate::detectors::{
    enumeration::Walks, login::Logins, theft::Places, tool::Disguise, volume::Volume,
};

const SHORT: f32 = 10.0 * 60.0;
const HOUR: f32 = 60.0 * 60.0;
const DAY: f32 = 24.0 * HOUR;
/// Requests per second that extreme activity does not count.
const USUAL_RATE: f32 = 100.0;

/// Everything about one identifier.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) identifier: ListedIdentifier,
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    /// The end of the last proposed listing.
    pub(crate) listed_until: Moment,
    /// Until then an attack that has been reported is not reported again.
    pub(crate) reported_until: Moment,
    /// The first successful answer.
    pub(crate) proven_since: Moment,
    pub(crate) requests: u32,
    /// Requests that passed although a listing had been proposed.
    pub(crate) passed_since_listing: u32,
    /// Attacks reported until [`Self::reported_until`], a bit each.
    pub(crate) attacks: u32,
    /// Successful answers, for proof.
    pub(crate) answered: u16,
    pub(crate) offences: u8,
    pub(crate) standing: Standing,
    pub(crate) successes: f32,
    pub(crate) failures: f32,
    pub(crate) probing: Probing,
    pub(crate) injection: f32,
    pub(crate) disguise: Disguise,
    pub(crate) broken_rules: f32,
    /// A bucket that leaks [`USUAL_RATE`].
    pub(crate) activity: f32,
    pub(crate) recent: f32,
    pub(crate) writes: f32,
    pub(crate) deletes: f32,
    pub(crate) logins: Logins,
    pub(crate) walks: Walks,
    pub(crate) volume: Volume,
    pub(crate) places: Places,
    /// The networks of its odd requests.
    pub(crate) hostile: Bitmap<1>,
}

/// How far an identifier can be held to be one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Anybody could have made it up.
    #[default]
    Unproven,
    /// Answered well over time and not from one address only, or verified by the gateway.
    Proven,
}

/// Routes that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probing {
    /// Distinct ones, weighed.
    pub(crate) routes: f32,
    /// Points for those that only attackers look for.
    pub(crate) points: f32,
    /// Which have been counted.
    pub(crate) seen: Bitmap<4>,
}

/// A set of hashes of which only the size can be asked; good up to some five times its bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bitmap<const WORDS: usize>([u64; WORDS]);

/// How much numbers shrink between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fading {
    pub(crate) seconds: f32,
    pub(crate) short: f32,
    pub(crate) hour: f32,
    pub(crate) day: f32,
}

impl Client {
    pub(crate) fn new(identifier: ListedIdentifier, at: Moment) -> Self {
        Self {
            identifier,
            first: at,
            last: at,
            listed_until: Moment::default(),
            reported_until: Moment::default(),
            proven_since: at,
            requests: 0,
            passed_since_listing: 0,
            attacks: 0,
            answered: 0,
            offences: 0,
            standing: Standing::Unproven,
            successes: 0.0,
            failures: 0.0,
            probing: Probing::default(),
            injection: 0.0,
            disguise: Disguise::default(),
            broken_rules: 0.0,
            activity: 0.0,
            recent: 0.0,
            writes: 0.0,
            deletes: 0.0,
            logins: Logins::default(),
            walks: Walks::default(),
            volume: Volume::default(),
            places: Places::default(),
            hostile: Bitmap::default(),
        }
    }

    /// Lets everything fade up to `at`; a moment before the last one changes nothing.
    pub(crate) fn age(&mut self, at: Moment) {
        if at <= self.last {
            return;
        }
        let fading = Fading::over(at.seconds_since(self.last));
        self.last = at;
        self.successes *= fading.hour;
        self.failures *= fading.hour;
        self.probing.routes *= fading.hour;
        self.probing.points *= fading.day;
        self.injection *= fading.hour;
        self.disguise.telling *= fading.hour;
        self.broken_rules *= fading.hour;
        self.activity = (self.activity - fading.seconds * USUAL_RATE).max(0.0);
        self.recent *= fading.short;
        self.writes *= fading.short;
        self.deletes *= fading.short;
        self.logins.fade(fading);
        self.volume.fade(fading);
        self.places.fade(fading);
        if self.probing.routes < 0.5 {
            self.probing.seen.clear();
            self.hostile.clear();
        }
    }

    /// The share of failures among answers, in percent; 0 without answers.
    pub(crate) fn failures_percent(&self) -> f32 {
        percent(self.failures, self.failures + self.successes)
    }

    /// Whether anything speaks against it.
    pub(crate) fn is_suspect(&self) -> bool {
        self.offences > 0
            || self.probing.points >= 1.0
            || self.probing.routes >= 0.9
            || self.injection >= 1.0
            || self.disguise.telling >= 1.0
            || self.broken_rules >= 1.0
            || self.logins.are_suspicious()
    }

    pub(crate) fn is_listed(&self, at: Moment) -> bool {
        self.listed_until > at
    }
}

impl<const WORDS: usize> Default for Bitmap<WORDS> {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// Adds a hash; whether it changed anything.
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        let bit = 1_u64 << (hash & 63);
        let place = (hash >> 6) as usize % WORDS.max(1);
        let Some(word) = self.0.get_mut(place) else {
            return false;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// About how many distinct hashes are in it (linear counting: Whang, Vander-Zanden, Taylor, 1990).
    pub(crate) fn count(&self) -> f32 {
        let bits = (WORDS * 64) as f32;
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let empty = (bits - set as f32).max(0.5);
        bits * (bits / empty).ln()
    }

    /// Its words in hexadecimal, in one.
    pub(crate) fn text(&self) -> String {
        let words = self.0.iter().map(|word| format!("{word:x}"));
        words.collect::<Vec<_>>().join(".")
    }

    /// Reads [`Self::text`]; `None` when it is none of this size.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('.');
        let mut bitmap = Self::default();
        for place in &mut bitmap.0 {
            *place = u64::from_str_radix(words.next()?, 16).ok()?;
        }
        words.next().is_none().then_some(bitmap)
    }

    pub(crate) fn clear(&mut self) {
        self.0 = [0; WORDS];
    }
}

impl Fading {
    pub(crate) fn over(seconds: f32) -> Self {
        Self {
            seconds,
            short: (-seconds / SHORT).exp2(),
            hour: (-seconds / HOUR).exp2(),
            day: (-seconds / DAY).exp2(),
        }
    }
}

/// A share in percent; 0 of nothing.
pub(crate) fn percent(part: f32, whole: f32) -> f32 {
    if whole <= 0.0 {
        return 0.0;
    }
    part / whole * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hasher;

    #[test]
    fn a_bitmap_counts_distinct_hashes_within_a_tenth_until_it_is_nearly_full() {
        let hasher = Hasher::new(7);
        let mut bitmap = Bitmap::<4>::default();
        for number in 1_u32..=900 {
            bitmap.insert(hasher.pair(u64::from(number), 0));
            bitmap.insert(hasher.pair(1, 0));
            if [8, 30, 100, 300].contains(&number) {
                let error = (bitmap.count() / number as f32 - 1.0).abs();
                assert!(error < 0.15, "{number}: {}", bitmap.count());
            }
        }
        assert!(bitmap.count() > 700.0, "{}", bitmap.count());
    }

    #[test]
    fn half_of_a_number_is_left_after_its_half_life() {
        let fading = Fading::over(3600.0);
        assert!((fading.hour - 0.5).abs() < 1e-6);
        assert!((fading.short - 1.0 / 64.0).abs() < 1e-6);
    }

    #[test]
    fn a_record_fits_into_its_budget() {
        assert!(size_of::<Client>() <= 400, "{}", size_of::<Client>());
    }
}
