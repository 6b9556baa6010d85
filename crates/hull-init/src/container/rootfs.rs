//! A container's root file system: its image with a writable layer over it.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use hull_protocol::Rootfs;
use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::rand::GetRandomFlags;

use super::mounts::clone_path;
use crate::console::phase;
use crate::disks::Disks;
use crate::failure::{Context, Failure, Result};
use crate::setup::{STATE_DIR, make_dir};

/// A mounted root file system.
#[derive(Debug)]
pub(crate) struct MountedRoot {
    image: String,
    scratch: Option<String>,
    /// Directory of the container: `root`, and what needs no disk.
    directory: String,
    /// Where the image is mounted.
    lower: String,
    /// Where its layer is.
    base: String,
    /// Nothing in `base` is for another start.
    transient: bool,
    /// Its writable layer did not exist before.
    pub(crate) fresh: bool,
}

impl MountedRoot {
    /// Mounts the root file system of `container`.
    pub(crate) fn mount(disks: &mut Disks, container: &str, rootfs: &Rootfs) -> Result<Self> {
        let directory = format!("{STATE_DIR}/{container}");
        for path in [directory.clone(), format!("{directory}/root")] {
            make_dir(&path).context(|| format!("mkdir {path}"))?;
        }
        let lower = disks.acquire(&rootfs.image, &rootfs.image_type, MountFlags::RDONLY)?;
        phase("image mounted");
        let writable = match &rootfs.scratch {
            Some(serial) => disks.acquire(serial, "ext4", MountFlags::empty()),
            None => memory_layer(&directory),
        };
        phase("scratch mounted");
        let mut mounted = Self {
            image: rootfs.image.clone(),
            scratch: None,
            directory,
            lower: lower.clone(),
            base: String::new(),
            transient: false,
            fresh: false,
        };
        let result = writable.and_then(|writable| {
            mounted.scratch = rootfs.scratch.clone();
            mounted.choose_base(disks, writable)?;
            mounted.overlay(disks, &lower)
        });
        match result {
            Ok(()) => Ok(mounted),
            Err(failure) => {
                // The mount's failure is what the user needs to see.
                let _ = mounted.unmount(disks);
                Err(failure)
            }
        }
    }

    /// Path of the root in the agent's own mount namespace.
    pub(crate) fn path(&self) -> String {
        format!("{}/root", self.directory)
    }

    /// Opens the directory of the writable layer, and the image below it.
    pub(crate) fn layers(&self) -> Result<(OwnedFd, OwnedFd)> {
        Ok((open(&Layer::of(&self.base).upper)?, open(&self.lower)?))
    }

    /// Opens the root as a handle.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        open(&self.path())
    }

    /// Returns a bind mount of the root that is in no namespace yet.
    pub(crate) fn clone_tree(&self) -> rustix::io::Result<OwnedFd> {
        clone_path(&self.path())
    }

    /// Unmounts everything; what was written is on its disk then.
    pub(crate) fn unmount(&self, disks: &mut Disks) -> Result<()> {
        // Not a mount point if mounting failed half-way.
        let _ = unmount(self.path().as_str(), UnmountFlags::empty());
        if self.transient {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_dir_all(&self.base);
        }
        let layer = format!("{}/layer", self.directory);
        let _ = unmount(layer.as_str(), UnmountFlags::empty());
        let scratch = match &self.scratch {
            Some(serial) => disks.release(serial),
            None => Ok(()),
        };
        let image = disks.release(&self.image);
        let _ = std::fs::remove_dir_all(&self.directory);
        scratch.and(image)
    }

    /// A disk that was mounted ahead is for the layer on the image that the machine is made for.
    /// Another image, as a rehearsal has it, gets a directory of its own there, for as long as it
    /// is mounted.
    fn choose_base(&mut self, disks: &Disks, writable: String) -> Result<()> {
        let serial = self.scratch.as_deref();
        self.transient = self.image != MAIN_IMAGE && serial.is_some_and(|it| disks.is_held(it));
        if !self.transient {
            self.base = writable;
            return Ok(());
        }
        self.base = format!("{writable}/@{}", self.image);
        make_dir(&self.base).context(|| format!("mkdir {}", self.base))
    }

    fn overlay(&mut self, disks: &mut Disks, lower: &str) -> Result<()> {
        let layer = Layer::of(&self.base);
        self.fresh = match &self.scratch {
            Some(serial) if !self.transient && disks.take_layer(serial) => true,
            _ => layer.make()?,
        };
        mount_overlay(lower, &layer, &self.path())
    }
}

/// The directories of a writable layer.
#[derive(Debug)]
pub(crate) struct Layer {
    upper: String,
    work: String,
}

impl Layer {
    pub(crate) fn of(base: &str) -> Self {
        Self { upper: format!("{base}/layer/upper"), work: format!("{base}/layer/work") }
    }

    /// Makes what is missing; `true` if it is a new layer.
    pub(crate) fn make(&self) -> Result<bool> {
        let fresh = !std::fs::exists(&self.upper).unwrap_or(true);
        let parent = self.upper.trim_end_matches("/upper");
        for path in [parent, &self.upper, &self.work] {
            make_dir(path).context(|| format!("mkdir {path}"))?;
        }
        if fresh {
            // Otherwise the first mount makes one up and writes it, which has its time.
            let mut uuid = [0; 16];
            rustix::rand::getrandom(&mut uuid, GetRandomFlags::empty())
                .context(|| "getrandom".into())?;
            rustix::fs::setxattr(&self.upper, "trusted.overlay.uuid", &uuid, XattrFlags::empty())
                .context(|| format!("set an attribute of {}", self.upper))?;
        }
        Ok(fresh)
    }
}

/// Mounts an overlay of `layer` over `lower` on the directory `path`.
pub(crate) fn mount_overlay(lower: &str, layer: &Layer, path: &str) -> Result<()> {
    let Layer { upper, work } = layer;
    let data = format!("lowerdir={lower},upperdir={upper},workdir={work},index=off");
    let data = CString::new(data).map_err(|_| Failure::invalid("null byte in a path"))?;
    let flags = MountFlags::empty();
    mount("overlay", path, "overlay", flags, data.as_c_str()).context(|| "mount overlay".into())
}

fn open(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context(|| format!("open {path}"))
}

/// Mounts a tmpfs for the layer of a container without a disk.
fn memory_layer(directory: &str) -> Result<String> {
    let path = format!("{directory}/layer");
    make_dir(&path).context(|| format!("mkdir {path}"))?;
    let options = c"mode=755,size=100%";
    mount("tmpfs", path.as_str(), "tmpfs", MountFlags::empty(), options)
        .context(|| "mount tmpfs for the layer".into())?;
    Ok(path)
}

/// Serial number of the disk with the image that a machine is made for.
const MAIN_IMAGE: &str = "image";
