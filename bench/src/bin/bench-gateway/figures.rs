//! The tables and the chart: medians of rounds, ratios with their lowest and highest round.

use ase_bench::statistics::{median, range, ratios};

use crate::chart::{self, Column};
use crate::rounds::{Lane, Sample};
use crate::table::Table;
use crate::variant::{Backend, Variant};

/// What each variant costs, and its ratio to the filter that does nothing.
pub(crate) fn costs(lanes: &[Lane], rate: f64) -> Table {
    Table {
        title: "Every variant, the stub behind each".to_owned(),
        columns: columns(rate, "× do-nothing"),
        rows: rows(lanes, |_| nothing(lanes)),
    }
}

/// Our filter with an ASE that is late, and the ratio to one that is not.
pub(crate) fn slow(lanes: &[Lane], rate: f64) -> Table {
    let prompt = |lane: &Lane| {
        lanes
            .iter()
            .find(|other| other.variant == lane.variant && other.backend == Backend::Stub)
    };
    Table {
        title: "ASE 20 ms late".to_owned(),
        columns: columns(rate, "× prompt"),
        rows: rows(lanes, prompt),
    }
}

/// Our filter with a real ASE.
pub(crate) fn real_ase(lanes: &[Lane], rate: f64) -> Table {
    let mut table = Table {
        title: "A real ASE, so many in a hundred requests of listed clients".to_owned(),
        columns: columns(rate, "× do-nothing"),
        rows: rows(lanes, |_| nothing(lanes)),
    };
    table.columns.push("answered 403".to_owned());
    for (lane, row) in lanes.iter().zip(&mut table.rows) {
        let refused = of(&lane.peak, |sample| sample.refused_percent);
        row.push(format!("{refused:.1} %"));
    }
    table
}

/// The first table's CPU time at the peak.
pub(crate) fn chart(lanes: &[Lane]) -> String {
    let bars: Vec<Column> = lanes
        .iter()
        .map(|lane| {
            let cost = of(&lane.peak, |sample| sample.cpu_us);
            let label = match nothing(lanes) {
                Some(base) => format!("{cost:.0} µs, {:.2} ×", median(&cpu(lane, base, peak))),
                None => format!("{cost:.0} µs"),
            };
            Column {
                name: lane.label(),
                value: cost,
                label,
                ours: lane.variant.mode().is_some(),
            }
        })
        .collect();
    chart::svg(
        "Envoy's CPU time per request",
        "One worker at its peak, on loopback, one run; × is to a wasm filter that does nothing. Shorter is better.",
        &bars,
    )
}

fn nothing(lanes: &[Lane]) -> Option<&Lane> {
    lanes.iter().find(|lane| lane.variant == Variant::DoNothing)
}

fn columns(rate: f64, ratio: &str) -> Vec<String> {
    vec![
        "variant".to_owned(),
        "CPU µs a request, peak".to_owned(),
        ratio.to_owned(),
        format!("CPU µs, {rate:.0}/s"),
        ratio.to_owned(),
        "requests/s, peak".to_owned(),
        "Envoy busy".to_owned(),
        format!("p50 µs, {rate:.0}/s"),
        "p99 µs".to_owned(),
    ]
}

fn rows<'a>(lanes: &'a [Lane], base: impl Fn(&Lane) -> Option<&'a Lane>) -> Vec<Vec<String>> {
    let row = |lane: &Lane| {
        let base = base(lane);
        vec![
            lane.label(),
            figure(of(&lane.peak, |sample| sample.cpu_us)),
            ratio(lane, base, peak),
            figure(of(&lane.moderate, |sample| sample.cpu_us)),
            ratio(lane, base, moderate),
            format!("{:.0}", of(&lane.peak, |sample| sample.rate)),
            format!("{:.0} %", 100.0 * of(&lane.peak, |sample| sample.busy)),
            figure(of(&lane.moderate, |sample| sample.p50_us)),
            figure(of(&lane.moderate, |sample| sample.p99_us)),
        ]
    };
    lanes.iter().map(row).collect()
}

fn peak(lane: &Lane) -> &[Sample] {
    &lane.peak
}

fn moderate(lane: &Lane) -> &[Sample] {
    &lane.moderate
}

fn of(samples: &[Sample], what: fn(&Sample) -> f64) -> f64 {
    median(&samples.iter().map(what).collect::<Vec<f64>>())
}

/// The ratios of CPU time, round by round.
fn cpu(lane: &Lane, base: &Lane, load: fn(&Lane) -> &[Sample]) -> Vec<f64> {
    let each = |lane| -> Vec<f64> { load(lane).iter().map(|sample| sample.cpu_us).collect() };
    ratios(&each(lane), &each(base))
}

/// The median ratio of CPU time, with the lowest and highest round.
fn ratio(lane: &Lane, base: Option<&Lane>, load: fn(&Lane) -> &[Sample]) -> String {
    let Some(base) = base else {
        return "-".to_owned();
    };
    let ratios = cpu(lane, base, load);
    let (low, high) = range(&ratios);
    format!("{:.2} ({low:.2}–{high:.2})", median(&ratios))
}

fn figure(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
