//! Which ASE a gateway in `local` mode calls for its image, and when: none while there is traffic, the other one when the first has gone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ase_core::address::ClientAddress;
use ase_core::policy_image::FingerprintBits;
use serde_json::{Value, json};
use system_tests::gateway::{
    Gateway, GatewayKind, GatewayPlan, Listener, filter_module, wait_for_image,
};
use system_tests::raw_client::Client;
use system_tests::scenario::configuration;
use system_tests::scripted_ase::ScriptedAse;
use system_tests::scripted_image::ScriptedImage;
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

const API: &str = r#"{"api_metadata": {"hostname": "*", "url": "/", "enable_blocking": true}}"#;
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(200);
const BUSY_TICKS: u32 = 20;
const WORKERS: u32 = 2;

#[test]
fn a_busy_gateway_hears_of_new_entries_without_a_call_and_an_idle_one_calls() -> Result<()> {
    let stage = Stage::set(GatewayKind::Envoy, &json!({"delivery": {"tick_ms": 200}}))?;
    let first = &stage.first;
    let mut connection = Client::connect(stage.gateway.address())?;
    let (begun, before) = (Instant::now(), calls(first));
    while begun.elapsed() < TICK * BUSY_TICKS {
        ensure!(connection.get_from(&address(9).to_string())? == 200);
        if begun.elapsed() > TICK * BUSY_TICKS / 2 && first.heard().questions.is_empty() {
            list(first, 8)?;
            wait::until_some(SETTLES_WITHIN, "a question about the new entry", || {
                connection.get_from(&address(8).to_string())?;
                Ok((!first.heard().questions.is_empty()).then_some(()))
            })?;
        }
    }
    // Every other tick is a call where nothing is heard.
    let (made, idle) = (calls(first) - before, BUSY_TICKS / 2);
    println!("{made} calls in {BUSY_TICKS} ticks of traffic");
    ensure!(made <= usize::try_from(idle / 3)?, "{made} calls");
    let quiet = calls(first);
    let called = first.wait(SETTLES_WITHIN, |heard| heard.image_calls.len() >= quiet + 5);
    ensure!(called, "nothing is called for without traffic");
    ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    Ok(())
}

#[test]
fn the_second_ase_serves_the_image_while_the_first_is_away() -> Result<()> {
    for kind in [GatewayKind::Wasmtime, GatewayKind::Envoy] {
        let mut stage = Stage::set(kind, &json!({"local": {"max_age_ms": 5000}}))?;
        ensure!(calls(&stage.second) == 0, "the first one is called");
        stage.first.go_down()?;
        list(&stage.second, 8)?;
        wait::until_some(SETTLES_WITHIN, "the entry of the second ASE", || {
            stage.send(8)?;
            Ok((!stage.second.heard().questions.is_empty()).then_some(()))
        })?;
        let whole = |target: &&String| !target.contains("have=");
        let heard = stage.second.heard();
        let fetched = heard.image_calls.iter().filter(whole).count();
        let batches = heard.batches.len();
        let asked = heard.questions.len();
        drop(heard);
        ensure!(fetched == 0, "{fetched} calls name no image");
        for _ in 0..20 {
            ensure!(stage.send(9)? == 200);
        }
        let told = stage
            .second
            .wait(SETTLES_WITHIN, |heard| heard.batches.len() > batches);
        ensure!(told, "records go to the second one");
        ensure!(
            stage.second.heard().questions.len() == asked,
            "nobody else is asked about"
        );
        ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    }
    Ok(())
}

struct Stage {
    gateway: Box<dyn Gateway>,
    first: ScriptedAse,
    second: ScriptedAse,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Stage {
    fn set(kind: GatewayKind, changes: &Value) -> Result<Self> {
        let folder = TempDir::with_prefix("ase-local-")?;
        let upstream = Upstream::start()?;
        let (first, second) = (ScriptedAse::start()?, ScriptedAse::start()?);
        first.heard().image = Some(image()?);
        // Each ASE builds its own.
        let mut other = image()?;
        for _ in 0..3 {
            other.rebuild()?;
        }
        second.heard().image = Some(other);
        let mut own = changes.clone();
        let settings = own.as_object_mut().context("changes are an object")?;
        settings.insert("mode".to_owned(), json!("local"));
        let secondary = json!({"secondary": {"cluster": "ase-2", "cool_down_ms": 60_000}});
        settings.insert("ase".to_owned(), secondary);
        let listener = Listener {
            workers: Some(WORKERS),
            ..Listener::default()
        };
        let vms = kind.vms(&listener);
        let gateway = kind.start(&GatewayPlan {
            module: filter_module(),
            plugin_configuration: configuration(&own),
            upstream: upstream.address(),
            clusters: BTreeMap::from([
                ("ase".to_owned(), vec![first.address()]),
                ("ase-2".to_owned(), vec![second.address()]),
            ]),
            listener,
            folder: folder.path().to_path_buf(),
        })?;
        wait_for_image(&*gateway, vms)?;
        Ok(Self {
            gateway,
            first,
            second,
            _upstream: upstream,
            _folder: folder,
        })
    }

    fn send(&self, client: u8) -> Result<u16> {
        Client::connect(self.gateway.address())?.get_from(&address(client).to_string())
    }
}

fn image() -> Result<ScriptedImage> {
    ScriptedImage::of(API, [address(7)].into_iter(), FingerprintBits::Eight)
}

fn list(ase: &ScriptedAse, client: u8) -> Result<()> {
    let mut heard = ase.heard();
    let image = heard.image.as_mut().context("there is an image")?;
    image.list(address(client))
}

fn calls(ase: &ScriptedAse) -> usize {
    ase.heard().image_calls.len()
}

fn address(client: u8) -> ClientAddress {
    ClientAddress::from(IpAddr::from(Ipv4Addr::new(203, 0, 113, client)))
}
