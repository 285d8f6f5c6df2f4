//! What the baselines know, copied out and taken back line by line. Windows that are not over are left out: they are worth minutes.

use std::fmt::{self, Write as _};
use std::num::NonZeroU64;

use ase_core::time::UnixMillis;

use super::quantity::Quantity;
use super::sequence::Count;
use super::sketch::Sketch;
use super::training::{Baseline, Of};
use super::{Baselines, sketch};
use crate::client::Bitmap;
use crate::clock::Clock;
use crate::path_shape::MAX_TEMPLATE;
use crate::signs::ApiIndex;

/// Largest number of seconds and of windows in a bucket that is believed: more than a century holds.
const MOST: f32 = 1e10;

/// A copy of all baselines.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    baselines: Vec<Kept>,
    sequences: Vec<Count>,
}

/// One API's or route's.
#[derive(Clone, Debug)]
struct Kept {
    place: Place,
    /// Of a route.
    template: Option<Box<str>>,
    baseline: Baseline,
    last: UnixMillis,
    refreshed: UnixMillis,
}

/// What a baseline is of: an API, written as its number, or one of its routes, written as `3/5ca1ab1e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) api: ApiIndex,
    pub(crate) route: Option<NonZeroU64>,
}

impl Place {
    /// Reads what is written; `None` when it is none.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (api, route) = match word.split_once('/') {
            None => (word, None),
            Some((api, route)) => {
                let hash = u64::from_str_radix(route, 16).ok()?;
                (api, Some(NonZeroU64::new(hash)?))
            }
        };
        let api = ApiIndex(api.parse().ok()?);
        Some(Self { api, route })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.api.0)?;
        match self.route {
            None => Ok(()),
            Some(route) => write!(f, "/{route:x}"),
        }
    }
}

impl Baselines {
    pub(crate) fn memory(&self, clock: &Clock) -> Memory {
        let kept = |place, baseline: &Baseline, template: Option<&str>| Kept {
            place,
            template: template.map(Into::into),
            last: clock.unix(baseline.last),
            refreshed: clock.unix(baseline.refreshed),
            baseline: baseline.clone(),
        };
        let apis = self.table.apis().map(|(api, baseline)| {
            let place = Place { api, route: None };
            kept(place, baseline, None)
        });
        let routes = self.table.routes().map(|known| {
            let place = Place {
                api: known.api,
                route: Some(known.route),
            };
            kept(place, &known.baseline, Some(&known.template))
        });
        Memory {
            baselines: apis.chain(routes).collect(),
            sequences: self.sequences.counts().collect(),
        }
    }

    /// Takes a route back, whose training comes next; `None` when it is none, or known already.
    pub(crate) fn restore_route(&mut self, place: Place, template: &str) -> Option<()> {
        let is_one = template.starts_with('/') && template.len() <= MAX_TEMPLATE;
        let is_one = is_one && template.bytes().all(|byte| byte.is_ascii_graphic());
        let route = place.route.filter(|_| is_one)?;
        self.table.restore_route((place.api, route), template)
    }

    /// Takes a training back; `None` when it is none, or known already.
    pub(crate) fn restore_training(
        &mut self,
        place: Place,
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
        let of = place.route.map_or(Of::Api, |_| Of::Route);
        let baseline = Baseline {
            traffic_seconds: f64::from(number(seconds)?),
            windows: windows.parse().ok()?,
            sessions: sessions.parse().ok()?,
            clients: Bitmap::parse(clients)?,
            refreshed: moment(refreshed)?,
            active: Bitmap::parse(active)?,
            above: Bitmap::parse(above)?,
            ..Baseline::new(of, moment(last)?)
        };
        self.table.restore(place.api, place.route, baseline)
    }

    /// Takes what is usual for a quantity back; `None` when it is none, or the training is not there.
    pub(crate) fn restore_usual(&mut self, of: Place, words: &[&str]) -> Option<()> {
        let [quantity, threshold, buckets] = words else {
            return None;
        };
        let quantity = Quantity::parse(quantity)?;
        let baseline = self.table.get_mut(of.api, of.route)?;
        let threshold = match *threshold {
            "-" => None,
            threshold => {
                let threshold: f32 = threshold.parse().ok()?;
                let bounds = baseline.of.floor(quantity)..=quantity.place().ceiling;
                Some(bounds.contains(&threshold).then_some(threshold)?)
            }
        };
        let mut sketch = Sketch::new();
        for bucket in buckets.split(',').filter(|bucket| *bucket != "-") {
            let (place, count) = bucket.split_once(':')?;
            *sketch.0.get_mut(place.parse::<usize>().ok()?)? = number(count)?;
        }
        *baseline.sketches.get_mut(quantity as usize)? = sketch;
        *baseline.thresholds.get_mut(quantity as usize)? = threshold;
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
        self.baselines.sort_unstable_by_key(|kept| kept.place);
        for Kept {
            place,
            template,
            baseline,
            last,
            refreshed,
        } in &self.baselines
        {
            if let Some(template) = template {
                text.push_str(&format!("followed {place} {template}\n"));
            }
            let line = format!(
                "training {place} {} {} {} {} {} {} {} {}\n",
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
            for &quantity in baseline.of.measured() {
                usual(text, *place, baseline, quantity);
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

fn usual(text: &mut String, of: Place, baseline: &Baseline, quantity: Quantity) {
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
    text.push_str(&format!("usual {of} {name} {threshold} {buckets}\n"));
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
