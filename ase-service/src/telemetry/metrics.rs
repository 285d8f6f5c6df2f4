//! The page of metrics: every counter, gauge and histogram under its Prometheus name. `docs/metrics.md` lists them.

use std::path::Path;

use ase_core::time::UnixMillis;
use ase_core::transaction::VerdictLabel;

use super::exposition::{Kind, Page};
use super::process;
use crate::ase::Ase;
use crate::clock;
use crate::counters::Counters;

/// How the counters of one group of `GET /v1/counters` are named.
struct Naming {
    group: &'static str,
    metric: &'static str,
    label: Label,
    help: &'static str,
}

enum Label {
    /// One metric, the counter's own name as the value of this label; names that begin with `total` stand apart.
    Value(&'static str),
    /// One metric per counter, its name behind this prefix.
    Apart(&'static str),
}

/// A group that has no line here gets the label `event`.
const NAMINGS: [Naming; 9] = [
    Naming {
        group: "request parsing errors",
        metric: "ase_request_errors_total",
        label: Label::Value("error"),
        help: "Faults of refused questions, by their documented names.",
    },
    Naming {
        group: "response parsing errors",
        metric: "ase_response_errors_total",
        label: Label::Value("error"),
        help: "Faults of refused response calls, by their documented names.",
    },
    Naming {
        group: "verdicts",
        metric: "ase_verdicts_total",
        label: Label::Value("verdict"),
        help: "Answers to questions.",
    },
    Naming {
        group: "correlation",
        metric: "ase_correlation_events_total",
        label: Label::Value("event"),
        help: "Exchanges of old policies that did not find their response call.",
    },
    Naming {
        group: "batches",
        metric: "ase_batch_events_total",
        label: Label::Value("event"),
        help: "What became of batches and of the records in them.",
    },
    Naming {
        group: "access log",
        metric: "ase_access_log",
        label: Label::Apart("ase_access_log_"),
        help: "Access log:",
    },
    Naming {
        group: "data port",
        metric: "ase_data_port_events_total",
        label: Label::Value("event"),
        help: "Events of the data port.",
    },
    Naming {
        group: "real-time detections",
        metric: "ase_real_time_detections_total",
        label: Label::Value("event"),
        help: "Requests that broke a real-time rule, and what the rules had no room for.",
    },
    Naming {
        group: "policy image",
        metric: "ase_policy_image_events_total",
        label: Label::Value("event"),
        help: "What became of policy images and of the questions for them.",
    },
];

/// The whole page.
#[must_use]
pub fn page(ase: &Ase, access_log: &Path, started: UnixMillis) -> String {
    let mut page = Page::default();
    about(&mut page, started);
    counters(&mut page, &ase.counters);
    verdicts_by_api(&mut page, ase);
    exchanges(&mut page, ase);
    latencies(&mut page, ase);
    connections(&mut page, ase);
    sizes(&mut page, ase);
    access_log_gauges(&mut page, ase, access_log);
    ase.engine.tallies.write(&mut page, ase.engine.waiting());
    policy_images(&mut page, ase);
    spans(&mut page, ase);
    process_gauges(&mut page);
    page.into_text()
}

fn about(page: &mut Page, started: UnixMillis) {
    let mut build = page.family(
        "ase_build_info",
        Kind::Gauge,
        "Which version runs; always 1.",
    );
    build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let help = "When the daemon started, in seconds since 1970.";
    let seconds = started.0 / 1000;
    page.single("ase_start_time_seconds", Kind::Gauge, help, seconds);
}

fn counters(page: &mut Page, counters: &Counters) {
    for (group, counters) in counters.groups() {
        match NAMINGS.iter().find(|naming| naming.group == group) {
            Some(naming) => named(page, naming, &counters),
            None => {
                let metric = format!("ase_{}_total", snake(group));
                let mut family = page.family(&metric, Kind::Counter, group);
                for (name, count) in &counters {
                    family.sample(&[("event", name)], count);
                }
            }
        }
    }
}

fn named(page: &mut Page, naming: &Naming, counters: &[(String, u64)]) {
    match naming.label {
        Label::Apart(prefix) => {
            for (name, count) in counters {
                let metric = format!("{prefix}{}_total", snake(name));
                let help = format!("{} {name}.", naming.help);
                page.single(&metric, Kind::Counter, &help, count);
            }
        }
        Label::Value(label) => {
            let total = |(name, _): &&(String, u64)| name.starts_with("total ");
            for (name, count) in counters.iter().filter(total) {
                let metric = format!("ase_{}_total", snake(name.trim_start_matches("total ")));
                let help = format!("{name}, each once however many faults it had.");
                page.single(&metric, Kind::Counter, &help, count);
            }
            let mut family = page.family(naming.metric, Kind::Counter, naming.help);
            for (name, count) in counters.iter().filter(|counter| !total(counter)) {
                family.sample(&[(label, name)], count);
            }
        }
    }
}

fn verdicts_by_api(page: &mut Page, ase: &Ase) {
    let help = "Verdicts of questions that belong to an API.";
    let mut family = page.family("ase_api_verdicts_total", Kind::Counter, help);
    for (api, counts) in ase.telemetry.verdicts.read() {
        let given = VerdictLabel::ALL.iter().zip(counts);
        for (label, count) in given.filter(|(_, count)| *count > 0) {
            family.sample(&[("api", api.as_str()), ("verdict", label.as_str())], count);
        }
    }
}

fn exchanges(page: &mut Page, ase: &Ase) {
    let exchanges = ase.log.exchanges();
    let help = "Exchanges that went into the access log's queue, by what the gateway did and how they ended.";
    let mut family = page.family("ase_exchanges_total", Kind::Counter, help);
    for ((decision, outcome), count) in exchanges.ended() {
        family.sample(&[("decision", decision), ("outcome", outcome)], count);
    }
    let help =
        "Exchanges for which the gateway could not have a verdict, by what it did then and why.";
    let mut family = page.family("ase_gateway_failures_total", Kind::Counter, help);
    for ((decision, cause), count) in exchanges.failed() {
        family.sample(&[("decision", decision), ("cause", cause)], count);
    }
}

fn latencies(page: &mut Page, ase: &Ase) {
    let help = "From the whole body of a question to its answer, inside ASE.";
    page.family("ase_request_seconds", Kind::Histogram, help)
        .histogram(&ase.telemetry.question_time.read());
    let help = "From the whole body of a batch to its answer, the wait for the disk included.";
    page.family("ase_batch_seconds", Kind::Histogram, help)
        .histogram(&ase.telemetry.batch_time.read());
}

fn connections(page: &mut Page, ase: &Ase) {
    let help = "Open connections to the data port.";
    let mut family = page.family("ase_data_port_connections", Kind::Gauge, help);
    for (listener, open) in ase.telemetry.connections.read() {
        family.sample(&[("listener", listener)], open);
    }
    let help = "Most connections that may be open, over all listeners.";
    let most = ase.limits.transport.connections;
    page.single("ase_data_port_connections_limit", Kind::Gauge, help, most);
}

fn sizes(page: &mut Page, ase: &Ase) {
    let snapshot = ase.snapshot.load();
    let help = "API definitions in force.";
    page.single("ase_apis", Kind::Gauge, help, snapshot.registry.len());
    let help = "Entries of the lists, by kind of identifier and by who listed them.";
    let mut family = page.family("ase_list_entries", Kind::Gauge, help);
    for size in ase.telemetry.list_sizes.of(&snapshot) {
        let labels = [
            ("list", size.list),
            ("kind", size.kind),
            ("source", size.source),
        ];
        family.sample(&labels, size.entries);
    }
    let help = "Exchanges of old policies that wait for their response call.";
    let waiting = ase.waiting();
    page.single("ase_correlation_entries", Kind::Gauge, help, waiting);
}

fn access_log_gauges(page: &mut Page, ase: &Ase, access_log: &Path) {
    let help = "Lines that wait for the access log's writer.";
    let (waiting, waiting_bytes) = ase.log.waiting();
    page.single("ase_access_log_queue_lines", Kind::Gauge, help, waiting);
    let help = "Most lines that may wait; one more is dropped, or its batch is answered 503.";
    let (capacity, capacity_bytes) = ase.log.capacity();
    page.single("ase_access_log_queue_capacity", Kind::Gauge, help, capacity);
    let help = "Bytes of the lines that wait.";
    page.single(
        "ase_access_log_queue_bytes",
        Kind::Gauge,
        help,
        waiting_bytes,
    );
    let help = "Most bytes that may wait.";
    page.single(
        "ase_access_log_queue_capacity_bytes",
        Kind::Gauge,
        help,
        capacity_bytes,
    );
    if let Some(free) = process::free_bytes(access_log) {
        let help = "Bytes that ASE may still write where the access log is.";
        page.single("ase_access_log_free_bytes", Kind::Gauge, help, free);
    }
}

fn policy_images(page: &mut Page, ase: &Ase) {
    let held = ase.images.held();
    let help = "Bytes of the policy image that gateways fetch, without its overlay; absent until one asks.";
    let mut family = page.family("ase_policy_image_bytes", Kind::Gauge, help);
    for image in &held {
        family.sample(&[("bits", image.bits)], image.bytes);
    }
    let help = "Identifiers listed since the policy image was built, as of the last call for it.";
    let mut family = page.family("ase_policy_image_overlay_records", Kind::Gauge, help);
    for image in &held {
        family.sample(&[("bits", image.bits)], image.records);
    }
    let help = "How long the last build of a policy image took.";
    let mut family = page.family("ase_policy_image_build_seconds", Kind::Gauge, help);
    for image in &held {
        family.sample(&[("bits", image.bits)], image.took.as_secs_f64());
    }
}

fn spans(page: &mut Page, ase: &Ase) {
    let counts = &ase.telemetry.spans;
    let help = "Spans that the OpenTelemetry collector took.";
    let exported = counts.exported();
    page.single(
        "ase_otel_spans_exported_total",
        Kind::Counter,
        help,
        exported,
    );
    let help = "Spans that were lost because the collector was slow or dead.";
    let lost = counts.lost();
    page.single("ase_otel_spans_dropped_total", Kind::Counter, help, lost);
}

fn process_gauges(page: &mut Page) {
    let now = clock::now().0 / 1000;
    page.single(
        "ase_time_seconds",
        Kind::Gauge,
        "ASE's clock, in seconds since 1970.",
        now,
    );
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory.",
            process::resident_bytes(),
        ),
        (
            "process_open_fds",
            "Open file descriptors.",
            process::open_descriptors(),
        ),
        (
            "process_max_fds",
            "Most file descriptors that may be open.",
            process::most_descriptors(),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.single(name, Kind::Gauge, help, value);
        }
    }
}

fn snake(name: &str) -> String {
    name.replace([' ', '-'], "_")
}
