//! `envoy/bootstrap.yaml` in a real Envoy, with a real ASE: it is taken without a complaint, its filter does its work with the capabilities that it is left, and
//! health checks choose between ASEs but never turn inspection off.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::gateway::{filter_module, repository};
use system_tests::real_ase::{RealAse, RealAsePlan};
use system_tests::server::HeldPort;
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

use crate::envoy::{self, Envoy, get};
use crate::files;

/// The connection manager.
pub(crate) const MANAGER: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// The filter's plugin configuration, as Envoy calls it.
pub(crate) const PLUGIN: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";

/// The machine that the filter runs in.
pub(crate) const VM: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/vm_config";

/// The filter's own configuration, as text.
pub(crate) const CONFIGURATION: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/configuration/value";

/// The host of an address, below whatever has one.
const ADDRESS: &str = "address/socket_address/address";

/// The port of an address.
pub(crate) const PORT: &str = "address/socket_address/port_value";

/// The one endpoint of a cluster.
pub(crate) const ENDPOINT: &str = "load_assignment/endpoints/0/lb_endpoints/0/endpoint";

/// Longest wait for something that takes a few seconds at most.
const SOON: Duration = Duration::from_secs(20);

const LISTED: &str = "x-forwarded-for: 203.0.113.7\r\n";
const OTHER: &str = "x-forwarded-for: 198.51.100.20\r\n";

#[test]
fn envoy_takes_the_bootstrap_and_has_nothing_to_say_about_it() -> Result<()> {
    let log = envoy::judge(&placed(nowhere(), nowhere())?)?;
    ensure!(log.is_empty(), "{log}");
    Ok(())
}

#[test]
fn envoy_takes_the_bootstrap_of_the_demo_in_containers() -> Result<()> {
    let mut demo = files::at(&files::documents("envoy/demo/envoy.yaml")?, "/0")?.clone();
    *place(&mut demo, &format!("{VM}/code/local/filename"))? = json!(filter_module());
    let log = envoy::judge(&demo)?;
    ensure!(log.is_empty(), "{log}");
    Ok(())
}

#[test]
fn the_containers_of_the_demo_run_the_bootstrap_but_for_addresses_a_token_and_a_hop() -> Result<()>
{
    let demo = files::at(&files::documents("envoy/demo/envoy.yaml")?, "/0")?.clone();
    let mut expected = shipped()?;
    let mut configuration: Value =
        serde_json::from_str(files::text(files::at(&expected, CONFIGURATION)?)?)?;
    let told: Value = serde_json::from_str(files::text(files::at(&demo, CONFIGURATION)?)?)?;
    let token = files::at(&told, "/ase/token")?;
    configuration["ase"]["token"] = token.clone();
    ensure!(told == configuration, "{told}");
    let daemon = std::fs::read_to_string(repository().join("envoy/demo/ase.toml"))?;
    ensure!(daemon.contains(&format!("value = {token}")));
    let differing = [
        format!("/admin/{ADDRESS}"),
        format!("/static_resources/listeners/0/{ADDRESS}"),
        format!("/static_resources/clusters/0/{ENDPOINT}/{ADDRESS}"),
        format!("/static_resources/clusters/1/{ENDPOINT}/{ADDRESS}"),
        "/static_resources/clusters/0/type".to_owned(),
        "/static_resources/clusters/1/type".to_owned(),
        format!("{MANAGER}/xff_num_trusted_hops"),
        CONFIGURATION.to_owned(),
    ];
    for pointer in differing {
        let value = files::at(&demo, &pointer)?;
        let place = place(&mut expected, &pointer)?;
        ensure!(place != value, "{pointer} does not differ");
        *place = value.clone();
    }
    ensure!(demo == expected, "{demo}");
    Ok(())
}

#[test]
fn envoy_takes_the_cluster_that_envoy_gateway_is_told_to_add() -> Result<()> {
    let mut bootstrap = placed(nowhere(), nowhere())?;
    *place(&mut bootstrap, "/static_resources/clusters/0")? = files::patched_cluster()?;
    let log = envoy::judge(&bootstrap)?;
    ensure!(log.is_empty(), "{log}");
    Ok(())
}

