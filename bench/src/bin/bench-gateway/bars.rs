//! The bars that the project has set itself, held against a run. They are told, not asserted: a missed one is a finding.

use ase_bench::statistics::{median, range, ratios};

use crate::rounds::{Lane, Sample};
use crate::variant::{Backend, Variant};

/// What a measured ratio must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// At most this.
    AtMost(f64),
    /// Not further than this from 1, whichever way.
    Within(f64),
}

/// A bar and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    name: String,
    limit: Limit,
    /// One for each round.
    ratios: Vec<f64>,
}

/// At which load a figure is taken.
#[derive(Clone, Copy, Debug)]
enum Load {
    Peak,
    Moderate,
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Cpu,
    Rate,
    P99,
}

impl Bar {
    fn new(name: &str, limit: Limit, ratios: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            limit,
            ratios,
        }
    }

    /// A single figure, such as a size.
    pub(crate) fn single(name: &str, limit: f64, measured: f64) -> Self {
        Self::new(name, Limit::AtMost(limit), vec![measured])
    }

    fn is_met(&self) -> bool {
        let measured = median(&self.ratios);
        match self.limit {
            Limit::AtMost(most) => measured <= most,
            Limit::Within(part) => (measured - 1.0).abs() <= part,
        }
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        let bar = match self.limit {
            Limit::AtMost(most) => format!("≤ {most:.2}"),
            Limit::Within(part) => format!("1 ± {part:.2}"),
        };
        let (low, high) = range(&self.ratios);
        let spread = if self.ratios.len() > 1 {
            format!(" ({low:.2}–{high:.2})")
        } else {
            String::new()
        };
        format!(
            "bar {}: {bar}, measured {:.2}{spread}, {}",
            self.name,
            median(&self.ratios),
            if self.is_met() { "met" } else { "MISSED" }
        )
    }
}

/// The bars on the first table, as far as its lanes were run.
pub(crate) fn of_variants(lanes: &[Lane]) -> Vec<Bar> {
    use Variant::{Async, DoNothing, ExtAuthz, ExtAuthzLog, Local, Lua, Sync};
    let mut bars = Vec::new();
    for (over, under, most) in [
        (Async, DoNothing, 1.15),
        (Local, DoNothing, 1.15),
        (Sync, ExtAuthzLog, 1.00),
        (Sync, Lua, 0.95),
        (Async, ExtAuthz, 0.72),
        (Local, ExtAuthz, 0.72),
    ] {
        for load in [Load::Peak, Load::Moderate] {
            let (over, under) = (by(lanes, over), by(lanes, under));
            bars.extend(bar(over, under, load, Figure::Cpu, Limit::AtMost(most)));
        }
    }
    let (local, nothing) = (by(lanes, Local), by(lanes, DoNothing));
    bars.extend(bar(
        local,
        nothing,
        Load::Moderate,
        Figure::P99,
        Limit::AtMost(1.3),
    ));
    bars
}

/// The bars on an ASE that is 20 ms late: the same filter with one that is not.
pub(crate) fn of_a_slow_ase(lanes: &[Lane]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for variant in [Variant::Async, Variant::Local] {
        let find = |backend| {
            lanes
                .iter()
                .find(|lane| lane.variant == variant && lane.backend == backend)
        };
        for (load, figure) in [
            (Load::Peak, Figure::Cpu),
            (Load::Peak, Figure::Rate),
            (Load::Moderate, Figure::Cpu),
            (Load::Moderate, Figure::P99),
        ] {
            let (late, prompt) = (find(Backend::SlowStub), find(Backend::Stub));
            bars.extend(bar(late, prompt, load, figure, Limit::Within(0.05)));
        }
    }
    bars
}

fn by(lanes: &[Lane], variant: Variant) -> Option<&Lane> {
    lanes.iter().find(|lane| lane.variant == variant)
}

fn bar(
    over: Option<&Lane>,
    under: Option<&Lane>,
    load: Load,
    figure: Figure,
    limit: Limit,
) -> Option<Bar> {
    let (over, under) = (over?, under?);
    let what = match figure {
        Figure::Cpu => "CPU/request",
        Figure::Rate => "requests/s",
        Figure::P99 => "p99",
    };
    let at = match load {
        Load::Peak => "at the peak",
        Load::Moderate => "at the moderate rate",
    };
    let name = format!("{what} {at}, {} : {}", over.label(), under.label());
    let ratios = ratios(&values(over, load, figure), &values(under, load, figure));
    Some(Bar::new(&name, limit, ratios))
}

fn values(lane: &Lane, load: Load, figure: Figure) -> Vec<f64> {
    let samples = match load {
        Load::Peak => &lane.peak,
        Load::Moderate => &lane.moderate,
    };
    let of = |sample: &Sample| match figure {
        Figure::Cpu => sample.cpu_us,
        Figure::Rate => sample.rate,
        Figure::P99 => sample.p99_us,
    };
    samples.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_goes_by_the_median_of_its_rounds() {
        let met = Bar::new(
            "async : do-nothing",
            Limit::AtMost(1.15),
            vec![1.1, 1.9, 1.15],
        );
        assert_eq!(
            met.line(),
            "bar async : do-nothing: ≤ 1.15, measured 1.15 (1.10–1.90), met"
        );
        assert!(!Bar::new("", Limit::AtMost(1.15), vec![1.2, 1.0, 1.2]).is_met());
    }

    #[test]
    fn within_a_part_is_in_both_directions() {
        for (measured, met) in [(0.94, false), (0.96, true), (1.04, true), (1.06, false)] {
            let bar = Bar::new("", Limit::Within(0.05), vec![measured]);
            assert_eq!(bar.is_met(), met, "{measured}");
        }
    }
}
