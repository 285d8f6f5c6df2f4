//! Which Envoys run, and what of their rounds stands in the tables.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ase_bench::statistics::{median, range, ratios};
use ase_filter::config::Config;

use crate::arguments::Arguments;
use crate::envoy::Envoy;
use crate::envoy_config::{self, Places, plugin_configuration};
use crate::rounds::{self, Lane, Plan, Sample};
use crate::stub::{SLOW, Stub};
use crate::table::Table;
use crate::variant::{Backend, Variant};

/// Runs everything; the tables in the order of reading.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Table>> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        rounds: arguments.rounds,
        length: arguments.length,
        per_second: arguments.per_second,
    };
    let mut lanes = Vec::new();
    for variant in &arguments.only {
        if let Some(mode) = variant.mode()
            && let Err(faults) = Config::parse(plugin_configuration(mode)?.as_bytes())
        {
            eprintln!("MISSING: {}: {faults}", variant.description());
            continue;
        }
        let backend = Backend::Stub;
        lanes.push(start(arguments, folder.path(), *variant, backend).await?);
    }
    let rate = rounds::play("variants", &mut lanes, plan).await?;
    let tables = vec![costs(&lanes, rate)];
    if let Some(file) = &arguments.out {
        let text: Vec<String> = tables.iter().map(Table::markdown).collect();
        std::fs::write(file, text.join("\n"))?;
    }
    Ok(tables)
}

async fn start(
    arguments: &Arguments,
    folder: &Path,
    variant: Variant,
    backend: Backend,
) -> Result<Lane> {
    let stub = Stub::start(match backend {
        Backend::Stub | Backend::Ase => Duration::ZERO,
        Backend::SlowStub => SLOW,
    });
    let stub = stub.await?;
    let places = Places {
        ase: stub.ase,
        grpc: stub.grpc,
        upstream: stub.upstream,
        filter: arguments.filter.clone(),
        do_nothing: arguments.do_nothing.clone(),
    };
    let bootstrap = envoy_config::bootstrap(variant, &places)?;
    let folder = folder.join(format!("{}-{backend:?}", variant.name()));
    let envoy = Envoy::start(&arguments.envoy, &folder, &bootstrap).await;
    let envoy = envoy.with_context(|| variant.name())?;
    Ok(Lane::new(
        variant,
        backend,
        0,
        &Rc::new(envoy),
        &Rc::new(stub),
    ))
}

/// The first table: each variant's cost, and its ratio to the filter that does nothing.
fn costs(lanes: &[Lane], rate: f64) -> Table {
    let base = lanes.iter().find(|lane| lane.variant == Variant::DoNothing);
    let rows = lanes.iter().map(|lane| {
        let of = |samples: &[Sample], what: fn(&Sample) -> f64| median(&each(samples, what));
        vec![
            lane.variant.description().to_owned(),
            figure(of(&lane.peak, |sample| sample.cpu_us)),
            ratio(&lane.peak, base.map(|base| base.peak.as_slice())),
            figure(of(&lane.moderate, |sample| sample.cpu_us)),
            ratio(&lane.moderate, base.map(|base| base.moderate.as_slice())),
            format!("{:.0}", of(&lane.peak, |sample| sample.rate)),
            format!("{:.0} %", 100.0 * of(&lane.peak, |sample| sample.busy)),
            figure(of(&lane.moderate, |sample| sample.p50_us)),
            figure(of(&lane.moderate, |sample| sample.p99_us)),
        ]
    });
    let columns = [
        "variant".to_owned(),
        "CPU µs/request at the peak".to_owned(),
        "× do-nothing".to_owned(),
        format!("CPU µs/request at {rate:.0}/s"),
        "× do-nothing".to_owned(),
        "requests/s at the peak".to_owned(),
        "Envoy busy".to_owned(),
        format!("p50 µs at {rate:.0}/s"),
        "p99 µs".to_owned(),
    ];
    Table {
        title: "Envoy's CPU time per request, one worker, the stub behind every variant".to_owned(),
        columns: columns.to_vec(),
        rows: rows.collect(),
    }
}

fn each(samples: &[Sample], what: fn(&Sample) -> f64) -> Vec<f64> {
    samples.iter().map(what).collect()
}

fn figure(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// The median ratio of CPU time, with the lowest and highest round.
fn ratio(samples: &[Sample], base: Option<&[Sample]>) -> String {
    let Some(base) = base else {
        return "-".to_owned();
    };
    let cpu = |sample: &Sample| sample.cpu_us;
    let ratios = ratios(&each(samples, cpu), &each(base, cpu));
    let (low, high) = range(&ratios);
    format!("{:.2} ({low:.2}–{high:.2})", median(&ratios))
}
