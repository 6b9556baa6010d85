//! A tree as bytes.
//!
//! ```text
//! "hulltree" | version u32 le | crc32c of body u32 le | body
//! body  := count, inode*                       inode 0 is the root
//! inode := kind u8, mode, uid, gid, sec (zigzag), nsec, count, (string, string)*, rest
//! rest  := directory: opaque u8, count, (string, slot)*     slot := 0, inode | 1, string | 2
//!        | file: size, count, (offset, data, len)* in blocks
//!        | symlink: string | device: major, minor | fifo: nothing
//! ```
//! Numbers are LEB128 unless a width is given; a string is its length and bytes. Directories are
//! numbered before their subdirectories, which shows at once that there is no cycle.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Device, Directory, Extent, File, Inode, InodeId, Kind, Slot, Timestamp, Tree, Xattr};
use crate::{BLOCK_SIZE, FORMAT_VERSION};

const MAGIC: &[u8; 8] = b"hulltree";
const HEADER: usize = 16;

/// Why bytes are not a tree.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    #[error("the layer tree is damaged: {0}")]
    Damaged(&'static str),
    #[error("the layer tree has format version {found}, this program reads {expected}")]
    Version { found: u32, expected: u32 },
}

pub(super) fn encode(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 * tree.inodes.len() + HEADER);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    put(&mut out, tree.inodes.len() as u64);
    for inode in &tree.inodes {
        put_inode(&mut out, inode);
    }
    let crc = crc32c::crc32c(&out[HEADER..]);
    out[12..HEADER].copy_from_slice(&crc.to_le_bytes());
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Tree, TreeError> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(CUT)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
    if header[..8] != *MAGIC {
        return Err(TreeError::Damaged("it does not start as one"));
    }
    if word(8) != FORMAT_VERSION {
        return Err(TreeError::Version { found: word(8), expected: FORMAT_VERSION });
    }
    if word(12) != crc32c::crc32c(body) {
        return Err(TreeError::Damaged("wrong checksum"));
    }
    let mut input = Input(body);
    let count = input.count()?;
    let mut inodes = Vec::with_capacity(count);
    for _ in 0..count {
        inodes.push(input.inode()?);
    }
    if !input.0.is_empty() {
        return Err(TreeError::Damaged("data after its end"));
    }
    check_links(&inodes)?;
    Ok(Tree { inodes })
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn put_inode(out: &mut Vec<u8>, inode: &Inode) {
    out.push(match inode.kind {
        Kind::BlockDevice(_) => 0,
        Kind::CharDevice(_) => 1,
        Kind::Directory(_) => 2,
        Kind::Fifo => 3,
        Kind::File(_) => 4,
        Kind::Symlink(_) => 5,
    });
    let Timestamp { sec, nsec } = inode.mtime;
    let zigzag = (sec << 1 ^ sec >> 63).cast_unsigned();
    for value in [inode.mode.into(), inode.uid.into(), inode.gid.into(), zigzag, nsec.into()] {
        put(out, value);
    }
    put(out, inode.xattrs.len() as u64);
    for xattr in &inode.xattrs {
        put_string(out, &xattr.name);
        put_string(out, &xattr.value);
    }
    match &inode.kind {
        Kind::BlockDevice(device) | Kind::CharDevice(device) => {
            put(out, device.major.into());
            put(out, device.minor.into());
        }
        Kind::Directory(directory) => {
            out.push(directory.opaque.into());
            put(out, directory.entries.len() as u64);
            for (name, slot) in &directory.entries {
                put_string(out, name);
                match slot {
                    Slot::Inode(id) => {
                        out.push(0);
                        put(out, id.0.into());
                    }
                    Slot::LowerLink(target) => {
                        out.push(1);
                        put_string(out, target);
                    }
                    Slot::Whiteout => out.push(2),
                }
            }
        }
        Kind::Fifo => {}
        Kind::File(file) => {
            put(out, file.size);
            put(out, file.extents.len() as u64);
            for extent in &file.extents {
                for value in [extent.offset, extent.data, extent.len] {
                    put(out, value / BLOCK_SIZE);
                }
            }
        }
        Kind::Symlink(target) => put_string(out, target),
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn inode(&mut self) -> Result<Inode, TreeError> {
        let kind = self.byte()?;
        let mode = self.small(0o7777)? as u16;
        let uid = self.small(u32::MAX)?;
        let gid = self.small(u32::MAX)?;
        let zigzag = self.number()?;
        let sec = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let nsec = self.small(999_999_999)?;
        let mut xattrs: Vec<Xattr> = Vec::new();
        for _ in 0..self.count()? {
            let name: Box<[u8]> = self.string()?.into();
            let value = self.string()?.into();
            let in_order = xattrs.last().is_none_or(|last| last.name < name);
            if name.is_empty() || name.len() > 255 || !in_order {
                return Err(TreeError::Damaged("extended attribute names"));
            }
            xattrs.push(Xattr { name, value });
        }
        let kind = match kind {
            0 => Kind::BlockDevice(self.device()?),
            1 => Kind::CharDevice(self.device()?),
            2 => Kind::Directory(self.directory()?),
            3 => Kind::Fifo,
            4 => Kind::File(self.file()?),
            5 => Kind::Symlink(self.string()?.into()),
            _ => return Err(TreeError::Damaged("an inode of no known kind")),
        };
        Ok(Inode { mode, uid, gid, mtime: Timestamp { sec, nsec }, xattrs, kind })
    }

    fn directory(&mut self) -> Result<Directory, TreeError> {
        let opaque = self.byte()? != 0;
        let mut entries = BTreeMap::new();
        for _ in 0..self.count()? {
            let name: Box<[u8]> = self.string()?.into();
            let invalid = name.is_empty() || name.len() > 255 || *name == *b"." || *name == *b"..";
            if invalid || name.iter().any(|&b| b == b'/' || b == 0) {
                return Err(TreeError::Damaged("an impossible name"));
            }
            let slot = match self.byte()? {
                0 => Slot::Inode(InodeId(self.small(u32::MAX)?)),
                1 => Slot::LowerLink(self.string()?.into()),
                2 => Slot::Whiteout,
                _ => return Err(TreeError::Damaged("an entry of no known kind")),
            };
            if entries.insert(name, slot).is_some() {
                return Err(TreeError::Damaged("a name that is there twice"));
            }
        }
        Ok(Directory { opaque, entries })
    }

    fn file(&mut self) -> Result<File, TreeError> {
        let size = self.number()?;
        if size > i64::MAX as u64 {
            return Err(OUT_OF_RANGE);
        }
        let mut extents = Vec::new();
        let mut end = 0;
        let bound = size.div_ceil(BLOCK_SIZE);
        for _ in 0..self.count()? {
            let [offset, data, len] = [self.number()?, self.number()?, self.number()?];
            let data_end = data.saturating_add(len);
            let ordered = offset >= end && len > 0 && len <= bound && offset <= bound - len;
            if !ordered || data_end > u64::MAX / BLOCK_SIZE {
                return Err(TreeError::Damaged("an extent outside of its file"));
            }
            end = offset + len;
            extents.push(Extent {
                offset: offset * BLOCK_SIZE,
                data: data * BLOCK_SIZE,
                len: len * BLOCK_SIZE,
            });
        }
        Ok(File { size, extents })
    }

    fn device(&mut self) -> Result<Device, TreeError> {
        Ok(Device { major: self.small(0xfff)?, minor: self.small(0xf_ffff)? })
    }

    fn byte(&mut self) -> Result<u8, TreeError> {
        let (&first, rest) = self.0.split_first().ok_or(CUT)?;
        self.0 = rest;
        Ok(first)
    }

    fn number(&mut self) -> Result<u64, TreeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(OUT_OF_RANGE)
    }

    fn small(&mut self, max: u32) -> Result<u32, TreeError> {
        let value = u32::try_from(self.number()?).map_err(|_| OUT_OF_RANGE)?;
        if value > max { Err(OUT_OF_RANGE) } else { Ok(value) }
    }

    /// Reads a count of things of at least one byte each.
    fn count(&mut self) -> Result<usize, TreeError> {
        let count = usize::try_from(self.number()?).map_err(|_| OUT_OF_RANGE)?;
        if count > self.0.len() { Err(CUT) } else { Ok(count) }
    }

    fn string(&mut self) -> Result<&'a [u8], TreeError> {
        let len = self.count()?;
        let (text, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(text)
    }
}

const CUT: TreeError = TreeError::Damaged("cut short");
const OUT_OF_RANGE: TreeError = TreeError::Damaged("a number out of range");

/// Checks that the inodes form one tree: every inode has a name, a directory only one.
fn check_links(inodes: &[Inode]) -> Result<(), TreeError> {
    let mut named = vec![false; inodes.len()];
    for (number, inode) in inodes.iter().enumerate() {
        let Kind::Directory(directory) = &inode.kind else {
            if number == 0 {
                return Err(TreeError::Damaged("its root is no directory"));
            }
            continue;
        };
        for slot in directory.entries.values() {
            let Slot::Inode(id) = slot else { continue };
            let index = id.0 as usize;
            let target = inodes.get(index).ok_or(OUT_OF_RANGE)?;
            let is_directory = matches!(target.kind, Kind::Directory(_));
            if is_directory && (named[index] || index <= number) {
                return Err(TreeError::Damaged("a directory in two places"));
            }
            named[index] = true;
        }
    }
    if inodes.is_empty() || named[1..].contains(&false) {
        return Err(TreeError::Damaged("an inode without a name"));
    }
    Ok(())
}
