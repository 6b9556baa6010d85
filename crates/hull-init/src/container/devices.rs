//! What a container finds in /dev besides mounts.

use std::os::fd::BorrowedFd;

use hull_spec::Device;
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};
use rustix::io::Errno;

use crate::container::paths::resolve_or_create;
use crate::failure::{Context, Failure, Result};

/// Makes the nodes and links that every container has, then those of the specification.
pub(crate) fn make(root: BorrowedFd<'_>, devices: &[Device]) -> Result<()> {
    let what = || "set up /dev".to_owned();
    let dev = resolve_or_create(root, "/dev", false).context(what)?;
    for (name, major, minor) in DEFAULTS {
        let mode = Mode::from_raw_mode(0o666);
        let device = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(&dev, name, FileType::CharacterDevice, mode, device) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).context(|| format!("mknod /dev/{name}")),
        }
    }
    for device in devices {
        node(root, device).context(|| format!("create device {}", device.path))?;
    }
    // Whatever the image had there: the instance of devpts is the container's own.
    match rustix::fs::unlinkat(&dev, "ptmx", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).context(|| "remove /dev/ptmx".into()),
    }
    for (name, target) in LINKS {
        if name == "core" && !std::fs::exists(target).unwrap_or(false) {
            continue;
        }
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).context(|| format!("symlink /dev/{name}")),
        }
    }
    Ok(())
}

/// Whether every container has this node already.
fn is_default(path: &str) -> bool {
    path.strip_prefix("/dev/")
        .is_some_and(|name| DEFAULTS.iter().any(|(known, _, _)| *known == name))
}

fn node(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let Some((parent, name)) = device.path.rsplit_once('/') else {
        return Err(Failure::invalid("path is not absolute"));
    };
    if matches!(name, "" | "." | "..") {
        return Err(Failure::invalid("path has no name"));
    }
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        kind => return Err(Failure::invalid(format!("unknown device type {kind:?}"))),
    };
    let number = |number: i64| {
        u32::try_from(number).map_err(|_| Failure::invalid("device number out of range"))
    };
    let number = match kind {
        FileType::Fifo => 0,
        _ => rustix::fs::makedev(number(device.major)?, number(device.minor)?),
    };
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    let parent = resolve_or_create(root, parent, false).context(|| "open directory".into())?;
    match rustix::fs::mknodat(&parent, name, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) if is_default(&device.path) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno).context(|| "mknod".into()),
    }
    if device.uid.is_some() || device.gid.is_some() {
        let uid = Uid::from_raw(device.uid.unwrap_or(0));
        let gid = Gid::from_raw(device.gid.unwrap_or(0));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&parent, name, Some(uid), Some(gid), flags)
            .context(|| "chown".into())?;
    }
    Ok(())
}

const DEFAULTS: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("core", "/proc/kcore"),
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];
