//! `local` mode before a scripted ASE that serves a policy image: who is asked about, by which worker, how soon, and what the image costs in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
use system_tests::scripted_ase::{Answer, ScriptedAse};
use system_tests::scripted_image::ScriptedImage;
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

const API: &str = r#"{"api_metadata": {"hostname": "*", "url": "/", "enable_blocking": true}}"#;
const TRAPPED_API: &str = r#"{"api_metadata": {"hostname": "*", "url": "/", "enable_blocking": true, "decoy_config": {"decoy_enabled": true, "response_code": 200, "decoy_subpaths": ["/secret"]}}}"#;
const SETTLES_WITHIN: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);
const ENTRIES: u32 = 1_000_000;
/// What a hook may take in WebAssembly instructions: the 5 ms for which it may hold a worker, at two instructions a nanosecond, which is slow.
const HOLDS_A_WORKER: u64 = 10_000_000;

#[test]
fn only_a_client_that_may_be_listed_is_asked_about() -> Result<()> {
    for kind in GatewayKind::ALL {
        let stage = Stage::set(kind, API, &[7], &json!({}))?;
        stage.wait_for_image()?;
        stage.ase.script(
            &[Answer {
                status: 403,
                ..Answer::default()
            }],
            &[],
        );
        ensure!(stage.send(7)? == 403, "{}", kind.name());
        let asked = stage.questions();
        ensure!(asked == 1, "{asked} questions on {}", kind.name());
        for client in [8, 9, 8] {
            ensure!(stage.send(client)? == 200);
        }
        ensure!(stage.questions() == asked, "nobody else is asked about");
        stage.expect("ase_permit_local", 3)?;
        stage.expect("ase_local_asked_listed_address", 1)?;
        stage.expect("ase_deny_listed", 1)?;
        let told = stage
            .ase
            .wait(SETTLES_WITHIN, |heard| heard.records.len() == 4);
        ensure!(
            told,
            "every exchange is reported: {:?}",
            stage.ase.heard().records
        );
        let heard = stage.ase.heard();
        let decisions = heard.records.iter().map(|record| &record["decision"]);
        ensure!(decisions.filter(|decision| **decision == "local").count() == 3);
        ensure!(heard.records.iter().all(|record| record["mode"] == "local"));
        drop(heard);
        ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    }
    Ok(())
}

#[test]
fn an_api_that_only_ase_can_judge_is_asked_about_each_time() -> Result<()> {
    let stage = Stage::set(GatewayKind::Wasmtime, TRAPPED_API, &[], &json!({}))?;
    stage.wait_for_image()?;
    ensure!(stage.send(8)? == 200 && stage.send(8)? == 200);
    ensure!(stage.questions() == 2);
    stage.expect("ase_local_asked_always_ask", 2)
}

#[test]
fn a_new_entry_holds_on_each_of_four_workers_within_moments() -> Result<()> {
    let listener = Listener {
        workers: Some(4),
        ..Listener::default()
    };
    let stage = Stage::on(GatewayKind::Envoy, API, &[], &json!({}), listener)?;
    stage.wait_for_image()?;
    wait::until_some(SETTLES_WITHIN, "every worker's image", || {
        Ok((stage.who_passes_unasked(9, 32)? == 32).then_some(()))
    })?;
    let mut took = Vec::new();
    for client in 10..30 {
        let listed = Instant::now();
        stage.with_image(|image| image.list(address(client)))?;
        wait::until_some(SETTLES_WITHIN, "the entry on every worker", || {
            Ok((stage.who_passes_unasked(client, 16)? == 0).then_some(()))
        })?;
        took.push(listed.elapsed());
    }
    took.sort();
    println!(
        "a new entry held on every worker after {took:?} (ticks of {TICK:?}, looks at 16 connections)"
    );
    // Three ticks and a round trip where nothing else runs; this finds a change in kind on any machine.
    let median = took.get(took.len() / 2).context("twenty entries")?;
    ensure!(*median < 50 * TICK, "{median:?} in the median");
    let whole = stage
        .ase
        .heard()
        .image_calls
        .iter()
        .filter(|call| !call.contains("have="))
        .count();
    ensure!(whole == 1, "one worker fetched for all, {whole} did");
    stage.with_image(ScriptedImage::rebuild)?;
    wait::until_some(SETTLES_WITHIN, "the new image on every worker", || {
        Ok((stage.counter("ase_images_taken")? >= 10).then_some(()))
    })?;
    ensure!(stage.who_passes_unasked(9, 32)? == 32);
    ensure!(stage.who_passes_unasked(10, 32)? == 0);
    ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    Ok(())
}

