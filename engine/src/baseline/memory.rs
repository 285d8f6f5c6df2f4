//! What the baselines know, copied out and taken back line by line. Windows that are not over are left out: they are worth minutes.

use std::fmt::Write as _;

use ase_core::time::UnixMillis;

use super::quantity::Quantity;
use super::sequence::Count;
use super::sketch::Sketch;
use super::training::Baseline;
use super::{Baselines, sketch};
use crate::client::Bitmap;
use crate::clock::Clock;
use crate::signs::ApiIndex;

/// Largest number of seconds and of windows in a bucket that is believed: more than a century holds.
const MOST: f32 = 1e10;

/// A copy of all baselines.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    apis: Vec<Kept>,
    sequences: Vec<Count>,
}

/// One API's.
#[derive(Clone, Debug)]
struct Kept {
    api: usize,
    baseline: Box<Baseline>,
    last: UnixMillis,
    refreshed: UnixMillis,
}

impl Baselines {
    pub(crate) fn memory(&self, clock: &Clock) -> Memory {
        let apis = self.apis.iter().enumerate();
        let kept = apis.filter_map(|(api, baseline)| {
            let baseline = baseline.clone()?;
            Some(Kept {
                api,
                last: clock.unix(baseline.last),
                refreshed: clock.unix(baseline.refreshed),
                baseline,
            })
        });
        Memory {
            apis: kept.collect(),
            sequences: self.sequences.counts().collect(),
        }
    }

    /// Takes an API's training back; `None` when it is none, or known already.
    pub(crate) fn restore_training(
        &mut self,
        api: ApiIndex,
        words: &[&str],
        clock: &Clock,
    ) -> Option<()> {
        let [
            seconds,
            windows,
            sessions,
            clients,
            last,
            refreshed,
            active,
            above,
        ] = words
        else {
            return None;
        };
        let moment = |word: &str| {
            let time = UnixMillis(word.parse().ok()?);
            // A time to come would keep the baseline from learning until then.
            Some(clock.moment_of(time).min(clock.now()))
        };
        let baseline = Baseline {
            traffic_seconds: number(seconds)?,
            windows: windows.parse().ok()?,
            sessions: sessions.parse().ok()?,
            clients: Bitmap::parse(clients)?,
            refreshed: moment(refreshed)?,
            active: Bitmap::parse(active)?,
            above: Bitmap::parse(above)?,
            ..Baseline::new(moment(last)?)
        };
        let place = usize::from(api.0);
        if self.apis.len() <= place {
            self.apis.resize(place + 1, None);
        }
        let slot = self.apis.get_mut(place)?;
        slot.is_none().then(|| *slot = Some(Box::new(baseline)))
    }

    /// Takes what is usual for a quantity back; `None` when it is none, or the API's training is not there.
    pub(crate) fn restore_usual(&mut self, api: ApiIndex, words: &[&str]) -> Option<()> {
        let [quantity, threshold, buckets] = words else {
            return None;
        };
        let quantity = Quantity::parse(quantity)?;
        let place = quantity.place();
        let threshold = match *threshold {
            "-" => None,
            threshold => {
                let threshold: f32 = threshold.parse().ok()?;
                let bounds = place.floor..=place.ceiling;
                Some(bounds.contains(&threshold).then_some(threshold)?)
            }
        };
        let mut sketch = Sketch::new();
        for bucket in buckets.split(',').filter(|bucket| *bucket != "-") {
            let (place, count) = bucket.split_once(':')?;
            *sketch.0.get_mut(place.parse::<usize>().ok()?)? = number(count)?;
        }
        let baseline = self.apis.get_mut(usize::from(api.0))?.as_mut()?;
        *baseline.thresholds.get_mut(quantity as usize)? = threshold;
        *baseline.sketches.get_mut(quantity as usize)? = sketch;
        Some(())
    }

    /// Takes a count of the sequence model back; `None` when it is none, or there is no room.
    pub(crate) fn restore_sequence(&mut self, words: &[&str]) -> Option<()> {
        let [key, count, distinct, clients] = words else {
            return None;
        };
        self.sequences.restore(Count {
            key: u64::from_str_radix(key, 16).ok()?,
            count: count.parse().ok().filter(|count| *count > 0)?,
            distinct: distinct.parse().ok()?,
            clients: u16::from_str_radix(clients, 16).ok()?,
        })
    }
}

impl Memory {
    /// Adds everything to a text, a fact a line.
    pub(crate) fn write(mut self, text: &mut String) {
        for Kept {
            api,
            baseline,
            last,
            refreshed,
        } in &self.apis
        {
            let line = format!(
                "training {api} {} {} {} {} {} {} {} {}\n",
                baseline.traffic_seconds,
                baseline.windows,
                baseline.sessions,
                baseline.clients.text(),
                last.0,
                refreshed.0,
                baseline.active.text(),
                baseline.above.text(),
            );
            text.push_str(&line);
            for quantity in Quantity::ALL {
                usual(text, *api, baseline, quantity);
            }
        }
        self.sequences.sort_unstable_by_key(|count| count.key);
        for count in &self.sequences {
            let Count {
                key,
                count,
                distinct,
                clients,
            } = count;
            // A string takes everything.
            writeln!(text, "sequence {key:x} {count} {distinct} {clients:x}").unwrap_or_default();
        }
    }
}

fn usual(text: &mut String, api: usize, baseline: &Baseline, quantity: Quantity) {
    let threshold = baseline.threshold(quantity);
    let buckets = baseline
        .sketches
        .get(quantity as usize)
        .map(buckets)
        .unwrap_or_default();
    if threshold.is_none() && buckets.is_empty() {
        return;
    }
    let threshold = threshold.map_or_else(|| "-".to_owned(), |threshold| threshold.to_string());
    let buckets = if buckets.is_empty() { "-" } else { &buckets };
    let name = quantity.as_str();
    text.push_str(&format!("usual {api} {name} {threshold} {buckets}\n"));
}

/// The buckets that hold something.
fn buckets(sketch: &Sketch) -> String {
    let counts = sketch.0.iter().enumerate();
    let held = counts.filter(|(_, count)| **count > sketch::NOTHING);
    let held = held.map(|(place, count)| format!("{place}:{count}"));
    held.collect::<Vec<_>>().join(",")
}

fn number(word: &str) -> Option<f32> {
    let number = word.parse().ok();
    number.filter(|number: &f32| (0.0..=MOST).contains(number))
}
