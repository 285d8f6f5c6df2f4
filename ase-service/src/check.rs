//! `ase check`: every fault of the settings and of what they name (files, folders, ports), without starting anything.

use std::path::Path;

use crate::config::{Overrides, Settings};
use crate::data_port::PROTOCOLS;
use crate::definitions;
use crate::lists::{describe, read_list_file};
use crate::management;
use crate::state::{FILE, State, StateError};
use crate::tls::Tls;

mod places;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// What must be corrected.
    pub faults: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// How many APIs are good; `None` when no folder is configured or it cannot be read.
    pub apis: Option<usize>,
}

/// Checks the settings and, as far as they can be read, the files that they name.
#[must_use]
pub fn check(config: Option<&Path>, overrides: &Overrides) -> Report {
    let mut report = Report::default();
    let settings = match Settings::load(config, overrides) {
        Ok(settings) => settings,
        Err(error) => {
            let file = config.map_or_else(String::new, |path| format!("{}: ", path.display()));
            report.faults.extend(error.to_string().lines().map(|line| {
                if line.starts_with(&file) {
                    line.to_owned()
                } else {
                    format!("{file}{line}")
                }
            }));
            return report;
        }
    };
    if let Some(tls) = &settings.transport.tls
        && let Err(error) = Tls::load(tls.files.clone(), &PROTOCOLS)
    {
        report.faults.push(format!("data_tls: {error}"));
    }
    places::look(&settings, &mut report);
    check_guard(&settings, &mut report);
    match settings.api_dir.as_deref().map(definitions::load) {
        None => report.warnings.push(
            "api_dir: is not set, so no API is registered and every question is answered 503"
                .to_owned(),
        ),
        Some(Err(error)) => report.faults.push(error.to_string()),
        Some(Ok(found)) => {
            report.apis = Some(found.registry.len());
            report.faults.extend(found.faults);
            report.warnings.extend(found.warnings);
        }
    }
    for path in [&settings.attack_list_file, &settings.allow_list_file]
        .into_iter()
        .flatten()
    {
        match read_list_file(path) {
            Err(error) => report.faults.push(error.to_string()),
            Ok(list) => report
                .faults
                .extend(list.faults.iter().map(|fault| describe(path, fault))),
        }
    }
    report
}

/// Whether the data port may be open, by the configured tokens and by those that the state holds.
fn check_guard(settings: &Settings, report: &mut Report) {
    let Err(fault) = settings.guarded() else {
        return;
    };
    let stored = match settings.state_dir.join(FILE).exists() {
        false => Ok(()),
        true => State::open(&settings.state_dir).and_then(|state| {
            let (mut switches, mut listing) =
                (settings.real_time.switches, settings.engine.listing);
            management::restore(&state, (&mut switches, &mut listing), &settings.tokens)
        }),
    };
    match (stored, settings.guarded()) {
        (Ok(()), Ok(())) => {}
        (Ok(()), Err(_)) => report.faults.push(fault),
        // The daemon that has it would not run without being guarded; whether by its tokens cannot be seen.
        (Err(StateError::InUse { .. }), _) => report.warnings.push(format!(
            "{fault}; whether there are stored tokens cannot be seen while a daemon runs"
        )),
        (Err(error), _) => report.faults.push(error.to_string()),
    }
}
