//! A container's root file system: its image with a writable layer over it.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use hull_protocol::Rootfs;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

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
    /// Where volumes are kept, see [`crate::container::volumes`].
    pub(crate) volumes: String,
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
            volumes: String::new(),
            fresh: false,
        };
        let result = writable.and_then(|writable| {
            mounted.scratch = rootfs.scratch.clone();
            mounted.volumes = format!("{writable}/volumes");
            mounted.overlay(&lower, &writable)
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

    /// Opens the root as a handle.
    pub(crate) fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(self.path(), flags, Mode::empty())
            .context(|| format!("open {}", self.path()))
    }

    /// Unmounts everything; what was written is on its disk then.
    pub(crate) fn unmount(&self, disks: &mut Disks) -> Result<()> {
        // Not a mount point if mounting failed half-way.
        let _ = unmount(self.path().as_str(), UnmountFlags::empty());
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

    fn overlay(&mut self, lower: &str, writable: &str) -> Result<()> {
        let (upper, work) = (format!("{writable}/layer/upper"), format!("{writable}/layer/work"));
        self.fresh = !std::fs::exists(&upper).unwrap_or(true);
        for path in [&format!("{writable}/layer"), &upper, &work] {
            make_dir(path).context(|| format!("mkdir {path}"))?;
        }
        let data = format!("lowerdir={lower},upperdir={upper},workdir={work},index=off");
        let data = CString::new(data).map_err(|_| Failure::invalid("null byte in a path"))?;
        let flags = MountFlags::empty();
        mount("overlay", self.path(), "overlay", flags, data.as_c_str())
            .context(|| "mount overlay".into())
    }
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
