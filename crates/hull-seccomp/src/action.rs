//! What a filter returns.

use hull_spec::Seccomp;

use crate::Error;

/// Return value of a filter, `SECCOMP_RET_*` of `linux/seccomp.h` with its data.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Action(pub(crate) u32);

impl Action {
    /// What libseccomp does to calls of an interface that the profile does not name.
    pub(crate) const KILL_THREAD: Self = Self(0x0000_0000);
    pub(crate) const ENOSYS: Self = Self(ERRNO | 38);

    /// Parses an OCI action. As in runc, errno is `EPERM` unless given.
    pub(crate) fn parse(name: &str, errno: Option<u32>) -> Result<Self, Error> {
        let value = match name {
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => return Ok(Self::KILL_THREAD),
            "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
            "SCMP_ACT_TRAP" => 0x0003_0000,
            "SCMP_ACT_ERRNO" => ERRNO | data(errno, 4095)?,
            "SCMP_ACT_TRACE" => TRACE | data(errno, 0xffff)?,
            "SCMP_ACT_LOG" => LOG,
            "SCMP_ACT_ALLOW" => ALLOW,
            "SCMP_ACT_NOTIFY" => return Err(Error::Listener(name.into())),
            _ => return Err(Error::UnknownAction(name.into())),
        };
        Ok(Self(value))
    }

    /// What calls return that are newer than everything the profile names. As in runc, a profile
    /// that forbids by default answers `ENOSYS` to those, so that programs fall back to what they
    /// did before the call existed.
    pub(crate) fn beyond(profile: &Seccomp) -> Result<Self, Error> {
        let default = Self::parse(&profile.default_action, profile.default_errno_ret)?;
        match default.0 & 0xffff_0000 {
            ALLOW | LOG | TRACE => Ok(default),
            _ => Ok(Self::ENOSYS),
        }
    }
}

const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

fn data(errno: Option<u32>, limit: u32) -> Result<u32, Error> {
    match errno.unwrap_or(1) {
        errno if errno > limit => Err(Error::ErrnoRange(errno)),
        errno => Ok(errno),
    }
}
