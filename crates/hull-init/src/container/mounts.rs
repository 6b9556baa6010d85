//! The mounts of a container, made in its mount namespace before its root is entered.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_spec::Mount;
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, move_mount, open_tree,
};

use crate::archive::tree;
use crate::container::mount_options::Options;
use crate::container::paths::{
    descriptor_path, is_directory, resolve, resolve_no_follow, resolve_or_create,
};
use crate::container::stage::Stage;
use crate::failure::{Context, Failure, Result};
use crate::sys;

/// A mount that becomes read-only at the very end, when all mount points below it exist.
#[derive(Debug)]
pub(crate) struct Deferred {
    destination: String,
}

/// Makes one mount of the specification under `root`.
pub(crate) fn make(root: BorrowedFd<'_>, entry: &Mount) -> Result<Option<Deferred>> {
    let options = Options::parse(&entry.options);
    let what = || format!("error mounting {:?} to rootfs at {:?}", entry.source, entry.destination);
    if options.bind || entry.kind == "bind" {
        bind(root, entry, &options).context(what)?;
        return Ok(None);
    }
    let kind = match entry.kind.as_str() {
        "cgroup" => "cgroup2",
        kind => kind,
    };
    check_place(root, entry, kind)?;
    let covers = resolve(root, &entry.destination).is_ok();
    let target = resolve_or_create(root, &entry.destination, false).context(what)?;
    let mut data = options.data.clone();
    let mut flags = options.flags;
    let deferred = kind == "tmpfs" && flags.contains(MountFlags::RDONLY);
    if kind == "tmpfs" {
        flags.remove(MountFlags::RDONLY);
    }
    if kind == "tmpfs" && covers {
        // The mode of the directory that is covered, unless the options say another. One that
        // was not there leaves the kernel's default, 1777.
        let stat = rustix::fs::fstat(&target).context(what)?;
        let mode = format!("mode={:o}", stat.st_mode & 0o7777);
        data = match data.as_str() {
            "" => mode,
            data => format!("{mode},{data}"),
        };
    }
    let source = match entry.source.as_str() {
        "" => kind,
        source => source,
    };
    let data = c_string(&data)?;
    mount(source, descriptor_path(&target), kind, flags, data.as_deref()).context(what)?;
    if kind == "tmpfs" && options.copy_up {
        let mounted = resolve(root, &entry.destination).context(what)?;
        tree::copy_contents(target.as_fd(), mounted.as_fd()).context(what)?;
    }
    propagate(root, &entry.destination, &options)?;
    Ok(deferred.then(|| Deferred { destination: entry.destination.clone() }))
}

/// Puts `tree`, a mount that has been made already, where `entry` says under `root`.
pub(crate) fn place(
    root: BorrowedFd<'_>,
    entry: &Mount,
    tree: rustix::io::Result<OwnedFd>,
) -> Result<()> {
    let what = || format!("error mounting {:?} to rootfs at {:?}", entry.source, entry.destination);
    check_place(root, entry, &entry.kind)?;
    let target = resolve_or_create(root, &entry.destination, false).context(what)?;
    attach_at(tree.context(what)?.as_fd(), target.as_fd()).context(what)
}

/// Mounting through a link is an attack: what follows would write to the real /proc/self.
fn check_place(root: BorrowedFd<'_>, entry: &Mount, kind: &str) -> Result<()> {
    if matches!(kind, "proc" | "sysfs")
        && let Ok(existing) = resolve_no_follow(root, &entry.destination)
        && !is_directory(&existing).context(|| format!("stat {}", entry.destination))?
    {
        return Err(Failure::failed(format!(
            "filesystem {kind:?} must be mounted on ordinary directory"
        )));
    }
    Ok(())
}

/// Makes a deferred mount read-only.
pub(crate) fn finish(root: BorrowedFd<'_>, deferred: &Deferred) -> Result<()> {
    let destination = &deferred.destination;
    let what = || format!("remount {destination} read-only");
    let target = resolve(root, destination).context(what)?;
    set_read_only(target.as_fd()).context(what)
}

/// Makes the mount that `fd` is in read-only, in this namespace only.
pub(crate) fn set_read_only(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    const MOUNT_ATTR_RDONLY: u64 = 1;
    sys::mount_setattr(fd, MOUNT_ATTR_RDONLY, 0, false)
}

