//! The guest's own file systems and network: what the agent needs before the first container.

use std::fs;

use rustix::fs::Mode;
use rustix::io::{Errno, Result};
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};
use rustix::net::{AddressFamily, SocketType};

use crate::console;
use crate::sys;

/// Where everything that the agent makes for containers lives.
pub(crate) const STATE_DIR: &str = "/run/hull";

/// Mounts what finding the channel needs.
pub(crate) fn early() -> Result<()> {
    leave_initial_root()?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    for (kind, target, flags) in [
        ("devtmpfs", "/dev", MountFlags::NOSUID | MountFlags::NOEXEC),
        ("sysfs", "/sys", flags),
        ("proc", "/proc", flags),
    ] {
        make_dir(target)?;
        match mount(kind, target, kind, flags, None) {
            Ok(()) | Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    // The agent's children start non-dumpable too: nothing in a container may look into one of
    // them before it has become the container's.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let command_line = fs::read("/proc/cmdline").unwrap_or_default();
    let mut words = command_line.split(u8::is_ascii_whitespace);
    if words.any(|word| word == b"hull.debug") {
        console::keep_phases();
    }
    Ok(())
}

/// Mounts what containers need; called once the host has been answered.
pub(crate) fn late() -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    make_dir("/run")?;
    mount("tmpfs", "/run", "tmpfs", flags, Some(c"mode=755"))?;
    make_dir(STATE_DIR)?;
    let flags = flags | MountFlags::NOEXEC;
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, None)?;
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    if let Err(errno) = sys::interface_up(std::os::fd::AsFd::as_fd(&socket), "lo") {
        console::say(&format!("cannot set lo up: {errno}"));
    }
    let_idle();
    Ok(())
}

/// Has the kernel not compact memory ahead of need: twice a second it would look whether to, which
/// wakes a machine in which nothing happens. It still does when a large piece is asked for.
fn let_idle() {
    // The kernel's documentation, admin-guide/sysctl/vm.rst. Not so `stat_interval`: what has been
    // freed is merged, and goes back to the host, when the counters are looked at.
    if let Err(error) = fs::write("/proc/sys/vm/compaction_proactiveness", "0") {
        console::say(&format!("cannot set vm.compaction_proactiveness: {error}"));
    }
}

/// Makes a directory unless it is there.
pub(crate) fn make_dir(path: &str) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Goes on in a bind mount of the initial root over itself: pivot_root(2), which every container
/// needs, refuses to work on the initial root, as that has no parent mount.
fn leave_initial_root() -> Result<()> {
    make_dir("/run")?;
    mount_bind("/", "/run")?;
    rustix::process::chdir("/run")?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")
}
