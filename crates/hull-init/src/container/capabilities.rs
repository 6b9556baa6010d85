//! Capability sets by name, see capabilities(7).

use std::ffi::c_ulong;

use hull_spec::Capabilities;

use crate::failure::{Context, Result};
use crate::sys;

/// Sets of a process as bit masks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sets {
    pub(crate) bounding: u64,
    effective: u64,
    inheritable: u64,
    permitted: u64,
    ambient: u64,
}

impl Sets {
    /// Reads the sets of a specification; names that this agent does not know are left out, as
    /// runc leaves them out.
    pub(crate) fn new(capabilities: &Capabilities) -> Self {
        let mask = |names: &[String]| {
            let bits = names.iter().filter_map(|name| bit(name));
            bits.fold(0, |mask, bit| mask | 1 << bit)
        };
        Self {
            bounding: mask(&capabilities.bounding),
            effective: mask(&capabilities.effective),
            inheritable: mask(&capabilities.inheritable),
            permitted: mask(&capabilities.permitted),
            ambient: mask(&capabilities.ambient),
        }
    }

    /// Drops what is not in the bounding set; must happen while the process still may.
    pub(crate) fn apply_bounding(&self) {
        for bit in 0..64 {
            if self.bounding & 1 << bit == 0 && sys::prctl(libc::PR_CAPBSET_DROP, bit, 0).is_err() {
                // The first number that the kernel does not know.
                return;
            }
        }
    }

    /// Sets all other sets, after the change of user.
    pub(crate) fn apply(&self) -> Result<()> {
        sys::capset(self.permitted, self.effective, self.inheritable)
            .context(|| "unable to apply caps".into())?;
        for bit in 0..64 {
            if self.ambient & 1 << bit != 0 {
                let raise = libc::PR_CAP_AMBIENT_RAISE as c_ulong;
                // Not in the permitted or inheritable set: the kernel refuses, runc goes on.
                let _ = sys::prctl(libc::PR_CAP_AMBIENT, raise, bit);
            }
        }
        Ok(())
    }
}

fn bit(name: &str) -> Option<u32> {
    let name = name.strip_prefix("CAP_").unwrap_or(name);
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|index| index as u32)
}

/// In the order of `linux/capability.h`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_the_kernel() {
        assert_eq!(bit("CAP_CHOWN"), Some(0));
        assert_eq!(bit("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(bit("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(bit("CAP_NOSUCH"), None);
    }
}