#[test]
fn the_last_image_serves_while_ase_is_away_and_until_it_is_too_old() -> Result<()> {
    for kind in [GatewayKind::Wasmtime, GatewayKind::Envoy] {
        let old = json!({"local": {"max_age_ms": 1500}, "on_failure": "closed"});
        let mut stage = Stage::set(kind, API, &[7], &old)?;
        stage.wait_for_image()?;
        stage.ase.go_down()?;
        ensure!(stage.send(8)? == 200, "the last image serves");
        ensure!(
            stage.send(7)? == 503,
            "who may be listed cannot be asked about"
        );
        wait::until_some(SETTLES_WITHIN, "an image that is too old", || {
            Ok((stage.send(8)? == 503).then_some(()))
        })?;
        for counter in ["ase_local_asked_stale", "ase_image_failure_unreachable"] {
            wait::until_some(SETTLES_WITHIN, counter, || {
                Ok((stage.counter(counter)? > 0).then_some(()))
            })?;
        }
        stage.with_image(ScriptedImage::rebuild)?;
        stage.ase.go_up()?;
        wait::until_some(SETTLES_WITHIN, "a new image", || {
            let asked = stage.questions();
            let passed = stage.send(8)? == 200;
            Ok((passed && stage.questions() == asked).then_some(()))
        })?;
        ensure!(!stage.gateway.trapped(), "{}", stage.gateway.log());
    }
    Ok(())
}

#[test]
fn without_shared_data_each_worker_fetches_for_itself_and_says_so_once() -> Result<()> {
    for denied in ["proxy_get_shared_data", "proxy_set_shared_data"] {
        let listener = Listener {
            denied_capabilities: [denied.to_owned()].into(),
            ..Listener::default()
        };
        let stage = Stage::on(GatewayKind::Wasmtime, API, &[7], &json!({}), listener)?;
        stage.wait_for_image()?;
        ensure!(stage.send(8)? == 200 && stage.questions() == 0);
        let log = stage.gateway.log();
        let said = log
            .lines()
            .filter(|line| line.contains("each worker fetches the policy image for itself"));
        ensure!(said.count() == 1, "{log}");
    }
    Ok(())
}

#[test]
#[ignore = "a measurement, for a quiet machine: cargo test -p system-tests --test local -- --ignored --nocapture"]
fn how_soon_a_new_entry_holds_on_each_worker() -> Result<()> {
    let listener = Listener {
        workers: Some(4),
        ..Listener::default()
    };
    let tick = json!({"delivery": {"tick_ms": 50}});
    let stage = Stage::on(GatewayKind::Envoy, API, &[], &tick, listener)?;
    stage.wait_for_image()?;
    wait::until_some(SETTLES_WITHIN, "every worker's image", || {
        Ok((stage.who_passes_unasked(9, 32)? == 32).then_some(()))
    })?;
    let denied = Answer {
        status: 403,
        ..Answer::default()
    };
    let mut took = Vec::new();
    for client in 10..60 {
        stage.ase.script(&vec![denied.clone(); 1000], &[]);
        std::thread::sleep(Duration::from_millis(u64::from(client) % 7 * 9));
        let gateway = stage.gateway.address();
        let watching: Vec<_> = (0..16)
            .map(|_| std::thread::spawn(move || first_denial(gateway, client)))
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        let listed = Instant::now();
        stage.with_image(|image| image.list(address(client)))?;
        for watch in watching {
            let denied = watch.join().ok().context("a watcher panicked")??;
            took.push(denied.saturating_duration_since(listed));
        }
    }
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100 - 1);
    println!(
        "ticks of 50 ms, 4 workers, {} looks: p50 {:?}, p99 {:?}, all {:?}",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}

