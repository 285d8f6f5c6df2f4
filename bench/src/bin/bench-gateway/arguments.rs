//! The command line. `make bench` names the programs; everything else has a default.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::variant::Variant;

const USAGE: &str = "usage: bench-gateway --envoy FILE --filter FILE --do-nothing FILE [--ase FILE] [--only VARIANT,...] [--tables TABLE,...] [--settings JSON] [--rounds N] [--seconds S] [--rate PER_SECOND] [--out FILE]";

/// What is measured, with what, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) envoy: PathBuf,
    pub(crate) filter: PathBuf,
    pub(crate) do_nothing: PathBuf,
    /// The variants of the first table.
    pub(crate) only: Vec<Variant>,
    /// Which tables are made.
    pub(crate) parts: Vec<Part>,
    /// What our filter is told beside what is shipped.
    pub(crate) settings: Value,
    /// A real ASE.
    pub(crate) ase: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Length of one measurement.
    pub(crate) length: Duration,
    /// The Markdown file to write.
    pub(crate) out: Option<PathBuf>,
    /// The moderate rate, when it is not to be found in the run.
    pub(crate) per_second: Option<f64>,
}

impl Arguments {
    /// Rounds of the tables with fewer questions to answer.
    pub(crate) fn shorter(&self) -> usize {
        self.rounds.div_ceil(2)
    }

    /// Reads the arguments after the program's name.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let (mut envoy, mut filter, mut do_nothing) = (None, None, None);
        let mut arguments = Self {
            envoy: PathBuf::new(),
            filter: PathBuf::new(),
            do_nothing: PathBuf::new(),
            only: Variant::ALL.to_vec(),
            parts: Part::ALL.to_vec(),
            settings: json!({}),
            ase: None,
            rounds: 9,
            length: Duration::from_secs(1),
            per_second: None,
            out: None,
        };
        while let Some(name) = given.next() {
            let value = given
                .next()
                .with_context(|| format!("{name} has no value; {USAGE}"))?;
            match name.as_str() {
                "--envoy" => envoy = Some(program(&name, &value)?),
                "--filter" => filter = Some(program(&name, &value)?),
                "--do-nothing" => do_nothing = Some(program(&name, &value)?),
                "--ase" => arguments.ase = Some(program(&name, &value)?),
                // Who names variants wants those and no more, unless tables are named after that.
                "--only" => {
                    arguments.only = variants(&value)?;
                    arguments.parts = vec![Part::Variants];
                }
                "--settings" => {
                    arguments.settings = serde_json::from_str(&value)
                        .with_context(|| format!("{name} {value:?} is no JSON"))?;
                }
                "--tables" => arguments.parts = parts(&value)?,
                "--rounds" => arguments.rounds = number(&name, &value)? as usize,
                "--seconds" => arguments.length = Duration::from_secs_f64(number(&name, &value)?),
                "--out" => arguments.out = Some(PathBuf::from(value)),
                "--rate" => arguments.per_second = Some(number(&name, &value)?),
                _ => bail!("{name} is unknown; {USAGE}"),
            }
        }
        arguments.envoy = envoy.context(USAGE)?;
        arguments.filter = filter.context(USAGE)?;
        arguments.do_nothing = do_nothing.context(USAGE)?;
        Ok(arguments)
    }
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every variant, the stub behind each.
    Variants,
    /// Our filter with a stub that is late.
    Slow,
    /// Our filter with a real ASE.
    Ase,
}

impl Part {
    const ALL: [Self; 3] = [Self::Variants, Self::Slow, Self::Ase];
}

/// Named, when it is missing: a table without a line that nobody misses would be no result.
fn program(name: &str, value: &str) -> Result<PathBuf> {
    let path = std::path::absolute(value)?;
    ensure!(
        path.is_file(),
        "{name}: there is no file {}",
        path.display()
    );
    Ok(path)
}

fn parts(value: &str) -> Result<Vec<Part>> {
    let part = |name: &str| match name {
        "variants" => Ok(Part::Variants),
        "slow" => Ok(Part::Slow),
        "ase" => Ok(Part::Ase),
        _ => bail!("{name:?} is no table; there are variants, slow, ase"),
    };
    value.split(',').map(part).collect()
}

fn variants(value: &str) -> Result<Vec<Variant>> {
    value.split(',').map(str::parse).collect()
}

fn number(name: &str, value: &str) -> Result<f64> {
    let number = value.parse().ok().filter(|number: &f64| *number > 0.0);
    number.with_context(|| format!("{name} {value:?} is no number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments> {
        let here = file!();
        let line = format!("--envoy {here} --filter {here} --do-nothing {here} {line}");
        // Tests run in the package's folder, and the name of this file counts from the workspace's.
        let line = line.replace("bench/src", "src");
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_some_variants_can_be_run() {
        let arguments = parsed("--only bare,async --rounds 3 --seconds 0.5").unwrap();
        assert_eq!(arguments.only, [Variant::Bare, Variant::Async]);
        assert_eq!(arguments.length, Duration::from_millis(500));
    }

    #[test]
    fn a_variant_that_there_is_not_is_named_with_those_that_there_are() {
        let refusal = parsed("--only bare,nginx").unwrap_err().to_string();
        assert!(
            refusal.contains("\"nginx\"") && refusal.contains("ext_authz+log"),
            "{refusal}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let refusal = parsed("--envoy nowhere/envoy").unwrap_err().to_string();
        assert!(
            refusal.contains("--envoy") && refusal.contains("nowhere/envoy"),
            "{refusal}"
        );
    }
}
