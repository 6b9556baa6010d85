//! Seccomp profiles: compiled on the host, because the agent is small and the guest not trusted
//! with more than it needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

/// Takes the seccomp profile out of an OCI specification and compiles it for a guest of
/// architecture `arch` (`x86_64`, `aarch64`). Returns the specification without it, and the
/// program as [`hull_protocol::Create::seccomp`] wants it.
///
/// # Errors
/// [`SeccompError`].
pub fn extract(
    spec: &RawValue,
    arch: &str,
) -> Result<(Box<RawValue>, Option<String>), SeccompError> {
    let mut spec: Value = serde_json::from_str(spec.get()).map_err(SeccompError::Parse)?;
    let profile = spec
        .get_mut("linux")
        .and_then(Value::as_object_mut)
        .and_then(|linux| linux.remove("seccomp"));
    let program = match profile {
        None | Some(Value::Null) => None,
        Some(profile) => {
            let profile: hull_spec::Seccomp =
                serde_json::from_value(profile).map_err(SeccompError::Parse)?;
            let arch = hull_seccomp::Arch::from_name(arch)
                .ok_or_else(|| SeccompError::Architecture(arch.to_owned()))?;
            let filter = hull_seccomp::compile(&profile, arch)?;
            Some(STANDARD.encode(hull_seccomp::to_bytes(&filter)))
        }
    };
    let spec = serde_json::value::to_raw_value(&spec).map_err(SeccompError::Parse)?;
    Ok((spec, program))
}

/// Why a profile cannot be used.
#[derive(Debug, Error)]
pub enum SeccompError {
    #[error("there is no seccomp for `{0}`")]
    Architecture(String),
    #[error("the seccomp profile cannot be compiled")]
    Compile(#[from] hull_seccomp::Error),
    #[error("malformed specification")]
    Parse(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_profile_is_compiled_and_taken_out() {
        let spec = raw(r#"{"hostname":"h","unknown":[1],"linux":{"cgroupsPath":"/c","seccomp":
            {"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],
             "syscalls":[{"names":["read","write"],"action":"SCMP_ACT_ALLOW"}]}}}"#);
        let (stripped, program) = extract(&spec, "x86_64").unwrap();
        let stripped: Value = serde_json::from_str(stripped.get()).unwrap();
        assert_eq!(stripped["unknown"][0], 1);
        assert_eq!(stripped["linux"]["cgroupsPath"], "/c");
        assert!(stripped["linux"].get("seccomp").is_none());
        let program = STANDARD.decode(program.unwrap()).unwrap();
        assert!(!program.is_empty() && program.len() % 8 == 0);
    }

    #[test]
    fn a_specification_without_profile_has_no_program() {
        for spec in [r#"{"linux":{}}"#, "{}", r#"{"linux":{"seccomp":null}}"#] {
            assert_eq!(extract(&raw(spec), "aarch64").unwrap().1, None);
        }
    }

    #[test]
    fn unknown_architectures_are_refused() {
        let spec = raw(r#"{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW"}}}"#);
        let error = extract(&spec, "vax").unwrap_err();
        assert_eq!(error.to_string(), "there is no seccomp for `vax`");
    }
}
