//! What a run leaves: tables and bars as Markdown with date and machine, and the chart beside it.
//!
//! A file that has prose around the two marks keeps it; only what is between them is replaced.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::bars::Bar;
use crate::table::Table;

const BEGIN: &str = "<!-- results: make bench writes what follows -->\n";
const END: &str = "<!-- results end -->\n";

/// Everything that a run has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) tables: Vec<Table>,
    pub(crate) bars: Vec<Bar>,
    /// What was to be run and could not be, and why.
    pub(crate) missing: Vec<String>,
    /// None where the table that it shows was not asked for.
    pub(crate) chart: Option<String>,
    /// Envoy's own name and version.
    pub(crate) envoy: String,
}

impl Findings {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text.push_str(&table.text());
            text.push('\n');
        }
        for bar in &self.bars {
            text.push_str(&bar.line());
            text.push('\n');
        }
        for missing in &self.missing {
            text.push_str(&format!("MISSING {missing}\n"));
        }
        text
    }

    /// Writes the document at `file`, and the chart beside it; without one, that of an earlier run stays.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let old = fs::read_to_string(file).unwrap_or_default();
        let text = replaced(&old, &self.markdown(file));
        fs::write(file, text).with_context(|| file.display().to_string())?;
        if let Some(chart) = &self.chart {
            fs::write(file.with_extension("svg"), chart)?;
        }
        Ok(())
    }

    fn markdown(&self, file: &Path) -> String {
        let mut text = format!("{}\n", machine(&self.envoy));
        if self.chart.is_some() {
            let chart = file.with_extension("svg");
            let chart = chart.file_name().unwrap_or_default().to_string_lossy();
            text.push_str(&format!("\n![Envoy's CPU time per request]({chart})\n"));
        }
        for table in &self.tables {
            text.push('\n');
            text.push_str(&table.markdown());
        }
        text.push_str("\n### Bars\n\n");
        for bar in &self.bars {
            text.push_str(&format!("- {}\n", bar.line()));
        }
        for missing in &self.missing {
            text.push_str(&format!("- MISSING {missing}\n"));
        }
        text
    }
}

/// `old` with `results` between the marks; without them, the results alone.
fn replaced(old: &str, results: &str) -> String {
    let results = format!("{BEGIN}\n{results}\n{END}");
    match old.split_once(BEGIN) {
        Some((before, rest)) => {
            let after = rest.split_once(END).map_or("", |(_, after)| after);
            format!("{before}{results}{after}")
        }
        None => results,
    }
}

fn machine(envoy: &str) -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let mut lines = cpus.lines().filter(|line| line.starts_with(name));
        let first = lines.next().and_then(|line| Some(line.split_once(": ")?.1));
        (first.unwrap_or("unknown").to_owned(), 1 + lines.count())
    };
    let (model, cores) = field("model name");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86400);
    format!(
        "{}, {envoy}, {cores} cores of {model}, Linux {}.",
        date(days),
        kernel.split('-').next().unwrap_or_default().trim()
    )
}

/// The date that is so many days after the first of January 1970.
fn date(days: u64) -> String {
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prose_around_results_stays() {
        let once = replaced(&format!("# Title\n\n{BEGIN}{END}\nafter\n"), "first");
        let twice = replaced(&once, "second");
        assert_eq!(twice, format!("# Title\n\n{BEGIN}\nsecond\n{END}\nafter\n"));
    }

    #[test]
    fn a_run_without_a_chart_leaves_the_last_one_and_shows_none() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gateway.md");
        let whole = Findings {
            chart: Some("<svg/>".to_owned()),
            ..Findings::default()
        };
        whole.write(&file)?;
        assert!(fs::read_to_string(&file)?.contains("(gateway.svg)"));
        Findings::default().write(&file)?;
        assert!(!fs::read_to_string(&file)?.contains("(gateway.svg)"));
        assert_eq!(fs::read_to_string(file.with_extension("svg"))?, "<svg/>");
        Ok(())
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(20_454), "2026-01-01");
        assert_eq!(date(20_778), "2026-11-21");
    }
}
