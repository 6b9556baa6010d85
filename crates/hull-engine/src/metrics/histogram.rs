//! Distribution of durations.

use std::time::Duration;

/// How many durations fell into which bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// One for each of [`BOUNDS`], each without those below it, and one for what is longer.
    buckets: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// Returns each bound in seconds, `None` for infinity, and how many were not longer.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        bounds.zip(self.buckets.iter().scan(0, |total, count| {
            *total += count;
            Some(*total)
        }))
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of all in seconds.
    pub(super) fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }
}

/// Upper ends of the buckets in seconds: close together where forks and starts from the pool are,
/// and up to what a boot takes on a slow host.
const BOUNDS: [f64; 21] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0,
    1.5, 2.5, 5.0, 10.0, 30.0,
];
