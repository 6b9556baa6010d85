//! Mounts of what the host shares, in a container's root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_protocol::Shared;
use hull_spec::Mount;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount_change};

use crate::archive::tree;
use crate::container::mount_options::Options;
use crate::container::mounts::attach_at;
use crate::container::paths::{descriptor_path, is_directory, resolve, resolve_or_create};
use crate::failure::{Context, Failure, Result};
use crate::sys;

/// Puts the share that `entry` names by its number where it belongs under `root`; `mounts` are
/// those of all `shares`, attached to nothing yet.
pub(crate) fn mount(
    root: BorrowedFd<'_>,
    entry: &Mount,
    shares: &[Shared],
    mounts: &[OwnedFd],
) -> Result<()> {
    let number = entry.source.parse::<usize>().ok();
    let found = number.and_then(|number| Some((shares.get(number)?, mounts.get(number)?)));
    let (shared, mount) =
        found.ok_or_else(|| Failure::invalid(format!("there is no share {:?}", entry.source)))?;
    let destination = &entry.destination;
    let what = || format!("error mounting a share to rootfs at {destination:?}");
    let options = Options::parse(&entry.options);
    // As in Docker, what the image does not have says nothing about owner and mode.
    let fill = shared.fill && resolve(root, destination).is_ok();
    let target = resolve_or_create(root, destination, !shared.directory).context(what)?;
    if is_directory(&target).context(what)? != shared.directory {
        return Err(Failure::failed(format!(
            "error mounting a share to rootfs at {destination:?}: not a directory: Are you trying \
             to mount a directory onto a file (or vice-versa)? Check if the specified host path \
             exists and is the expected type"
        )));
    }
    if fill {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(mount, ".", flags, Mode::empty()).context(what)?;
        tree::copy_contents(target.as_fd(), top.as_fd())
            .context(|| format!("fill the volume for {destination}"))?;
    }
    let set = attributes(options.flags);
    if set != 0 {
        sys::mount_setattr(mount.as_fd(), set, 0, false).context(what)?;
    }
    attach_at(mount.as_fd(), target.as_fd()).context(what)?;
    if !options.propagation.is_empty() {
        let mounted = resolve(root, destination).context(what)?;
        for propagation in &options.propagation {
            mount_change(descriptor_path(&mounted), *propagation).context(what)?;
        }
    }
    Ok(())
}

/// Returns the `MOUNT_ATTR_*` for flags that bind mounts have.
fn attributes(flags: MountFlags) -> u64 {
    let known = [
        (MountFlags::RDONLY, 1),
        (MountFlags::NOSUID, 2),
        (MountFlags::NODEV, 4),
        (MountFlags::NOEXEC, 8),
    ];
    known.into_iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, bit)| all | bit)
}
