//! Facts of the host.

use std::fs;
use std::sync::OnceLock;

use hull_plan::Host;

/// Returns what a plan depends on.
pub(crate) fn plan_host() -> Host {
    Host {
        arch: seccomp_arch(),
        cpus: cpus(),
        memory: memory(),
        resolv_conf: fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        address: hull_network::ipam::host_address(),
    }
}

/// Number of CPUs that this process may use; found out once, because that reads a dozen files.
pub(crate) fn cpus() -> u32 {
    static CPUS: OnceLock<u32> = OnceLock::new();
    *CPUS.get_or_init(|| {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        u32::try_from(cpus).unwrap_or(u32::MAX)
    })
}

/// Bytes of memory of the host; 0 if it does not say.
pub(crate) fn memory() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
    }
    #[cfg(not(target_os = "linux"))]
    {
        0
    }
}

/// Docker's name of the host's architecture, for example `amd64`.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn seccomp_arch() -> hull_seccomp::Arch {
    match std::env::consts::ARCH {
        "aarch64" => hull_seccomp::Arch::Aarch64,
        _ => hull_seccomp::Arch::X86_64,
    }
}
