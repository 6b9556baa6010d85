//! Health checks.

use serde::{Deserialize, Serialize};

use crate::{ContainerConfig, Error};

/// How a container's health is told, Docker's `HealthConfig`. Durations are nanoseconds; zero and
/// empty mean "not given".
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", program, ...]` or `["CMD-SHELL", script]`; empty: the image's.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::config::null_as_default"
    )]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

impl Healthcheck {
    /// Returns the command line of a check, `None` if there is none.
    pub fn command(&self) -> Option<Vec<String>> {
        match self.test.split_first() {
            Some((kind, words)) if kind == "CMD" => Some(words.to_owned()),
            Some((kind, words)) if kind == "CMD-SHELL" => {
                let shell = ["/bin/sh", "-c"].map(str::to_owned);
                Some(shell.into_iter().chain(words.iter().cloned()).collect())
            }
            // `NONE`, and what docker ignores with a warning in its log.
            _ => None,
        }
    }

    /// Fills what is not given from the image's.
    pub(crate) fn merge(&mut self, image: &Self) {
        if self.test.is_empty() {
            self.test.clone_from(&image.test);
        }
        for (own, image) in [
            (&mut self.interval, image.interval),
            (&mut self.timeout, image.timeout),
            (&mut self.start_period, image.start_period),
            (&mut self.start_interval, image.start_interval),
            (&mut self.retries, image.retries),
        ] {
            if *own == 0 {
                *own = image;
            }
        }
    }
}

/// As dockerd's `validateHealthCheck`.
pub(crate) fn validate(config: &ContainerConfig) -> Result<(), Error> {
    let Some(check) = &config.healthcheck else { return Ok(()) };
    for (name, value) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ] {
        if value != 0 && value < SHORTEST {
            return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if check.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// One millisecond.
const SHORTEST: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str]) -> Healthcheck {
        let test = test.iter().map(|&word| word.to_owned()).collect();
        Healthcheck { test, ..Healthcheck::default() }
    }

    #[test]
    fn commands() {
        assert_eq!(check(&["CMD", "a", "b"]).command().unwrap(), ["a", "b"]);
        assert_eq!(check(&["CMD-SHELL", "a b"]).command().unwrap(), ["/bin/sh", "-c", "a b"]);
        assert_eq!(check(&["NONE"]).command(), None);
        assert_eq!(check(&[]).command(), None);
    }

    #[test]
    fn what_is_not_given_is_the_images() {
        let image = Healthcheck { interval: 5, retries: 2, ..check(&["CMD", "true"]) };
        let mut own = Healthcheck { retries: 7, ..Healthcheck::default() };
        own.merge(&image);
        assert_eq!(own, Healthcheck { interval: 5, retries: 7, ..check(&["CMD", "true"]) });
    }

    #[test]
    fn nothing_is_quicker_than_a_millisecond() {
        let with = |check| ContainerConfig { healthcheck: Some(check), ..Default::default() };
        let wrong = with(Healthcheck { timeout: 5, ..Healthcheck::default() });
        let error = validate(&wrong).unwrap_err().to_string();
        assert_eq!(error, "Timeout in Healthcheck cannot be less than 1ms");
        validate(&with(Healthcheck { timeout: SHORTEST, ..Healthcheck::default() })).unwrap();
    }
}