/// When a client that asks again and again is first refused, on one connection and so by one worker.
fn first_denial(gateway: SocketAddr, client: u8) -> Result<Instant> {
    let mut connection = Client::connect(gateway)?;
    loop {
        if connection.get_from(&address(client).to_string())? == 403 {
            return Ok(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn a_million_entries_fit_beside_a_refresh() -> Result<()> {
    for (width, bits, most) in [
        (FingerprintBits::Eight, 8, 3 << 20),
        (FingerprintBits::Sixteen, 16, 6 << 20),
    ] {
        let clients = (0..ENTRIES).map(|number| {
            let scattered = number.wrapping_mul(0x9e37_79b1).rotate_left(7);
            ClientAddress::from(IpAddr::from(Ipv4Addr::from_bits(scattered)))
        });
        let image = ScriptedImage::of(API, clients, width)?;
        let size = image.bytes();
        let changes = json!({"local": {"fingerprint_bits": bits}});
        let stage = Stage::with(GatewayKind::Wasmtime, image, &changes, Listener::default())?;
        let before = stage.gateway.memory_bytes()?;
        stage.wait_for_image()?;
        for round in 2..=3 {
            stage.with_image(ScriptedImage::rebuild)?;
            wait::until_some(SETTLES_WITHIN, "the next image", || {
                Ok((stage.counter("ase_images_taken")? >= round).then_some(()))
            })?;
        }
        stage.send(8)?;
        let peak = stage.gateway.memory_bytes()?;
        println!(
            "{bits} bits: an image of {size} bytes; memory {before} before, {peak} after two refreshes; the heaviest hook took {:?} instructions",
            stage.gateway.heaviest_hook()
        );
        ensure!(
            peak <= most,
            "{bits} bits: {peak} bytes, and {most} are allowed"
        );
        let heaviest = stage.gateway.heaviest_hook();
        ensure!(
            heaviest.is_some_and(|heaviest| (1..HOLDS_A_WORKER).contains(&heaviest)),
            "{bits} bits: a hook took {heaviest:?} instructions"
        );
    }
    Ok(())
}

struct Stage {
    gateway: Box<dyn Gateway>,
    ase: ScriptedAse,
    /// How many hold an image: Envoy has one more in its main thread.
    vms: u64,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Stage {
    fn set(kind: GatewayKind, api: &str, listed: &[u8], changes: &Value) -> Result<Self> {
        Self::on(kind, api, listed, changes, Listener::default())
    }

    fn on(
        kind: GatewayKind,
        api: &str,
        listed: &[u8],
        changes: &Value,
        listener: Listener,
    ) -> Result<Self> {
        let clients = listed.iter().map(|client| address(*client));
        let image = ScriptedImage::of(api, clients, FingerprintBits::Eight)?;
        Self::with(kind, image, changes, listener)
    }

    fn with(
        kind: GatewayKind,
        image: ScriptedImage,
        changes: &Value,
        listener: Listener,
    ) -> Result<Self> {
        let folder = TempDir::with_prefix("ase-local-")?;
        let (ase, upstream) = (ScriptedAse::start()?, Upstream::start()?);
        ase.heard().image = Some(image);
        let mut own = changes.clone();
        let settings = own.as_object_mut().context("changes are an object")?;
        settings.insert("mode".to_owned(), json!("local"));
        if kind == GatewayKind::Nginx {
            settings.insert("host_profile".to_owned(), json!("nginx"));
            settings.insert("ase".to_owned(), json!({"cluster": "ase"}));
        }
        let vms = kind.vms(&listener);
        let gateway = kind.start(&GatewayPlan {
            module: filter_module(),
            plugin_configuration: configuration(&own),
            upstream: upstream.address(),
            clusters: BTreeMap::from([("ase".to_owned(), vec![ase.address()])]),
            listener,
            folder: folder.path().to_path_buf(),
        })?;
        Ok(Self {
            gateway,
            ase,
            vms,
            _upstream: upstream,
            _folder: folder,
        })
    }

    fn wait_for_image(&self) -> Result<()> {
        wait_for_image(&*self.gateway, self.vms)
    }

    fn with_image(&self, act: impl FnOnce(&mut ScriptedImage) -> Result<()>) -> Result<()> {
        let mut heard = self.ase.heard();
        act(heard.image.as_mut().context("there is an image")?)
    }

    /// How many of so many new connections pass without a question.
    fn who_passes_unasked(&self, client: u8, connections: usize) -> Result<usize> {
        let before = self.questions();
        for _ in 0..connections {
            ensure!(self.send(client)? == 200);
        }
        Ok(connections - (self.questions() - before))
    }

    fn send(&self, client: u8) -> Result<u16> {
        Client::connect(self.gateway.address())?.get_from(&address(client).to_string())
    }

    fn questions(&self) -> usize {
        self.ase.heard().questions.len()
    }

    fn counter(&self, name: &str) -> Result<u64> {
        Ok(self.gateway.counters()?.get(name).copied().unwrap_or(0))
    }

    fn expect(&self, name: &str, value: u64) -> Result<()> {
        // Counters reach the host with the tick.
        wait::until_some(SETTLES_WITHIN, &format!("{name} {value}"), || {
            Ok((self.counter(name)? == value).then_some(()))
        })
    }
}

fn address(client: u8) -> ClientAddress {
    ClientAddress::from(IpAddr::from(Ipv4Addr::new(203, 0, 113, client)))
}
