//! Restart policies.

use serde::{Deserialize, Serialize};

use crate::{Error, HostConfig};

/// Whether a container is started again when it has ended, Docker's `RestartPolicy`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RestartPolicy {
    pub mode: RestartMode,
    /// How often it is started again at most, with [`RestartMode::OnFailure`]; 0: no limit.
    pub maximum_retry_count: u32,
}

/// When a container is started again.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    #[default]
    No,
    Always,
    /// If its exit code was not 0.
    OnFailure,
    /// Unless a user had stopped it.
    UnlessStopped,
}

impl RestartMode {
    /// Docker's name of it, for example `on-failure`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

impl RestartPolicy {
    /// Reads name and count as moby's `ValidateRestartPolicy` does; an empty name is `no`.
    ///
    /// # Errors
    /// No such policy, or a count that it cannot have.
    pub fn parse(name: &str, count: i64) -> Result<Self, Error> {
        let mode = match name {
            // Old clients sent an empty name with any count.
            "" => return Ok(Self::default()),
            "no" => RestartMode::No,
            "always" => RestartMode::Always,
            "on-failure" => RestartMode::OnFailure,
            "unless-stopped" => RestartMode::UnlessStopped,
            _ => {
                return Err(Error::invalid(format!(
                    "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', \
                     'on-failure', or 'unless-stopped'"
                )));
            }
        };
        let counts = mode == RestartMode::OnFailure;
        let Ok(maximum_retry_count) = u32::try_from(count) else {
            return Err(Error::invalid(match counts {
                true => "invalid restart policy: maximum retry count cannot be negative",
                false => {
                    "invalid restart policy: maximum retry count can only be used with \
                     'on-failure' and cannot be negative"
                }
            }));
        };
        if maximum_retry_count > 0 && !counts {
            return Err(Error::invalid(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            ));
        }
        Ok(Self { mode, maximum_retry_count })
    }

    /// True if the container is never started again.
    pub fn is_none(self) -> bool {
        self.mode == RestartMode::No
    }
}

/// A container cannot both go and come back.
pub(crate) fn validate(host: &HostConfig) -> Result<(), Error> {
    if host.auto_remove && !host.restart_policy.is_none() {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_moby_reads_them() {
        let parse = |name, count| RestartPolicy::parse(name, count).map_err(|e| e.to_string());
        let policy = |mode, maximum_retry_count| Ok(RestartPolicy { mode, maximum_retry_count });
        assert_eq!(parse("", 5), policy(RestartMode::No, 0));
        assert_eq!(parse("on-failure", 3), policy(RestartMode::OnFailure, 3));
        assert_eq!(parse("unless-stopped", 0), policy(RestartMode::UnlessStopped, 0));
        for (name, count, end) in [
            ("always", 1, "can only be used with 'on-failure'"),
            ("no", -1, "can only be used with 'on-failure' and cannot be negative"),
            ("on-failure", -1, "maximum retry count cannot be negative"),
            ("sometimes", 0, "'always', 'on-failure', or 'unless-stopped'"),
        ] {
            assert!(parse(name, count).unwrap_err().ends_with(end), "{name} {count}");
        }
    }

    #[test]
    fn what_is_removed_does_not_come_back() {
        let restart_policy = RestartPolicy { mode: RestartMode::Always, maximum_retry_count: 0 };
        let mut host = HostConfig { restart_policy, ..HostConfig::default() };
        validate(&host).unwrap();
        host.auto_remove = true;
        validate(&host).unwrap_err();
    }
}
