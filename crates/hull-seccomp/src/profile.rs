//! Docker's profile format (`--security-opt seccomp=FILE`): OCI with rules that depend on the
//! architecture, the capabilities and the kernel.

use hull_spec::{Seccomp, Syscall, SyscallArg};
use serde::Deserialize;

use crate::{Arch, Error};

/// A profile as users write it.
///
/// Source: <https://github.com/moby/profiles>, `seccomp/seccomp.go`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    architectures: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    arch_map: Vec<ArchMap>,
    #[serde(deserialize_with = "nullable")]
    flags: Vec<String>,
    listener_path: String,
    #[serde(deserialize_with = "nullable")]
    syscalls: Vec<Rule>,
}

impl Profile {
    /// Parses the JSON text of a profile.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(Error::Json)
    }

    /// Picks the rules that hold for a process with `capabilities` in its bounding set, on a guest
    /// of architecture `arch` whose kernel is `kernel` (major, minor). `None`: the profile is
    /// empty, which means no filter, as in Docker.
    pub fn resolve<S: AsRef<str>>(
        &self,
        arch: Arch,
        capabilities: &[S],
        kernel: (u32, u32),
    ) -> Result<Option<Seccomp>, Error> {
        if self.default_action.is_empty() && self.syscalls.is_empty() {
            return Ok(None);
        }
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(Error::TwoArchitectureLists);
        }
        if !self.listener_path.is_empty() {
            return Err(Error::Listener("listenerPath".into()));
        }
        let mut architectures = self.architectures.clone();
        let native = arch.family()[0].name();
        if let Some(map) = self.arch_map.iter().find(|map| map.architecture == native) {
            architectures.push(map.architecture.clone());
            architectures.extend(map.sub_architectures.iter().cloned());
        }
        let mut syscalls = Vec::new();
        for rule in &self.syscalls {
            if rule.holds(arch, capabilities, kernel)? {
                syscalls.push(rule.syscall()?);
            }
        }
        Ok(Some(Seccomp {
            default_action: self.default_action.clone(),
            default_errno_ret: self.default_errno_ret,
            architectures,
            flags: self.flags.clone(),
            syscalls,
        }))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    #[serde(deserialize_with = "nullable")]
    sub_architectures: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    /// Old form of `names`.
    name: String,
    #[serde(deserialize_with = "nullable")]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    args: Vec<SyscallArg>,
    #[serde(deserialize_with = "nullable")]
    includes: Filter,
    #[serde(deserialize_with = "nullable")]
    excludes: Filter,
}

impl Rule {
    fn holds<S: AsRef<str>>(
        &self,
        arch: Arch,
        capabilities: &[S],
        kernel: (u32, u32),
    ) -> Result<bool, Error> {
        let has_arch = |filter: &Filter| filter.arches.iter().any(|a| a == arch.go_name());
        let has_cap = |name: &String| capabilities.iter().any(|c| c.as_ref() == name);
        let (includes, excludes) = (&self.includes, &self.excludes);
        let excluded = has_arch(excludes)
            || excludes.caps.iter().any(has_cap)
            || excludes.min_kernel()?.is_some_and(|least| kernel >= least);
        let included = (includes.arches.is_empty() || has_arch(includes))
            && includes.caps.iter().all(has_cap)
            && includes.min_kernel()?.is_none_or(|least| kernel >= least);
        Ok(included && !excluded)
    }

    fn syscall(&self) -> Result<Syscall, Error> {
        let names = match (self.name.is_empty(), self.names.is_empty()) {
            (false, false) => return Err(Error::TwoNameLists),
            (false, true) => vec![self.name.clone()],
            (true, _) => self.names.clone(),
        };
        Ok(Syscall {
            names,
            action: self.action.clone(),
            errno_ret: self.errno_ret,
            args: self.args.clone(),
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Filter {
    #[serde(deserialize_with = "nullable")]
    caps: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    arches: Vec<String>,
    min_kernel: String,
}

impl Filter {
    fn min_kernel(&self) -> Result<Option<(u32, u32)>, Error> {
        if self.min_kernel.is_empty() {
            return Ok(None);
        }
        let parsed = self
            .min_kernel
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        match parsed {
            Some(version) => Ok(Some(version)),
            None => Err(Error::KernelVersion(self.min_kernel.clone())),
        }
    }
}

/// Go writes empty lists and structures as `null`.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}
        ],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}},
            {"name": "old", "action": "SCMP_ACT_ALLOW"},
            {"names": ["arm"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"names": ["admin"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["user"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["new"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
            {"names": ["past"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "6.2"}}
        ]
    }"#;

    fn names(arch: Arch, capabilities: &[&str], kernel: (u32, u32)) -> Vec<String> {
        let profile = Profile::parse(TEXT).unwrap();
        let resolved = profile.resolve(arch, capabilities, kernel).unwrap().unwrap();
        resolved.syscalls.into_iter().flat_map(|s| s.names).collect()
    }

    #[test]
    fn rules_depend_on_the_container() {
        let admin: &[&str] = &["CAP_SYS_ADMIN"];
        assert_eq!(names(Arch::X86_64, &[], (6, 1)), ["read", "old", "user", "past"]);
        assert_eq!(names(Arch::Aarch64, admin, (6, 12)), ["read", "old", "arm", "admin", "new"]);
    }

    #[test]
    fn contradictions_are_refused() {
        for (text, message) in [
            (r#"{"syscalls": 1}"#, "Decoding seccomp profile failed"),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                    "archMap": [{"architecture": "SCMP_ARCH_X86"}]}"#,
                "both 'architectures' and 'archMap' are specified in the seccomp profile, \
                 use either 'architectures' or 'archMap'",
            ),
            (
                r#"{"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}"#,
                "both 'name' and 'names' are specified in the seccomp profile, \
                 use either 'name' or 'names'",
            ),
            (
                r#"{"syscalls": [{"names": ["b"], "action": "SCMP_ACT_ALLOW",
                    "includes": {"minKernel": "six"}}]}"#,
                "seccomp profile asks for kernel `six`, which is not of the form major.minor",
            ),
        ] {
            let result = Profile::parse(text).and_then(|p| p.resolve(Arch::X86_64, &[""], (6, 12)));
            assert_eq!(result.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_empty_profile_is_no_filter() {
        let profile = Profile::parse("{}").unwrap();
        assert!(profile.resolve(Arch::X86_64, &[""], (6, 12)).unwrap().is_none());
    }
}
