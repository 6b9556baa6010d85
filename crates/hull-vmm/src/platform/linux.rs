//! Linux.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::process::Signal;
use tokio::process::Command;

use super::MemoryUse;

/// Makes `command` keep `fds` open under their numbers, and die with the calling thread.
pub(crate) fn prepare(command: &mut Command, fds: Vec<OwnedFd>, memory_use: MemoryUse) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        // SAFETY: marks descriptors of this process, which is about to become another program.
        // Kernels before 5.11 refuse it; then descriptors that Hull itself inherited go on.
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
        for fd in &fds {
            rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::empty())?;
        }
        if memory_use == MemoryUse::Frugal {
            // SAFETY: says something of this process, which is about to become another program.
            // Kernels that refuse it are no worse than before.
            unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
        }
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the call above.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock (`io::Error` of an errno or a kind does not allocate).
    unsafe { command.pre_exec(prepare) };
}

/// Returns a file without a name that holds `content`.
pub(crate) fn anonymous_file(content: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("initrd", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(content)?;
    Ok(file.into())
}

/// Returns a file without a name, and without content, of `size` bytes.
pub(crate) fn anonymous_memory(size: u64) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("unused", MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&fd, size)?;
    Ok(fd)
}

/// Returns a path under which a process that inherits `fd` can open it.
pub(crate) fn descriptor_path(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Returns the taps that the process `pid` has open, by their numbers there.
pub(crate) fn taps(pid: u32) -> io::Result<Vec<RawFd>> {
    let mut taps = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // Others may be closed meanwhile.
        let is_tap = std::fs::read_link(entry.path()).is_ok_and(|path| path.ends_with("net/tun"));
        let number: Option<RawFd> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        taps.extend(number.filter(|_| is_tap));
    }
    Ok(taps)
}

/// Sets `tap` up as a VMM does that has agreed with a Linux guest on all that can be put off:
/// checksums and the cutting of long frames (`linux/if_tun.h`, virtio 1.2, 5.1.3).
pub(crate) fn prepare_tap(tap: &OwnedFd) -> io::Result<()> {
    // SAFETY: the first takes a pointer to a number, the others take a number.
    unsafe {
        let fd = tap.as_raw_fd();
        let length: libc::c_int = VNET_HEADER_BYTES;
        if libc::ioctl(fd, TUNSETVNETHDRSZ, &raw const length) < 0 {
            return Err(io::Error::last_os_error());
        }
        // Kernels that do not know the last are asked without it, as QEMU does.
        for offloads in OFFLOADS {
            if libc::ioctl(fd, TUNSETOFFLOAD, libc::c_ulong::from(offloads)) == 0 {
                return Ok(());
            }
        }
        Err(io::Error::last_os_error())
    }
}

/// Returns whether somebody has stopped the process `pid` (signal(7)), so that it does nothing until
/// it is told to go on.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // The name before it may hold anything.
    stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 't'])))
}

/// Returns what changes with every boot of the host.
pub(crate) fn host_boot() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Returns whether the CPU says that it can run virtual machines. A KVM on one that does not say
/// so is rarely of use.
pub(crate) fn cpu_virtualizes() -> bool {
    if cfg!(target_arch = "aarch64") {
        return true;
    }
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| {
        text.lines()
            .find(|line| line.starts_with("flags"))
            .is_some_and(|line| line.split_whitespace().any(|flag| flag == "vmx" || flag == "svm"))
    })
}

/// Returns what the first CPU says of itself: model, revision and features.
pub(crate) fn cpu_model() -> io::Result<String> {
    const TELLING: &[&str] = &[
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "microcode",
        "flags",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "CPU revision",
        "Features",
    ];
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let first = text.lines().take_while(|line| !line.is_empty());
    let values = first.filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        TELLING.contains(&key.trim()).then(|| value.trim())
    });
    Ok(values.collect::<Vec<_>>().join("; "))
}

/// `TUNSETVNETHDRSZ`: `_IOW('T', 216, int)`.
const TUNSETVNETHDRSZ: libc::c_ulong = 0x4004_54d8;
/// `TUNSETOFFLOAD`: `_IOW('T', 208, unsigned int)`.
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
/// Of a header that tells how many buffers there are.
const VNET_HEADER_BYTES: libc::c_int = 12;
/// `TUN_F_CSUM`, `TUN_F_TSO4`, `TUN_F_TSO6`, `TUN_F_TSO_ECN`, `TUN_F_UFO`; and the same with
/// `TUN_F_USO4` and `TUN_F_USO6`.
const OFFLOADS: [libc::c_uint; 2] = [0x7f, 0x1f];
/// `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`.
const CLOSE_ON_EXEC: libc::c_uint = 4;
