//! Prometheus' text format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{Display, Write as _};

use super::histogram::Histogram;

/// Kind of a metric, the `TYPE` line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Labels of a sample. Their values may be any text, their names are Hull's own.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    page: String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric: what follows are its samples.
    pub(super) fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        self.name = name;
        self
    }

    /// Writes one sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        let (name, labels) = (self.name, braces(labels, None));
        self.line(format_args!("{name}{labels} {value}"));
        self
    }

    /// Writes the samples of a histogram.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) -> &mut Self {
        let name = self.name;
        for (bound, count) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = braces(labels, Some(&bound));
            self.line(format_args!("{name}_bucket{labels} {count}"));
        }
        let labels = braces(labels, None);
        self.line(format_args!("{name}_sum{labels} {}", histogram.sum()));
        self.line(format_args!("{name}_count{labels} {}", histogram.count()));
        self
    }

    pub(super) fn finish(self) -> String {
        self.page
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.page, "{line}");
    }
}

/// Writes labels, `le` of a bucket last.
fn braces(labels: Labels<'_>, bound: Option<&str>) -> String {
    let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
    let pairs: Vec<String> =
        all.map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Exposition::default();
        page.metric("a_total", Kind::Counter, "Back\\slash and\nnew line.")
            .sample(&[], 3)
            .sample(&[("kind", "a\\b\"c\nd")], 0);
        let text = page.finish();
        assert_eq!(
            text,
            "# HELP a_total Back\\\\slash and\\nnew line.\n# TYPE a_total counter\na_total 3\n\
             a_total{kind=\"a\\\\b\\\"c\\nd\"} 0\n"
        );
    }

    #[test]
    fn buckets_count_all_below_and_end_with_infinity() {
        let mut histogram = Histogram::default();
        for milliseconds in [1, 40, 41, 60_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let mut page = Exposition::default();
        page.metric("s", Kind::Histogram, "H.").histogram(&[("m", "x")], &histogram);
        let text = page.finish();
        for line in [
            "s_bucket{m=\"x\",le=\"0.001\"} 1",
            "s_bucket{m=\"x\",le=\"0.04\"} 2",
            "s_bucket{m=\"x\",le=\"0.05\"} 3",
            "s_bucket{m=\"x\",le=\"30\"} 3",
            "s_bucket{m=\"x\",le=\"+Inf\"} 4",
            "s_sum{m=\"x\"} 60.082",
            "s_count{m=\"x\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
