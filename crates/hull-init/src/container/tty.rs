//! The pseudo terminal of a process, from the container's own devpts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hull_spec::ConsoleSize;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::container::mounts::{attach_at, clone_tree};
use crate::container::paths::{descriptor_path, resolve, resolve_or_create};
use crate::failure::{Context, Failure, Result};

/// Both ends of a pseudo terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    /// Opens a new one of the instance that is mounted at /dev/pts in `root`.
    pub(crate) fn open(root: BorrowedFd<'_>, size: Option<ConsoleSize>) -> Result<Self> {
        let what = || "open /dev/ptmx".to_owned();
        let handle = resolve(root, "/dev/pts/ptmx").context(what)?;
        // A process of the container may have put anything there.
        let stat = rustix::fs::fstat(&handle).context(what)?;
        let is_ptmx = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == rustix::fs::makedev(5, 2);
        let file_system = rustix::fs::fstatfs(&handle).context(what)?;
        if !is_ptmx || file_system.f_type as u64 != DEVPTS_MAGIC {
            return Err(Failure::failed("/dev/pts is not a devpts mount: no terminal possible"));
        }
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let master = rustix::fs::open(descriptor_path(&handle), flags, Mode::empty());
        let master = master.context(what)?;
        rustix::pty::unlockpt(&master).context(what)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).context(what)?;
        if let Some(size) = size {
            resize(&master, size.height, size.width).context(what)?;
        }
        Ok(Self { master, slave })
    }

    /// Mounts it at /dev/console in `root`.
    pub(crate) fn mount_console(&self, root: BorrowedFd<'_>) -> Result<()> {
        let what = || "mount /dev/console".to_owned();
        let target = resolve_or_create(root, "/dev/console", true).context(what)?;
        let tree = clone_tree(self.slave.as_fd()).context(what)?;
        attach_at(tree.as_fd(), target.as_fd()).context(what)
    }
}

/// Sets the size of a terminal, in character cells.
pub(crate) fn resize(master: impl AsFd, rows: u16, columns: u16) -> rustix::io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size)
}

const DEVPTS_MAGIC: u64 = 0x1cd1;
