//! The Prometheus text format, version 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Display;

use super::histogram::Reading;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in seconds, by upper bounds.
    Histogram,
}

/// A page under construction.
#[derive(Debug, Default)]
pub struct Page(String);

/// The samples of one metric.
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut String,
    name: &'p str,
}

impl Page {
    /// Begins a metric. `help` is one line.
    pub fn family<'p>(&'p mut self, name: &'p str, kind: Kind, help: &str) -> Family<'p> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self.0.push_str(&head);
        Family {
            page: &mut self.0,
            name,
        }
    }

    /// A metric of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// Adds the samples of a histogram.
    pub fn histogram(&mut self, reading: &Reading) {
        for (bound, count) in &reading.at_most {
            self.line("_bucket", &[("le", bound)], count);
        }
        self.line("_bucket", &[("le", "+Inf")], reading.count);
        self.line("_sum", &[], reading.sum.as_secs_f64());
        self.line("_count", &[], reading.count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.page.push_str(self.name);
        self.page.push_str(suffix);
        let mut opening = '{';
        for (name, value) in labels {
            self.page.push(opening);
            opening = ',';
            self.page.push_str(&format!("{name}=\""));
            escape(self.page, value);
            self.page.push('"');
        }
        if opening == ',' {
            self.page.push('}');
        }
        self.page.push_str(&format!(" {value}\n"));
    }
}

fn escape(page: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_value_cannot_break_the_page() {
        let mut page = Page::default();
        let mut family = page.family("ase_x_total", Kind::Counter, "Help.");
        family.sample(&[("a", "q\"\\\n"), ("b", "")], 3);
        assert_eq!(
            page.into_text(),
            "# HELP ase_x_total Help.\n# TYPE ase_x_total counter\nase_x_total{a=\"q\\\"\\\\\\n\",b=\"\"} 3\n"
        );
    }
}
