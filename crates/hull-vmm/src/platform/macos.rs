//! macOS.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::io::FdFlags;
use tokio::process::Command;

use super::MemoryUse;

/// Makes `command` keep `fds` open under their numbers. There is no parent death signal here: the
/// supervisor must end its machine itself.
pub(crate) fn prepare(command: &mut Command, fds: Vec<OwnedFd>, _: MemoryUse) {
    let prepare = move || {
        for fd in &fds {
            rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Returns a file without a name that holds `content`.
pub(crate) fn anonymous_file(content: &[u8]) -> io::Result<OwnedFd> {
    let path = PathBuf::from(format!("/tmp/hull-initrd-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(content)?;
    Ok(file.into())
}

/// Nobody looks.
pub(crate) fn is_stopped(_pid: u32) -> bool {
    false
}

/// There are no taps here.
pub(crate) fn taps(_pid: u32) -> io::Result<Vec<RawFd>> {
    Ok(Vec::new())
}

/// There are no taps here.
pub(crate) fn prepare_tap(_tap: &OwnedFd) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing here needs it: machines are not forked.
pub(crate) fn written_memory(_pid: u32) -> io::Result<Vec<[u64; 2]>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing here needs it: machines are not forked.
pub(crate) fn anonymous_memory(_size: u64) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns a path under which a process that inherits `fd` can open it.
pub(crate) fn descriptor_path(fd: &OwnedFd) -> PathBuf {
    format!("/dev/fd/{}", fd.as_raw_fd()).into()
}

/// Returns what changes with every boot of the host. Hypervisor.framework does not change with
/// it, so a constant will do.
pub(crate) fn host_boot() -> io::Result<String> {
    Ok("macos".to_owned())
}

/// Every Mac that Hull supports can.
pub(crate) fn cpu_virtualizes() -> bool {
    true
}

/// Returns the CPU's name, for example `Apple M3`. All of one name have the same features.
pub(crate) fn cpu_model() -> io::Result<String> {
    let output = std::process::Command::new("/usr/sbin/sysctl")
        .args(["-n", "machdep.cpu.brand_string"])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
