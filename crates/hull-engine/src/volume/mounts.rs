//! What a start shares with the guest.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use hull_plan::{MountKind, MountPoint, Plan};
use hull_protocol::Access;
use hull_share::Emptied;
use hull_supervisor::launch::ShareLaunch;

use super::Volume;
use super::temporary::Temporary;
use crate::{Engine, Error, Result};

impl Engine {
    /// Returns the directories and files for a container's mounts, by number. Volumes are filled by
    /// one that `is_new`: that has no disk yet.
    pub(crate) fn shares(&self, plan: &Plan, is_new: bool) -> Result<Vec<ShareLaunch>> {
        let share = |(number, point)| match plan.agent == Some(number) {
            true => Ok(agent(point)),
            false => self.share(point, is_new),
        };
        plan.shares.iter().enumerate().map(share).collect()
    }

    fn share(&self, point: &MountPoint, is_new: bool) -> Result<ShareLaunch> {
        let volume = match point.kind {
            MountKind::Volume => Some(self.inner.volumes.find(&point.name)?),
            _ => None,
        };
        let limit = volume.as_ref().and_then(Volume::size_limit);
        let lease = volume.as_ref().map(Volume::lease);
        let is_read_only = volume.as_ref().is_some_and(Volume::is_read_only);
        let emptied = volume.as_ref().and_then(emptied);
        let (source, can_fill) = match volume {
            Some(volume) => volume_source(&volume, point)?,
            None => (bind_source(point)?, false),
        };
        let metadata = fs::metadata(&source).map_err(Error::file("open", &source))?;
        let is_socket = metadata.file_type().is_socket();
        if !metadata.is_dir() && !metadata.is_file() && !is_socket {
            return Err(Error::NotImplemented(format!(
                "cannot mount {}: only directories, regular files and sockets can be shared with a \
                 machine",
                source.display()
            )));
        }
        let fill = is_new && can_fill && metadata.is_dir() && is_empty(&source);
        Ok(ShareLaunch {
            source,
            directory: metadata.is_dir(),
            socket: is_socket.then(|| access(&metadata)),
            read_only: is_read_only || point.read_only && !fill,
            fill,
            limit,
            lease,
            emptied,
        })
    }
}

/// Returns the socket of the ssh agent, which every user in the container may use: no others of the
/// machine can, and the agent asks the user who runs the daemon.
fn agent(point: &MountPoint) -> ShareLaunch {
    ShareLaunch {
        source: PathBuf::from(&point.source),
        directory: false,
        socket: Some(Access { uid: 0, gid: 0, mode: 0o666 }),
        read_only: false,
        fill: false,
        limit: None,
        lease: None,
        emptied: None,
    }
}

/// Returns who may connect to a socket of the host in a container: those who may on the host.
fn access(metadata: &fs::Metadata) -> Access {
    let (uid, gid) = hull_share::guest_owner(metadata.uid(), metadata.gid());
    Access { uid, gid, mode: metadata.mode() & 0o777 }
}

/// Says how a volume of `type=tmpfs` is found by who uses it first.
fn emptied(volume: &Volume) -> Option<Emptied> {
    let Temporary { uid, gid, mode, .. } = volume.temporary()?;
    let top = volume.mountpoint.clone();
    Some(Emptied { users: top.with_file_name("users"), top, uid, gid, mode })
}

/// Returns where a volume is, and whether it is filled if it is empty.
fn volume_source(volume: &Volume, point: &MountPoint) -> Result<(PathBuf, bool)> {
    let top = volume.top();
    if point.subpath.is_empty() {
        // What is emptied before its first use is not filled before that.
        let keeps = volume.temporary().is_none() && !volume.is_read_only();
        return Ok((top, keeps && !point.no_copy));
    }
    Ok((below(&top, &point.subpath)?, false))
}

/// Finds a path in a volume, which may hold links that lead out of it.
fn below(top: &Path, subpath: &str) -> Result<PathBuf> {
    let source = top.join(subpath);
    let fail = |error| Error::file("open", &source)(error);
    let (real, top) = (source.canonicalize().map_err(fail)?, top.canonicalize().map_err(fail)?);
    match real.starts_with(top) {
        true => Ok(real),
        false => Err(Error::InvalidParameter(format!("subpath {subpath} leads out of the volume"))),
    }
}

/// Returns the source of a bind mount, which is made if that was asked for.
fn bind_source(point: &MountPoint) -> Result<PathBuf> {
    let source = PathBuf::from(&point.source);
    if point.create_source && !source.exists() {
        let made = fs::create_dir_all(&source);
        made.map_err(|error| Error::Internal {
            context: format!("error while creating mount source path '{}'", point.source),
            source: Some(Box::new(error)),
        })?;
    }
    match source.try_exists() {
        Ok(true) => Ok(source),
        Ok(false) => Err(Error::InvalidParameter(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            point.source
        ))),
        Err(error) => Err(Error::file("open", &source)(error)),
    }
}

pub(super) fn is_empty(path: &Path) -> bool {
    let first = fs::read_dir(path).map(|mut entries| entries.next());
    matches!(first, Ok(None)) || first.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
