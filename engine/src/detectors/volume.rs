//! Taking out data: bytes and distinct objects, at once and over a day. Mass writes and deletions beside them.

use crate::catalogue::{Attack, Variable};
use crate::client::{Bitmap, Client, Fading};
use crate::clock::Moment;
use crate::detectors::{Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, File, Intent, Signs};

const WINDOW_SECONDS: f32 = 10.0 * 60.0;
/// What a write counts that was only taken: pages send reports about themselves all the time, and make nothing.
pub(crate) const RECEIPT: f32 = 0.1;
const MEGABYTE: f32 = 1_000_000.0;

/// What one client has taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Volume {
    megabytes: f32,
    megabytes_day: f32,
    objects_day: f32,
    /// The window in which [`Self::objects`] are counted.
    began: Moment,
    objects: Bitmap<4>,
}

pub(crate) fn learn(client: &mut Client, signs: &Signs) {
    let megabytes = signs.response_bytes / MEGABYTE;
    client.volume.megabytes += megabytes;
    client.volume.megabytes_day += megabytes;
    if signs.answer != Answer::Success {
        return;
    }
    match signs.intent {
        Intent::Read if signs.file == File::Call => client.volume.read(signs.target, signs.at),
        Intent::Read | Intent::Other => {}
        Intent::Write if signs.login.is_some() => {}
        Intent::Write if signs.receipt => client.writes += RECEIPT,
        Intent::Write => client.writes += 1.0,
        Intent::Delete => client.deletes += 1.0,
    }
}

pub(crate) fn judge(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B};
    let volume = &client.volume;
    let objects = volume.objects.count().round();
    let single = |attack, value| {
        let measure = Measure::of(attack, &[value], thresholds);
        let is_attack = measure.normal(A);
        measure.suspicion_if(is_attack)
    };
    let measure = Measure::of(
        Attack::Exfiltration,
        &[volume.megabytes, objects],
        thresholds,
    );
    let is_attack = measure.normal(A) && measure.normal(B);
    measure
        .suspicion_if(is_attack)
        .or_else(|| single(Attack::ExfiltrationLong, volume.megabytes_day))
        .or_else(|| single(Attack::Scraping, objects))
        .or_else(|| single(Attack::ScrapingLong, volume.objects_day))
        .or_else(|| single(Attack::MassDeletion, client.deletes))
        .or_else(|| single(Attack::MassWrites, client.writes))
}

impl Volume {
    /// Names, meanings and values for people.
    pub(crate) fn facts(&self) -> [(&'static str, &'static str, f32); 4] {
        [
            (
                "objects",
                "distinct things read within 10 min",
                self.objects.count().round(),
            ),
            (
                "objects_day",
                "distinct things read (half-life 1 d)",
                self.objects_day,
            ),
            (
                "megabytes",
                "megabytes taken (half-life 10 min)",
                self.megabytes,
            ),
            (
                "megabytes_day",
                "megabytes taken (half-life 1 d)",
                self.megabytes_day,
            ),
        ]
    }

    pub(crate) fn fade(&mut self, fading: Fading) {
        self.megabytes *= fading.short;
        self.megabytes_day *= fading.day;
        self.objects_day *= fading.day;
    }

    fn read(&mut self, object: u64, at: Moment) {
        if at.seconds_since(self.began) > WINDOW_SECONDS {
            self.began = at;
            self.objects.clear();
        }
        if self.objects.insert(object) {
            self.objects_day += 1.0;
        }
    }
}
