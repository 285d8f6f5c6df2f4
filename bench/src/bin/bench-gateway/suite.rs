//! Which Envoys run, and what of their rounds is told.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ase_filter::config::Config;
use hyper::body::Bytes;

use crate::arguments::{Arguments, Part};
use crate::ase::Ase;
use crate::bars::{self, Bar};
use crate::document::Findings;
use crate::envoy::Envoy;
use crate::envoy_config::{self, Places, plugin_configuration};
use crate::figures;
use crate::rounds::{self, Lane, Plan};
use crate::stub::{Manner, SLOW, Stub};
use crate::variant::{Backend, Variant};

/// Our filter's largest module, in kB.
const MODULE_KB: f64 = 350.0;

/// What is there to run with.
struct Bench<'a> {
    arguments: &'a Arguments,
    folder: &'a Path,
    /// Behind [`Backend::Ase`], and whose image the stub gives away.
    ase: Option<Ase>,
    image: Option<Bytes>,
}

/// Runs everything that was asked for.
pub(crate) async fn run(arguments: &Arguments) -> Result<Findings> {
    let folder = tempfile::tempdir()?;
    let mut findings = Findings {
        envoy: version(&arguments.envoy)?,
        ..Findings::default()
    };
    let ase = match &arguments.ase {
        Some(program) => Some(Ase::start(program, &folder.path().join("ase"))?),
        None => None,
    };
    let image = match &ase {
        Some(ase) => ase.image()?.map(Bytes::from),
        None => None,
    };
    let bench = Bench {
        arguments,
        folder: folder.path(),
        ase,
        image,
    };
    let variants = bench.available(&mut findings)?;
    for part in &arguments.parts {
        match part {
            Part::Variants => bench.variants(&variants, &mut findings).await?,
            Part::Slow => bench.slow(&variants, &mut findings).await?,
            Part::Ase => bench.real_ase(&variants, &mut findings).await?,
        }
    }
    let module = std::fs::metadata(&arguments.filter)?.len() as f64 / 1000.0;
    let name = "size of the module, kB";
    findings.bars.push(Bar::single(name, MODULE_KB, module));
    Ok(findings)
}

impl Bench<'_> {
    fn plan(&self, rounds: usize) -> Plan {
        Plan {
            rounds,
            length: self.arguments.length,
            per_second: self.arguments.per_second,
        }
    }

    /// The variants that can run; the others are named.
    fn available(&self, findings: &mut Findings) -> Result<Vec<Variant>> {
        let mut available = Vec::new();
        for variant in &self.arguments.only {
            match self.lacks(*variant)? {
                Some(lack) => findings
                    .missing
                    .push(format!("{}: {lack}", variant.description())),
                None => available.push(*variant),
            }
        }
        Ok(available)
    }

    fn lacks(&self, variant: Variant) -> Result<Option<String>> {
        let Some(mode) = variant.mode() else {
            return Ok(None);
        };
        if let Err(faults) =
            Config::parse(plugin_configuration(mode, &self.arguments.settings)?.as_bytes())
        {
            return Ok(Some(faults.to_string()));
        }
        Ok(match (variant, &self.ase, &self.image) {
            (Variant::Local, None, _) => Some("needs an image of ASE: --ase".to_owned()),
            (Variant::Local, Some(_), None) => Some("ASE gives no image at /ase/image".to_owned()),
            _ => None,
        })
    }

    async fn variants(&self, variants: &[Variant], findings: &mut Findings) -> Result<()> {
        let mut lanes = Vec::new();
        for variant in variants {
            lanes.push(self.lane(*variant, Backend::Stub).await?);
        }
        let plan = self.plan(self.arguments.rounds);
        let rate = rounds::play("variants", &mut lanes, plan).await?;
        findings.tables.push(figures::costs(&lanes, rate));
        findings.bars.extend(bars::of_variants(&lanes));
        findings.chart = Some(figures::chart(&lanes));
        Ok(())
    }

    /// Our filter with an ASE that is late, beside the same filter with one that is not.
    async fn slow(&self, variants: &[Variant], findings: &mut Findings) -> Result<()> {
        let mut lanes = Vec::new();
        for variant in [Variant::Async, Variant::Local, Variant::Sync] {
            if variants.contains(&variant) {
                lanes.push(self.lane(variant, Backend::Stub).await?);
                lanes.push(self.lane(variant, Backend::SlowStub).await?);
            }
        }
        let plan = self.plan(self.arguments.shorter());
        let rate = rounds::play("slow ASE", &mut lanes, plan).await?;
        findings.tables.push(figures::slow(&lanes, rate));
        findings.bars.extend(bars::of_a_slow_ase(&lanes));
        Ok(())
    }

    /// Our filter with a real ASE, for several shares of listed clients.
    async fn real_ase(&self, variants: &[Variant], findings: &mut Findings) -> Result<()> {
        if self.ase.is_none() {
            let missing = "the table with a real ASE: needs --ase".to_owned();
            findings.missing.push(missing);
            return Ok(());
        }
        let mut lanes = vec![self.lane(Variant::DoNothing, Backend::Stub).await?];
        for variant in [Variant::Async, Variant::Local, Variant::Sync] {
            if !variants.contains(&variant) {
                continue;
            }
            let lane = self.lane(variant, Backend::Ase).await?;
            let others = [1, 20].map(|percent| lane.with_listed(percent));
            lanes.push(lane);
            lanes.extend(others);
        }
        let plan = self.plan(self.arguments.shorter());
        let rate = rounds::play("real ASE", &mut lanes, plan).await?;
        findings.tables.push(figures::real_ase(&lanes, rate));
        Ok(())
    }

    async fn lane(&self, variant: Variant, backend: Backend) -> Result<Lane> {
        let late = match backend {
            Backend::Stub | Backend::Ase => Duration::ZERO,
            Backend::SlowStub => SLOW,
        };
        let image = self.image.clone();
        let stub = Stub::start(Manner { late, image }).await?;
        let ase = match (backend, &self.ase) {
            (Backend::Ase, Some(ase)) => ase.data,
            (Backend::Ase | Backend::Stub | Backend::SlowStub, _) => stub.ase,
        };
        let places = Places {
            ase,
            grpc: stub.grpc,
            upstream: stub.upstream,
            filter: self.arguments.filter.clone(),
            do_nothing: self.arguments.do_nothing.clone(),
            settings: self.arguments.settings.clone(),
        };
        let bootstrap = envoy_config::bootstrap(variant, &places)?;
        let folder = self.folder.join(format!("{}-{backend:?}", variant.name()));
        let envoy = Envoy::start(&self.arguments.envoy, &folder, &bootstrap).await;
        let envoy = envoy.with_context(|| variant.name())?;
        Ok(Lane::new(variant, backend, Rc::new(envoy), Rc::new(stub)))
    }
}

/// As `Envoy 1.40.0`.
fn version(envoy: &Path) -> Result<String> {
    let said = Command::new(envoy).arg("--version").output()?;
    let said = String::from_utf8_lossy(&said.stdout);
    // In `.../envoy  version: <hash>/1.40.0/Clean/RELEASE/BoringSSL`, the one part of numbers and dots.
    let is_version =
        |part: &&str| part.contains('.') && part.chars().all(|c| c == '.' || c.is_ascii_digit());
    let version = said.split('/').find(is_version);
    Ok(format!(
        "Envoy {}",
        version.context("the version of Envoy")?
    ))
}
