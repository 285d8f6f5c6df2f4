//! Alternating rounds: every lane in turn, in another order each time, at the peak and at one moderate rate for all.
//!
//! A round of a lane begins with a moment that is not measured, in which connections come back that Envoy has closed for idleness.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ase_bench::load::{Connections, Outcome, Pace, Rate};

use crate::envoy::Envoy;
use crate::requests::{Listed, Requests};
use crate::stub::Stub;
use crate::variant::{Asks, Backend, Variant};

/// Connections of clients: as many as are busy at the peak.
const PEAK_CONNECTIONS: usize = 32;
/// At a moderate rate, enough that a slow answer of one does not keep another request from its due time.
const MODERATE_CONNECTIONS: usize = 128;
/// Before each measurement.
const WARM_UP: Duration = Duration::from_millis(150);

/// One line of a table under load.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) variant: Variant,
    pub(crate) backend: Backend,
    /// How many in a hundred requests are of listed clients.
    pub(crate) listed_percent: u32,
    requests: Rc<Requests>,
    pub(crate) envoy: Rc<Envoy>,
    /// Answers the calls of this Envoy alone.
    pub(crate) stub: Rc<Stub>,
    pub(crate) peak: Vec<Sample>,
    pub(crate) moderate: Vec<Sample>,
}

/// What one round of one lane gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cpu_us: f64,
    pub(crate) rate: f64,
    pub(crate) busy: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// How many in a hundred were not answered 200.
    pub(crate) refused_percent: f64,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    /// Requests a second at the moderate rate; two fifths of the slowest lane's peak when absent.
    pub(crate) per_second: Option<f64>,
}

impl Lane {
    pub(crate) fn new(
        variant: Variant,
        backend: Backend,
        envoy: Rc<Envoy>,
        stub: Rc<Stub>,
    ) -> Self {
        Self {
            variant,
            backend,
            listed_percent: 0,
            requests: Rc::new(Requests::new(0, Listed::Pass)),
            envoy,
            stub,
            peak: Vec::new(),
            moderate: Vec::new(),
        }
    }

    /// The same Envoy with other clients.
    pub(crate) fn with_listed(&self, percent: u32) -> Self {
        let (envoy, stub) = (Rc::clone(&self.envoy), Rc::clone(&self.stub));
        let listed = match self.variant {
            Variant::Sync | Variant::Local => Listed::AreRefused,
            Variant::Bare
            | Variant::DoNothing
            | Variant::CallsAsync
            | Variant::CallsSync
            | Variant::Lua
            | Variant::ExtAuthz
            | Variant::ExtAuthzLog
            | Variant::ExtProc
            | Variant::Async => Listed::Pass,
        };
        Self {
            listed_percent: percent,
            requests: Rc::new(Requests::new(percent, listed)),
            ..Self::new(self.variant, self.backend, envoy, stub)
        }
    }

    /// The name in tables.
    pub(crate) fn label(&self) -> String {
        let name = self.variant.description();
        match (self.backend, self.listed_percent) {
            (Backend::Stub, _) => name.to_owned(),
            (Backend::SlowStub, _) => format!("{name}, ASE 20 ms late"),
            (Backend::Ase, percent) => format!("{name}, {percent} % listed"),
        }
    }

    async fn measure(
        &self,
        connections: &mut Connections,
        pace: Pace,
        length: Duration,
    ) -> Result<Sample> {
        self.call(connections, pace, WARM_UP).await?;
        let (before, asked) = (self.envoy.cpu()?, self.stub.seen.counts());
        let outcome = self.call(connections, pace, length).await?;
        let outcome = Outcome {
            cpu: self.envoy.cpu()?.saturating_sub(before),
            ..outcome
        };
        if self.backend != Backend::Ase {
            self.has_asked(asked, outcome.latencies.len())?;
        }
        Ok(Sample::of(&outcome))
    }

    async fn call(
        &self,
        connections: &mut Connections,
        pace: Pace,
        length: Duration,
    ) -> Result<Outcome> {
        let mut run = connections.start(&*self.requests, pace, length);
        while run.step()? {
            if self.backend == Backend::Ase {
                // ASE runs on the cores of the load.
                std::thread::yield_now();
            }
            tokio::task::yield_now().await;
        }
        Ok(run.outcome())
    }

    /// Holds that the stub was asked as the variant has to ask.
    fn has_asked(&self, before: (u64, u64), requests: usize) -> Result<()> {
        let after = self.stub.seen.counts();
        let (questions, records) = (after.0 - before.0, after.1 - before.1);
        let all = requests as u64;
        let right = match self.variant.asks() {
            Asks::Nothing => questions == 0 && records == 0,
            Asks::Question => questions >= all && records == 0,
            Asks::Records => questions == 0 && records > 0,
            Asks::RecordsAndFewQuestions => questions <= all / 20 && records > 0,
            Asks::Both => questions >= all && records > 0,
        };
        ensure!(
            right,
            "{}: for {requests} requests the stub has seen {questions} questions and {records} calls with records",
            self.variant.name()
        );
        Ok(())
    }
}

impl Sample {
    fn of(outcome: &Outcome) -> Self {
        Self {
            cpu_us: outcome.cpu_us(),
            rate: outcome.rate(),
            busy: outcome.busy(),
            p50_us: outcome.percentile_us(0.5),
            p99_us: outcome.percentile_us(0.99),
            refused_percent: 100.0 * outcome.not_ok as f64 / outcome.latencies.len() as f64,
        }
    }
}

/// Plays all rounds; the moderate rate that was used.
pub(crate) async fn play(title: &str, lanes: &mut [Lane], plan: Plan) -> Result<f64> {
    let mut open = Vec::with_capacity(lanes.len());
    for lane in &*lanes {
        open.push((
            Connections::open(lane.envoy.address, PEAK_CONNECTIONS)?,
            Connections::open(lane.envoy.address, MODERATE_CONNECTIONS)?,
        ));
    }
    let mut slowest = f64::INFINITY;
    for (lane, (connections, _)) in lanes.iter().zip(&mut open) {
        // The first one finds cold caches.
        for _ in 0..2 {
            let sample = lane.measure(connections, Pace::Closed, plan.length);
            let sample = sample.await.with_context(|| lane.label())?;
            if lane.backend != Backend::SlowStub {
                slowest = slowest.min(sample.rate);
            }
        }
    }
    let per_second = match plan.per_second {
        Some(rate) => rate,
        None => (0.4 * slowest / 100.0).floor().max(1.0) * 100.0,
    };
    let pace = Pace::Open(Rate::per_second(per_second)?);
    for round in 0..plan.rounds {
        eprint!("\r{title}: round {} of {} ", round + 1, plan.rounds);
        for number in 0..lanes.len() {
            let at = (number + round) % lanes.len();
            let lane = lanes.get_mut(at).context("a lane")?;
            let (peak, moderate) = open.get_mut(at).context("connections")?;
            let sample = lane.measure(peak, Pace::Closed, plan.length);
            let sample = sample.await.with_context(|| lane.label())?;
            lane.peak.push(sample);
            let sample = lane.measure(moderate, pace, plan.length);
            let sample = sample.await.with_context(|| lane.label())?;
            lane.moderate.push(sample);
        }
    }
    eprintln!();
    Ok(per_second)
}
