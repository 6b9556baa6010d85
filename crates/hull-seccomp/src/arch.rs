//! Machine architectures of guests, and the system call interfaces that their kernels offer.

use std::str::FromStr;

use syscalls::{aarch64, arm, x86, x86_64};

/// Architecture of a guest kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    /// Returns the architecture that `uname -m`, Rust or Go call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// Go's name, which Docker's profiles use in `includes.arches`.
    pub(crate) fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// All interfaces of the kernel, the native one first.
    pub(crate) fn family(self) -> &'static [Abi] {
        match self {
            Self::X86_64 => &[Abi::X86_64, Abi::X86, Abi::X32],
            Self::Aarch64 => &[Abi::Aarch64, Abi::Arm],
        }
    }
}

/// One system call interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Abi {
    X86_64,
    /// 32-bit pointers on x86_64: `AUDIT_ARCH_X86_64` with [`X32_BIT`] in the number.
    X32,
    X86,
    Aarch64,
    Arm,
}

/// `__X32_SYSCALL_BIT` of `asm/unistd.h`.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// Name in OCI and libseccomp.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X32 => "SCMP_ARCH_X32",
            Self::X86 => "SCMP_ARCH_X86",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`.
    pub(crate) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments are compared as 64-bit values. As in libseccomp, x32 counts as 32-bit.
    pub(crate) fn wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }

    /// Number of the system call that libseccomp calls `name`, if this interface has it directly.
    pub(crate) fn number(self, name: &str) -> Option<u32> {
        match self {
            Self::X86_64 => x86_64::Sysno::from_str(name).ok().map(|n| n as u32),
            Self::X86 => x86::Sysno::from_str(name).ok().map(|n| n as u32),
            // The kernel's table says fstatat, libseccomp says newfstatat.
            Self::Aarch64 if name == "newfstatat" => Some(aarch64::Sysno::fstatat as u32),
            Self::Aarch64 => aarch64::Sysno::from_str(name).ok().map(|n| n as u32),
            Self::X32 => x32(name).map(|n| n | X32_BIT),
            Self::Arm => {
                arm_private(name).or_else(|| arm::Sysno::from_str(name).ok().map(|n| n as u32))
            }
        }
    }

    /// The multiplexer that carries `name` on this interface, and the value of its first argument.
    pub(crate) fn multiplexed(self, name: &str) -> Option<(&'static str, u32)> {
        if self != Self::X86 {
            return None;
        }
        let find = |table: &[(&str, u32)]| table.iter().find(|e| e.0 == name).map(|e| e.1);
        find(&SOCKETCALL).map(|n| ("socketcall", n)).or_else(|| find(&IPC).map(|n| ("ipc", n)))
    }
}

/// x32 shares the table of x86_64 but for those that take structures with pointers in them.
fn x32(name: &str) -> Option<u32> {
    match X32_OWN.iter().position(|own| *own == name) {
        Some(index) => Some(512 + index as u32),
        None => x86_64::Sysno::from_str(name).ok().map(|n| n as u32),
    }
}

/// `arch/x86/entry/syscalls/syscall_64.tbl`, numbers 512 to 547.
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// First of ARM's private system calls (`__ARM_NR_BASE`).
pub(crate) const ARM_PRIVATE: u32 = 0x000f_0000;

/// ARM's private system calls, and libseccomp's second names of two ordinary ones.
fn arm_private(name: &str) -> Option<u32> {
    Some(match name {
        "breakpoint" => ARM_PRIVATE + 1,
        "cacheflush" => ARM_PRIVATE + 2,
        "usr26" => ARM_PRIVATE + 3,
        "usr32" => ARM_PRIVATE + 4,
        "set_tls" => ARM_PRIVATE + 5,
        "get_tls" => ARM_PRIVATE + 6,
        "arm_fadvise64_64" => 270,
        "arm_sync_file_range" | "sync_file_range2" => 341,
        _ => return None,
    })
}

/// `linux/net.h`.
const SOCKETCALL: [(&str, u32); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// `linux/ipc.h`.
const IPC: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_interface() {
        for (abi, name, number) in [
            (Abi::X86_64, "read", Some(0)),
            (Abi::X86_64, "umount2", Some(166)),
            (Abi::X86_64, "umount", None),
            (Abi::X86_64, "socketcall", None),
            (Abi::X32, "read", Some(X32_BIT)),
            (Abi::X32, "execve", Some(X32_BIT + 520)),
            (Abi::X32, "pwritev2", Some(X32_BIT + 547)),
            (Abi::X86, "umount", Some(22)),
            (Abi::X86, "socketcall", Some(102)),
            (Abi::X86, "socket", Some(359)),
            (Abi::X86, "_llseek", Some(140)),
            (Abi::X86, "_newselect", Some(142)),
            (Abi::X86, "select", Some(82)),
            (Abi::X86, "clock_gettime64", Some(403)),
            (Abi::Aarch64, "openat", Some(56)),
            (Abi::Aarch64, "open", None),
            (Abi::Aarch64, "newfstatat", Some(79)),
            (Abi::Arm, "cacheflush", Some(0xf0002)),
            (Abi::Arm, "arm_fadvise64_64", Some(270)),
            (Abi::Arm, "sync_file_range2", Some(341)),
        ] {
            assert_eq!(abi.number(name), number, "{abi:?} {name}");
        }
        assert_eq!(Abi::X86.multiplexed("accept4"), Some(("socketcall", 18)));
        assert_eq!(Abi::X86.multiplexed("shmctl"), Some(("ipc", 24)));
        assert_eq!(Abi::X86_64.multiplexed("socket"), None);
    }
}
