//! Entering namespaces.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fd::AsFd as _;
use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use super::DoorError;

/// Goes on in a new network namespace, and in a new user namespace that owns it: root needs one,
/// too, because pasta gives up all privileges outside of it. The process must have one thread.
pub(super) fn make() -> Result<(), DoorError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) {
        Ok(()) => {}
        // A host without user namespaces: there are networks, but no way out.
        Err(_) if uid == 0 => return unshare(UnshareFlags::NEWNET).map_err(DoorError::Make),
        Err(error) => return Err(DoorError::Make(error)),
    }
    // user_namespaces(7): without CAP_SETGID outside, groups have to be given up first.
    fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {uid} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {gid} 1")))
        .map_err(DoorError::Map)
}

/// Goes on in the namespaces that are the files `user` and `net`. The process must have one thread.
pub(super) fn join(user: &Path, net: &Path) -> Result<(), DoorError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| DoorError::Join { path, source }
    };
    let open = |path: &Path| File::open(path).map_err(fail(path));
    let (user_file, net_file) = (open(user)?, open(net)?);
    let number = |metadata: io::Result<fs::Metadata>| metadata.map(|found| found.ino());
    let own = number(fs::metadata("/proc/self/ns/user")).map_err(fail(user))?;
    // The namespace that one is in cannot be entered.
    if number(user_file.metadata()).map_err(fail(user))? != own {
        move_into_link_name_space(user_file.as_fd(), Some(LinkNameSpaceType::User))
            .map_err(|errno| fail(user)(errno.into()))?;
    }
    move_into_link_name_space(net_file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|errno| fail(net)(errno.into()))
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: of what can be unshared, only the descriptor table is dangerous; it is not.
    unsafe { unshare_unsafe(flags) }.map_err(io::Error::from)
}
