//! When to try again, and when to give up.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::{ApiError, Cause, Error, Timeouts};

/// The patience left for one operation.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    timeouts: Timeouts,
    failures: u32,
    stalls: u32,
    /// Waiting that registries asked for, in all.
    asked: Duration,
}

/// A request that failed, and what its answer asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// `Retry-After`.
    pub(crate) wait: Option<Duration>,
    /// Whether another try may succeed.
    pub(crate) passing: bool,
}

impl Failure {
    /// The failure an answer with an error status is.
    pub(crate) fn of_answer(error: Error, status: u16, headers: &HeaderMap) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        Self {
            error,
            wait: seconds.map(Duration::from_secs),
            passing: matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let passing = match &error {
            Error::Request { cause, .. } => matches!(
                cause,
                Cause::Broken(_) | Cause::Connect(_) | Cause::Stalled(_) | Cause::Timeout
            ),
            Error::Response(ApiError { status, .. }) => matches!(status, 429 | 500..=599),
            _ => false,
        };
        Self { error, wait: None, passing }
    }
}

impl Retry {
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        Self { timeouts: timeouts.clone(), failures: 0, stalls: 0, asked: Duration::ZERO }
    }

    /// Notes that things move on.
    pub(crate) fn progress(&mut self) {
        (self.failures, self.stalls) = (0, 0);
    }

    /// How long to wait before the next try, or the error to give up with.
    pub(crate) fn after(&mut self, failure: Failure) -> Result<Duration, Error> {
        if !failure.passing {
            return Err(failure.error);
        }
        self.failures += 1;
        let stalled = matches!(
            &failure.error,
            Error::Request { cause: Cause::Stalled(_) | Cause::Timeout, .. }
        );
        if stalled {
            self.stalls += 1;
        }
        // Each stall took long already.
        if self.failures >= self.timeouts.attempts || self.stalls > 1 {
            return Err(failure.error);
        }
        if let Some(wait) = failure.wait {
            self.asked += wait;
            if self.asked > self.timeouts.retry_after {
                return Err(failure.error);
            }
            return Ok(wait);
        }
        let wait = self.timeouts.backoff * 2_u32.pow((self.failures - 1).min(10));
        Ok(wait.mul_f64(0.75 + jitter() / 2.0))
    }
}

/// A number from 0 to 1, so that clients that failed together do not come back together.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: Cause) -> Failure {
        Error::Request { method: "Get", url: String::new(), cause }.into()
    }

    #[test]
    fn waits_grow_and_end() {
        let mut retry = Retry::new(&Timeouts::default());
        let broken = || failure(Cause::Broken(String::new()));
        let waits: Vec<_> = (0..4).map(|_| retry.after(broken()).unwrap()).collect();
        for pair in waits.windows(2) {
            assert!(pair[1] > pair[0], "{waits:?}");
        }
        assert!(retry.after(broken()).is_err());
        retry.progress();
        assert!(retry.after(broken()).is_ok());
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let mut retry = Retry::new(&Timeouts::default());
        assert!(retry.after(failure(Cause::NoCredentials)).is_err());
        assert!(retry.after(failure(Cause::Timeout)).is_ok());
        assert!(retry.after(failure(Cause::Timeout)).is_err());
    }

    #[test]
    fn registries_may_ask_for_a_bounded_wait() {
        let mut retry = Retry::new(&Timeouts::default());
        let asked = |seconds| {
            let mut failure = failure(Cause::Broken(String::new()));
            failure.wait = Some(Duration::from_secs(seconds));
            failure
        };
        assert_eq!(retry.after(asked(40)).unwrap(), Duration::from_secs(40));
        assert!(retry.after(asked(40)).is_err());
        assert!(retry.after(asked(86400)).is_err());
    }
}