#[test]
fn the_filter_does_its_work_with_no_more_than_the_listed_capabilities() -> Result<()> {
    let (ase, upstream, _folder) = neighbours()?;
    let envoy = Envoy::start(&placed(ase.data_address(), upstream.address())?)?;
    ensure!(get(envoy.listener(), "/shop/books", OTHER)?.0 == 200);
    ensure!(get(envoy.listener(), "/shop/books", LISTED)?.0 == 403);
    let lines = wait::until_some(SOON, "two lines in the access log", || {
        Ok(Some(ase.access_log()).filter(|lines| lines.len() == 2))
    })?;
    let decisions: Vec<_> = lines.iter().map(|line| &line["decision"]).collect();
    ensure!(
        decisions.contains(&&json!("verdict")) && decisions.contains(&&json!("denied")),
        "{lines:?}"
    );
    ensure!(envoy.stat("wasmcustom.ase_deny_listed")? == 1);
    ensure!(envoy.stat("wasmcustom.ase_permit_verdict")? == 1);
    // Envoy logs each refusal of a capability as an error, and so does the filter each that matters to it.
    ensure!(!envoy.log().contains("[error]"), "{}", envoy.log());
    Ok(())
}

#[test]
fn of_two_ases_the_dead_one_is_not_asked() -> Result<()> {
    let (ase, upstream, _folder) = neighbours()?;
    let mut bootstrap = placed(ase.data_address(), upstream.address())?;
    let endpoints = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints";
    let mut dead = files::at(&bootstrap, &format!("{endpoints}/0"))?.clone();
    // Held, so that nobody else listens there.
    let held = HeldPort::any()?;
    *place(&mut dead, &format!("/endpoint/{PORT}"))? = json!(held.address().port());
    place(&mut bootstrap, endpoints)?
        .as_array_mut()
        .context("endpoints")?
        .push(dead);
    let envoy = Envoy::start(&bootstrap)?;
    wait::until_some(SOON, "Envoy knowing who is well", || {
        let well = envoy.stat("cluster.ase.membership_healthy")?;
        Ok(Some(()).filter(|()| well == 1))
    })?;
    for _ in 0..20 {
        ensure!(get(envoy.listener(), "/shop/books", LISTED)?.0 == 403);
    }
    Ok(())
}

#[test]
fn an_ase_that_no_check_finds_well_is_asked_all_the_same() -> Result<()> {
    let (ase, upstream, _folder) = neighbours()?;
    let mut bootstrap = placed(ase.data_address(), upstream.address())?;
    let path = "/static_resources/clusters/0/health_checks/0/http_health_check/path";
    *place(&mut bootstrap, path)? = json!("/no/such/page");
    let envoy = Envoy::start(&bootstrap)?;
    wait::until_some(SOON, "a health check that failed", || {
        let failed = envoy.stat("cluster.ase.health_check.failure")?;
        Ok(Some(()).filter(|()| failed > 0))
    })?;
    ensure!(envoy.stat("cluster.ase.membership_healthy")? == 0);
    ensure!(get(envoy.listener(), "/shop/books", LISTED)?.0 == 403);
    Ok(())
}

/// The bootstrap as it is shipped.
pub(crate) fn shipped() -> Result<Value> {
    let documents = files::documents("envoy/bootstrap.yaml")?;
    Ok(files::at(&documents, "/0")?.clone())
}

/// The bootstrap with addresses and files of this machine, and one trusted hop, so that a test can play several clients. Nothing else is changed.
fn placed(ase: SocketAddr, upstream: SocketAddr) -> Result<Value> {
    let mut bootstrap = shipped()?;
    for (at, value) in [
        (format!("/admin/{PORT}"), json!(0)),
        (format!("/static_resources/listeners/0/{PORT}"), json!(0)),
        (
            format!("/static_resources/clusters/0/{ENDPOINT}/{PORT}"),
            json!(ase.port()),
        ),
        (
            format!("/static_resources/clusters/1/{ENDPOINT}/{PORT}"),
            json!(upstream.port()),
        ),
        (format!("{VM}/code/local/filename"), json!(filter_module())),
        (format!("{MANAGER}/xff_num_trusted_hops"), json!(1)),
    ] {
        *place(&mut bootstrap, &at)? = value;
    }
    Ok(bootstrap)
}

pub(crate) fn place<'a>(value: &'a mut Value, pointer: &str) -> Result<&'a mut Value> {
    value
        .pointer_mut(pointer)
        .with_context(|| format!("the bootstrap has nothing at {pointer}"))
}

/// An address that nobody is asked at.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// A daemon with one API and one client on its deny list.
pub(crate) fn shop_without(client: &str) -> RealAsePlan {
    RealAsePlan {
        apis: [(
            "shop".to_owned(),
            json!({"api_metadata": {"protocol": "http", "url": "/shop", "hostname": "*", "enable_blocking": true}}),
        )]
        .into(),
        deny: vec![client.to_owned()],
        ..RealAsePlan::default()
    }
}

/// Such a daemon, and the API.
fn neighbours() -> Result<(RealAse, Upstream, TempDir)> {
    let folder = TempDir::new()?;
    let plan = shop_without("ip 203.0.113.7");
    Ok((
        RealAse::start(&plan, folder.path())?,
        Upstream::start()?,
        folder,
    ))
}
