//! `--security-opt`.

use hull_seccomp::{Arch, Profile, docker_default};
use hull_spec::Seccomp;

use crate::{Error, HostConfig};

/// Kernel that rules of a seccomp profile with `minKernel` see: the oldest that Hull supports as
/// a guest.
const GUEST_KERNEL: (u32, u32) = (6, 1);

/// What the security options ask for.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub(crate) no_new_privileges: bool,
    pub(crate) writable_cgroups: Option<bool>,
    profile: SeccompProfile,
}

#[derive(Debug, Default)]
enum SeccompProfile {
    #[default]
    Default,
    Unconfined,
    Own(Profile),
}

impl Security {
    /// Parses the options as Docker's daemon does. There is no AppArmor and no SELinux in a guest:
    /// switching them off is granted, asking for a profile or label is refused.
    pub(crate) fn parse(options: &[String]) -> Result<Self, Error> {
        let mut security = Self::default();
        for option in options {
            let malformed =
                |n: u8| Error::invalid(format!("invalid --security-opt {n}: \"{option}\""));
            match option.as_str() {
                "no-new-privileges" => security.no_new_privileges = true,
                "writable-cgroups" => security.writable_cgroups = Some(true),
                "disable" => {}
                _ => {
                    let (key, value) = option
                        .split_once('=')
                        .or_else(|| option.split_once(':'))
                        .ok_or_else(|| malformed(1))?;
                    match (key, value) {
                        ("no-new-privileges", value) => {
                            security.no_new_privileges =
                                boolean(value).ok_or_else(|| malformed(2))?;
                        }
                        ("writable-cgroups", value) => {
                            let value = boolean(value).ok_or_else(|| malformed(2))?;
                            security.writable_cgroups = Some(value);
                        }
                        ("label", "disable") | ("apparmor", "unconfined") => {}
                        ("label" | "apparmor", _) => {
                            return Err(Error::unsupported(format!(
                                "security option \"{option}\" is not supported: \
                                 the guest's kernel has neither AppArmor nor SELinux"
                            )));
                        }
                        ("seccomp", "unconfined") => security.profile = SeccompProfile::Unconfined,
                        ("seccomp", "" | "builtin") => security.profile = SeccompProfile::Default,
                        ("seccomp", text) => {
                            let profile = Profile::parse(text).map_err(Error::Seccomp)?;
                            security.profile = SeccompProfile::Own(profile);
                        }
                        _ => return Err(malformed(2)),
                    }
                }
            }
        }
        Ok(security)
    }

    /// Returns the profile for a container that is granted `capabilities`. A privileged container
    /// has none, even if it asks for one, as in Docker.
    pub(crate) fn seccomp(
        &self,
        host: &HostConfig,
        arch: Arch,
        capabilities: &[String],
    ) -> Result<Option<Seccomp>, Error> {
        if host.privileged {
            return Ok(None);
        }
        match &self.profile {
            SeccompProfile::Default => Ok(Some(docker_default(arch, capabilities))),
            SeccompProfile::Unconfined => Ok(None),
            SeccompProfile::Own(profile) => {
                profile.resolve(arch, capabilities, GUEST_KERNEL).map_err(Error::Seccomp)
            }
        }
    }
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Security, Error> {
        Security::parse(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options() {
        assert!(parse(&["no-new-privileges"]).unwrap().no_new_privileges);
        assert!(parse(&["no-new-privileges:true"]).unwrap().no_new_privileges);
        assert!(!parse(&["no-new-privileges=false"]).unwrap().no_new_privileges);
        assert!(parse(&["label=disable", "apparmor=unconfined", "seccomp=builtin"]).is_ok());
        for (option, message) in [
            ("foo", "invalid --security-opt 1: \"foo\""),
            ("foo=bar", "invalid --security-opt 2: \"foo=bar\""),
            ("no-new-privileges=x", "invalid --security-opt 2: \"no-new-privileges=x\""),
            ("seccomp=/not/json", "invalid seccomp profile"),
            (
                "apparmor=mine",
                "security option \"apparmor=mine\" is not supported: \
                 the guest's kernel has neither AppArmor nor SELinux",
            ),
        ] {
            assert_eq!(parse(&[option]).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn profiles() {
        let profile = |options: &[&str], privileged| {
            let host = HostConfig { privileged, ..HostConfig::default() };
            let security = parse(options).unwrap();
            security.seccomp(&host, Arch::X86_64, &[]).unwrap()
        };
        assert_eq!(profile(&[], false).unwrap().default_action, "SCMP_ACT_ERRNO");
        assert!(profile(&[], true).is_none());
        assert!(profile(&["seccomp=unconfined"], false).is_none());
        let own = r#"seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#;
        assert_eq!(profile(&[own], false).unwrap().default_action, "SCMP_ACT_ALLOW");
        assert!(profile(&["seccomp={}"], false).is_none());
    }
}
