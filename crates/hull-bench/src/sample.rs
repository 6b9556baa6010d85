//! Durations of one case, and how they are printed.

use std::fmt::Write;
use std::time::Instant;

/// Durations of one case in milliseconds, one a round.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) milliseconds: Vec<f64>,
    ratios: Vec<String>,
}

impl Sample {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), milliseconds: Vec::new(), ratios: Vec::new() }
    }

    /// Runs `work` and keeps how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) {
        let start = Instant::now();
        work();
        self.milliseconds.push(start.elapsed().as_secs_f64() * 1000.0);
    }

    /// Notes the ratio of the medians of this case and `other`, if that was measured.
    pub(crate) fn compare(&mut self, other: &Self) {
        if !other.milliseconds.is_empty() {
            let ratio = self.percentile(50.0) / other.percentile(50.0);
            let other = other.name.split(' ').next().unwrap_or_default();
            self.ratios.push(format!("{ratio:.2} x {other}"));
        }
    }

    /// Returns the nearest-rank percentile.
    fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// Returns the table of all cases that were measured.
pub(crate) fn table(samples: &[Sample]) -> String {
    let mut text =
        format!("{:24} {:>9} {:>9} {:>9}  ratio\n", "case", "min ms", "p50 ms", "p95 ms");
    for sample in samples.iter().filter(|sample| !sample.milliseconds.is_empty()) {
        let [min, p50, p95] = [0.0, 50.0, 95.0].map(|percent| sample.percentile(percent));
        let ratios = sample.ratios.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:24} {min:9.1} {p50:9.1} {p95:9.1}  {ratios}", sample.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut sample = Sample::new("x");
        sample.milliseconds = vec![5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(sample.percentile(0.0), 1.0);
        assert_eq!(sample.percentile(50.0), 3.0);
        assert_eq!(sample.percentile(95.0), 5.0);
    }
}
