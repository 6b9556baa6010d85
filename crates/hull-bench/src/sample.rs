//! Durations of one subject, and how subjects take turns.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::interrupt::pause;

/// Between two measurements: what the one before leaves to be done in the background (a machine
/// that ends, a pool that is refilled) is not the next one's time.
const SETTLE: Duration = Duration::from_millis(300);

/// Durations of one subject in milliseconds, in the order in which they were measured.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) milliseconds: Vec<f64>,
}

impl Sample {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), milliseconds: Vec::new() }
    }

    pub(crate) fn push(&mut self, time: Duration) {
        self.milliseconds.push(time.as_secs_f64() * 1000.0);
    }

    /// Returns the nearest-rank percentile in milliseconds; NaN without any durations.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// Returns the median in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}

/// Something that is measured in turn with others.
pub(crate) struct Subject<'a> {
    pub(crate) sample: Sample,
    /// Does it once and returns how long it took.
    work: Box<dyn FnMut() -> Result<Duration, Failure> + 'a>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        work: impl FnMut() -> Result<Duration, Failure> + 'a,
    ) -> Self {
        Self { sample: Sample::new(name), work: Box::new(work) }
    }
}

/// Runs every subject once without counting it, then once a round; every other round runs
/// backwards, so that nobody always follows the same one.
pub(crate) fn interleave(
    rounds: usize,
    mut subjects: Vec<Subject<'_>>,
) -> Result<Vec<Sample>, Failure> {
    for subject in &mut subjects {
        (subject.work)()?;
        pause(SETTLE)?;
    }
    for _ in 0..rounds {
        for subject in &mut subjects {
            let time = (subject.work)()?;
            subject.sample.push(time);
            pause(SETTLE)?;
        }
        subjects.reverse();
    }
    if rounds % 2 == 1 {
        subjects.reverse();
    }
    Ok(subjects.into_iter().map(|subject| subject.sample).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sample = Sample { name: "x".into(), milliseconds: vec![5.0, 1.0, 3.0, 2.0, 4.0] };
        assert_eq!(sample.percentile(0.0), 1.0);
        assert_eq!(sample.median(), 3.0);
        assert_eq!(sample.percentile(95.0), 5.0);
        assert!(Sample::new("y").median().is_nan());
    }

    #[test]
    fn subjects_take_turns_there_and_back() {
        let order = RefCell::new(String::new());
        let subject = |name: &'static str| {
            let order = &order;
            Subject::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(Duration::from_millis(2))
            })
        };
        let samples = interleave(3, vec![subject("a"), subject("b")]).expect("nothing fails");
        assert_eq!(*order.borrow(), "ababbaab");
        let names: Vec<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(samples[0].milliseconds, [2.0, 2.0, 2.0]);
    }
}
