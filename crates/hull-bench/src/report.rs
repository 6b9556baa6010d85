//! What a case found: durations, figures beside their targets, and what was left out.

use serde::{Deserialize, Serialize};

use crate::sample::Sample;

/// What one case found.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) case: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) skipped: Vec<Skip>,
    pub(crate) notes: Vec<String>,
    /// Why the case did not come to its end.
    pub(crate) failed: Option<String>,
}

impl Report {
    pub(crate) fn new(case: &str) -> Self {
        Self { case: case.to_owned(), ..Self::default() }
    }

    pub(crate) fn skip(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push(Skip { what: what.into(), reason: reason.into() });
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds the ratio of the medians of two samples, if both were measured.
    pub(crate) fn ratio(&mut self, of: &str, to: &str, target: Target) {
        let median = |name| Some(self.sample(name)?.median()).filter(|median| median.is_finite());
        if let (Some(of_median), Some(to_median)) = (median(of), median(to)) {
            let name = format!("{of} / {to}");
            self.figures.push(Figure::new(name, of_median / to_median, Unit::Ratio, target));
        }
    }

    /// Adds how far the 95th percentile of a sample lies above its median, if it was measured.
    pub(crate) fn spread(&mut self, of: &str, target: Target) {
        let Some(sample) = self.sample(of) else { return };
        let spread = sample.percentile(95.0) / sample.median();
        if spread.is_finite() {
            let name = format!("{of}, p95 / p50");
            self.figures.push(Figure::new(name, spread, Unit::Ratio, target));
        }
    }

    fn sample(&self, name: &str) -> Option<&Sample> {
        self.samples.iter().find(|sample| sample.name == name)
    }
}

/// Something that was not measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Skip {
    pub(crate) what: String,
    pub(crate) reason: String,
}

/// A number that says how good Hull is: the lower the better.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    #[serde(flatten)]
    pub(crate) target: Target,
    /// `value` divided by the target.
    pub(crate) of_target: Option<f64>,
    pub(crate) verdict: Option<Verdict>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: Unit, target: Target) -> Self {
        let verdict = target.target.map(|most| match value <= most {
            true => Verdict::Ok,
            false => Verdict::Missed,
        });
        let of_target = target.target.map(|most| value / most);
        Self { name: name.into(), value, unit, target, of_target, verdict }
    }

    /// Returns whether the stretch target is reached; false if there is none.
    pub(crate) fn reaches_stretch(&self) -> bool {
        self.target.stretch.is_some_and(|most| self.value <= most)
    }
}

/// The most that a figure may be, in its unit.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Target {
    pub(crate) target: Option<f64>,
    /// What would be better still.
    pub(crate) stretch: Option<f64>,
}

impl Target {
    /// The figure is for information.
    pub(crate) const NONE: Self = Self { target: None, stretch: None };

    pub(crate) const fn at_most(target: f64) -> Self {
        Self { target: Some(target), stretch: None }
    }

    pub(crate) const fn stretch(self, stretch: f64) -> Self {
        Self { stretch: Some(stretch), ..self }
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "x")]
    Ratio,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Of one core.
    #[serde(rename = "%")]
    Percent,
}

impl Unit {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "x",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Mebibytes => "MiB",
            Self::Percent => "%",
        }
    }
}

/// Whether a figure reaches its target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Missed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_judged_by_their_target() {
        let figure =
            |value| Figure::new("x", value, Unit::Ratio, Target::at_most(0.3).stretch(0.2));
        assert_eq!(figure(0.3).verdict, Some(Verdict::Ok));
        assert_eq!(figure(0.31).verdict, Some(Verdict::Missed));
        assert_eq!(figure(0.6).of_target, Some(2.0));
        assert!(figure(0.2).reaches_stretch() && !figure(0.21).reaches_stretch());
        assert_eq!(Figure::new("x", 1.0, Unit::Ratio, Target::NONE).verdict, None);
    }

    #[test]
    fn ratios_need_both_samples() {
        let mut report = Report::new("case");
        report.samples = vec![
            Sample { name: "a".into(), milliseconds: vec![10.0, 20.0, 30.0] },
            Sample { name: "b".into(), milliseconds: vec![40.0] },
        ];
        report.ratio("a", "b", Target::at_most(1.0));
        report.ratio("a", "c", Target::NONE);
        report.spread("a", Target::NONE);
        let found: Vec<_> =
            report.figures.iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
        assert_eq!(found, [("a / b", 0.5), ("a, p95 / p50", 1.5)]);
    }
}
