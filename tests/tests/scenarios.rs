//! Every scenario on every gateway that runs it, one test each, named `<gateway>::<file>::<scenario>`.
//!
//! Assumes the filter's wasm file, an Envoy and the `ase` binary; what is missing fails the tests that need it.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use system_tests::gateway::GatewayKind;
use system_tests::{matrix, run, scenario};

/// Gateways that run at once unless `--test-threads` says otherwise: each Envoy compiles the filter when it starts.
const GATEWAYS_AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(GATEWAYS_AT_ONCE);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let trials = match every_scenario(&folder) {
        Ok(scenarios) => {
            let (written, cells) = scenarios;
            let local = written.clone().into_iter().flat_map(local_trials);
            let all = written.into_iter().chain(cells).flat_map(trials);
            all.chain(local).collect()
        }
        Err(fault) => vec![Trial::test("scenario files can be read", move || {
            Err(Failed::from(format!("{fault:#}")))
        })],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Named = (String, scenario::Scenario);

/// Those that are written down, and the cells of the failure matrix, which has its own for each mode.
fn every_scenario(folder: &Path) -> anyhow::Result<(Vec<Named>, Vec<Named>)> {
    let written = scenario::read_folder(folder)?;
    let cells = matrix::scenarios()?.into_iter();
    let cells = cells.map(|cell| ("failure_matrix".to_owned(), cell));
    Ok((written, cells.collect()))
}

/// What holds in `sync` holds in `local` too: without an image on the quick gateway, with the daemon's on Envoy as well.
fn local_trials((file, scenario): (String, scenario::Scenario)) -> Vec<Trial> {
    let Some(local) = scenario.in_local_mode() else {
        return Vec::new();
    };
    let with_image = local.daemon.is_some();
    let gateways = [GatewayKind::Wasmtime, GatewayKind::Envoy]
        .into_iter()
        .filter(|gateway| local.runs_on(*gateway))
        .filter(|gateway| with_image || *gateway == GatewayKind::Wasmtime);
    gateways
        .map(|gateway| {
            let scenario = local.clone();
            let name = format!("{}::{file}::{} (local)", gateway.name(), scenario.name);
            Trial::test(name, move || {
                run::run(&scenario, gateway).map_err(|fault| Failed::from(format!("{fault:#}")))
            })
        })
        .collect()
}

fn trials((file, scenario): (String, scenario::Scenario)) -> Vec<Trial> {
    let gateways = GatewayKind::ALL
        .into_iter()
        .filter(|gateway| scenario.runs_on(*gateway));
    gateways
        .map(|gateway| {
            let scenario = scenario.clone();
            let name = format!("{}::{file}::{}", gateway.name(), scenario.name);
            Trial::test(name, move || {
                run::run(&scenario, gateway).map_err(|fault| Failed::from(format!("{fault:#}")))
            })
        })
        .collect()
}
