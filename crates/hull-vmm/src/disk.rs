//! Disks of a machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::qemu::qmp::QmpError;

/// Size that the guest sees of every disk. All have the same, so that one can take another's
/// place in a machine that exists.
pub const DISK_BYTES: u64 = 64 << 30;

/// What holds a disk's content.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Disk {
    File {
        path: PathBuf,
        format: DiskFormat,
    },
    /// Nothing: reads as zeros, forgets what is written. For machines whose disk is not known yet
    /// ([`crate::Machine::attach_disk`]), and slots that are not used.
    #[default]
    Placeholder,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskFormat {
    /// QEMU's copy-on-write format; it names the file below it itself.
    Qcow2,
    Raw,
    /// VMDK descriptor of flat extents, whose paths are relative to the descriptor. A machine that
    /// has one cannot be saved.
    Vmdk,
}

impl Disk {
    /// Returns the disk in the file `path`: what its extension says, raw if that says nothing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("qcow2") => DiskFormat::Qcow2,
            Some("vmdk") => DiskFormat::Vmdk,
            _ => DiskFormat::Raw,
        };
        Self::File { path, format }
    }

    /// Returns the file that holds the disk.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Placeholder => None,
        }
    }
}

/// A place for a disk. The guest knows it by its serial number, which is [`Slot::name`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Read-only file system of an image.
    Image,
    /// Writable disk of a container that is started again.
    Kept,
    /// Writable disk that is empty at first; a template's guest has it mounted.
    Scratch,
}

impl Slot {
    /// All of them, in the order in which a machine has them.
    pub const ALL: [Self; 3] = [Self::Image, Self::Scratch, Self::Kept];

    /// Returns the disk's serial number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Kept => "kept",
            Self::Scratch => "scratch",
        }
    }

    /// Returns whether the guest may only read the disk.
    pub fn is_read_only(self) -> bool {
        self == Self::Image
    }
}

/// The disks of a machine, by slot. A slot that the shape does not have must be left empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Disks {
    pub image: Disk,
    pub scratch: Disk,
    pub kept: Disk,
}

impl Disks {
    /// Returns the disk in `slot`.
    pub fn of(&self, slot: Slot) -> &Disk {
        match slot {
            Slot::Image => &self.image,
            Slot::Kept => &self.kept,
            Slot::Scratch => &self.scratch,
        }
    }
}

/// Why a machine did not get a disk.
#[derive(Debug, Error)]
pub enum DiskError {
    #[error("cannot attach `{}` as the machine's disk `{}`", .path.display(), .slot.name())]
    Attach {
        slot: Slot,
        path: PathBuf,
        #[source]
        source: QmpError,
    },
    #[error("cannot copy the machine's disk `{}`", .slot.name())]
    Copy {
        slot: Slot,
        #[source]
        source: QmpError,
    },
    #[error("cannot copy the machine's disk `{}`: {reason}", .slot.name())]
    NotCopied { slot: Slot, reason: String },
    #[error("cannot detach the machine's disk `{}`", .slot.name())]
    Detach {
        slot: Slot,
        #[source]
        source: QmpError,
    },
    #[error("the machine has no disk `{}`", .0.name())]
    NoSuchSlot(Slot),
    #[error("the forked machine does not run yet")]
    NotResumed,
    #[error("the path of a disk is not UTF-8: `{}`", .0.display())]
    Path(PathBuf),
    #[error("`{}` cannot be read", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` has {found} bytes, a disk has {DISK_BYTES}", .path.display())]
    Size { path: PathBuf, found: u64 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        for (path, format) in [
            ("/a/disk.vmdk", DiskFormat::Vmdk),
            ("/a/disk.qcow2", DiskFormat::Qcow2),
            ("/a/disk.ext4", DiskFormat::Raw),
            ("/a/disk", DiskFormat::Raw),
        ] {
            assert_eq!(Disk::at(path), Disk::File { path: path.into(), format });
        }
    }
}