/// Bind-mounts `source`, a path of the guest, at `destination` under `root`.
pub(crate) fn bind_path(
    root: BorrowedFd<'_>,
    source: &str,
    destination: &str,
    read_only: bool,
) -> Result<()> {
    let what = || format!("error mounting {source:?} to rootfs at {destination:?}");
    let tree = clone_path(source).context(what)?;
    if read_only {
        set_read_only(tree.as_fd()).context(what)?;
    }
    attach(root, tree.as_fd(), destination).context(what)
}

/// Mounts the detached `tree` at `destination` under `root`, which is made if it is missing.
pub(crate) fn attach(
    root: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    destination: &str,
) -> rustix::io::Result<()> {
    let target = resolve_or_create(root, destination, !is_directory(tree)?)?;
    attach_at(tree, target.as_fd())
}

/// Mounts the detached `tree` on `target`.
pub(crate) fn attach_at(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

/// Returns a detached bind mount of the file or directory `fd`.
pub(crate) fn clone_tree(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(fd, "", flags)
}

/// As [`clone_tree`], of what is at `path` in the agent's namespace.
pub(crate) fn clone_path(path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, path, flags)
}

/// Hides `path` if it is there: a file behind `null`, a directory behind an empty one.
pub(crate) fn mask(
    root: BorrowedFd<'_>,
    path: &str,
    null: BorrowedFd<'_>,
    stage: Option<&mut Stage>,
) -> Result<()> {
    let what = || format!("mask {path}");
    let target = match resolve(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.context(what)?,
    };
    if is_directory(&target).context(what)? {
        if let Some(empty) = stage.and_then(Stage::mask) {
            return attach_at(empty.context(what)?.as_fd(), target.as_fd()).context(what);
        }
        let flags = MountFlags::RDONLY;
        return mount("tmpfs", descriptor_path(&target), "tmpfs", flags, None).context(what);
    }
    let null = clone_tree(null).context(what)?;
    attach_at(null.as_fd(), target.as_fd()).context(what)
}

/// Makes `path` read-only if it is there.
pub(crate) fn protect(root: BorrowedFd<'_>, path: &str) -> Result<()> {
    let what = || format!("make {path} read-only");
    let target = match resolve(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.context(what)?,
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&target, "", flags).context(what)?;
    set_read_only(tree.as_fd()).context(what)?;
    attach_at(tree.as_fd(), target.as_fd()).context(what)
}

fn bind(root: BorrowedFd<'_>, entry: &Mount, options: &Options) -> rustix::io::Result<()> {
    let stat = rustix::fs::stat(entry.source.as_str())?;
    let file = FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
    let target = resolve_or_create(root, &entry.destination, file)?;
    let target = descriptor_path(&target);
    match options.recursive {
        true => mount_bind_recursive(entry.source.as_str(), &target)?,
        false => mount_bind(entry.source.as_str(), &target)?,
    }
    let mounted = resolve(root, &entry.destination)?;
    let path = descriptor_path(&mounted);
    if !options.flags.is_empty() {
        mount_remount(&path, MountFlags::BIND | options.flags, "")?;
    }
    if options.recursive_set | options.recursive_clear != 0 {
        let (set, clear) = (options.recursive_set, options.recursive_clear);
        sys::mount_setattr(mounted.as_fd(), set, clear, true)?;
    }
    for propagation in &options.propagation {
        mount_change(&path, *propagation)?;
    }
    Ok(())
}

fn propagate(root: BorrowedFd<'_>, destination: &str, options: &Options) -> Result<()> {
    if options.propagation.is_empty() {
        return Ok(());
    }
    let what = || format!("set propagation of {destination}");
    let mounted = resolve(root, destination).context(what)?;
    for propagation in &options.propagation {
        mount_change(descriptor_path(&mounted), *propagation).context(what)?;
    }
    Ok(())
}

fn c_string(data: &str) -> Result<Option<CString>> {
    if data.is_empty() {
        return Ok(None);
    }
    CString::new(data).map(Some).map_err(|_| Failure::invalid("mount option with a null byte"))
}
