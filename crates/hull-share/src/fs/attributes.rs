//! What files are: attributes, and the file system's own.

use rustix::fs::{
    AtFlags, Dev, OFlags, Statx, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, ftruncate, makedev,
    utimensat,
};
use rustix::io::{Errno, Result};

use crate::nodes::Node;
use crate::owner::{Change, Owner};
use crate::session::Session;
use crate::wire::{Answer, Fields, Header, setattr};

/// Appends `struct fuse_attr`.
pub(crate) fn attributes(stat: &Statx, owner: Owner, answer: &mut Answer) {
    answer.u64(stat.stx_ino).u64(stat.stx_size).u64(stat.stx_blocks);
    let times = [stat.stx_atime, stat.stx_mtime, stat.stx_ctime];
    for time in &times {
        answer.u64(time.tv_sec as u64);
    }
    for time in &times {
        answer.u32(time.tv_nsec);
    }
    answer.u32(owner.mode).u32(stat.stx_nlink).u32(owner.uid).u32(owner.gid);
    answer.u32(device(makedev(stat.stx_rdev_major, stat.stx_rdev_minor)));
    answer.u32(stat.stx_blksize).u32(0);
}

impl Session {
    pub(crate) fn getattr(
        &self,
        header: &Header,
        _fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let node = self.node(header)?;
        self.answer_attributes(&node, answer)
    }

    /// Appends `struct fuse_attr_out`.
    fn answer_attributes(&self, node: &Node, answer: &mut Answer) -> Result<()> {
        let believed = self.cache.attributes(node);
        let stat = node.stat()?;
        answer.believed(believed(&stat)).zeros(4 + 4);
        attributes(&stat, self.owners.owner(node, &stat), answer);
        Ok(())
    }

    pub(crate) fn setattr(
        &self,
        header: &Header,
        fields: &mut Fields<'_>,
        answer: &mut Answer,
    ) -> Result<()> {
        let node = self.node(header)?;
        let valid = fields.u32()?;
        fields.skip(4)?;
        let (handle, size) = (fields.u64()?, fields.u64()?);
        fields.skip(8)?;
        let (atime, mtime, _ctime) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (atime_ns, mtime_ns, _ctime_ns) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let mode = fields.u32()?;
        fields.skip(4)?;
        let (uid, gid) = (fields.u32()?, fields.u32()?);
        let has = |bit| valid & bit != 0;

        if valid & (setattr::MODE | setattr::UID | setattr::GID) != 0 {
            self.owners.change(
                &node,
                Change {
                    uid: has(setattr::UID).then_some(uid),
                    gid: has(setattr::GID).then_some(gid),
                    mode: has(setattr::MODE).then_some(mode),
                },
            )?;
        }
        if has(setattr::SIZE) {
            match has(setattr::FH) {
                true => ftruncate(self.handles.find(handle)?.file()?, size)?,
                false => ftruncate(node.open(OFlags::WRONLY)?, size)?,
            }
        }
        if has(setattr::KILL_SUIDGID) && valid & (setattr::MODE | setattr::UID) == 0 {
            self.owners.kill_set_id(&node)?;
        }
        if valid & (setattr::ATIME | setattr::MTIME) != 0 {
            let time = |set, now, seconds: u64, nanoseconds: u32| match (has(set), has(now)) {
                (false, _) => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                (true, true) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
                (true, false) => Timespec { tv_sec: seconds as i64, tv_nsec: nanoseconds.into() },
            };
            let times = Timestamps {
                last_access: time(setattr::ATIME, setattr::ATIME_NOW, atime, atime_ns),
                last_modification: time(setattr::MTIME, setattr::MTIME_NOW, mtime, mtime_ns),
            };
            utimensat(rustix::fs::CWD, node.path(), &times, AtFlags::empty())?;
        }
        if valid & (setattr::SIZE | setattr::MTIME) != 0 {
            self.cache.wrote(&node);
        }
        self.answer_attributes(&node, answer)
    }

    pub(crate) fn statfs(&self, header: &Header, answer: &mut Answer) -> Result<()> {
        let node = self.node(header)?;
        let mut stat = rustix::fs::fstatvfs(node.fd())?;
        if let Some(quota) = &self.quota {
            quota.apply(&mut stat);
        }
        for value in [stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_files, stat.f_ffree] {
            answer.u64(value);
        }
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        answer.u32(small(stat.f_bsize)).u32(small(stat.f_namemax)).u32(small(stat.f_frsize));
        answer.zeros(4 + 6 * 4);
        Ok(())
    }
}

/// Returns a device's number as the kernel writes it into 32 bits (`new_encode_dev`).
fn device(device: Dev) -> u32 {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// Takes what [`device`] makes apart.
pub(super) fn is_whiteout(encoded: u32) -> Result<()> {
    // 0:0 is no device, but the mark of overlay file systems for what is deleted.
    match encoded {
        0 => Ok(()),
        _ => Err(Errno::PERM),
    }
}
