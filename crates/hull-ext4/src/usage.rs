//! Reads how much the files of a directory hold, without mounting.
//!
//! The file system was written by a guest, which may have written anything: every number is checked,
//! and the work is bounded. A journal is not replayed: of a machine that was killed, what had not
//! reached its place is not seen. Source: Linux `Documentation/filesystems/ext4`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::geometry::BLOCK;
use crate::inodes::ROOT;

/// Returns the sum of the sizes of all files and symbolic links below a directory, each inode once,
/// holes included: what `docker ps -s` counts. `skip` is asked for paths (from that directory,
/// without a slash in front) that do not count.
///
/// # Errors
/// There is no such directory, the file system is damaged, or it has more than some millions of
/// files.
pub fn usage(file: &File, directory: &[&str], skip: impl Fn(&str) -> bool) -> io::Result<u64> {
    let disk = Reader::new(file)?;
    let mut number = ROOT;
    for name in directory {
        let entries = disk.entries(&disk.inode(number)?)?;
        let entry = entries.into_iter().find(|entry| entry.name == name.as_bytes());
        number = entry.ok_or(io::ErrorKind::NotFound)?.inode;
    }
    let mut seen = BTreeSet::from([number]);
    let mut waiting = vec![(number, String::new())];
    let mut sum = 0_u64;
    while let Some((number, prefix)) = waiting.pop() {
        for entry in disk.entries(&disk.inode(number)?)? {
            if matches!(entry.name.as_slice(), b"." | b"..") {
                continue;
            }
            let path = format!("{prefix}{}", String::from_utf8_lossy(&entry.name));
            if skip(&path) || !seen.insert(entry.inode) {
                continue;
            }
            if seen.len() > MOST_FILES {
                return damaged("too many files");
            }
            let inode = disk.inode(entry.inode)?;
            match inode.mode & 0o170_000 {
                0o040_000 => waiting.push((entry.inode, path + "/")),
                0o100_000 | 0o120_000 => sum = sum.saturating_add(inode.size),
                _ => {}
            }
        }
    }
    Ok(sum)
}

const MOST_FILES: usize = 8 << 20;
/// Bytes of one directory that are read.
const LONGEST: u64 = 1 << 30;
const INCOMPAT_64BIT: u32 = 0x80;
const EXTENTS: u32 = 0x8_0000;
const EXTENTS_MAGIC: u16 = 0xf30a;
/// An extent that is longer has been allocated and not written.
const LONGEST_EXTENT: u16 = 32_768;

struct Reader<'a> {
    file: &'a File,
    inodes: u32,
    inodes_per_group: u32,
    inode_len: u64,
    descriptor_len: u64,
}

struct Inode {
    mode: u16,
    size: u64,
    flags: u32,
    /// Where its blocks are.
    map: [u8; 60],
}

struct Entry {
    inode: u32,
    name: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        let mut block = [0; 1024];
        file.read_exact_at(&mut block, 1024)?;
        let wide = u32_at(&block, 0x60) & INCOMPAT_64BIT != 0;
        let reader = Self {
            file,
            inodes: u32_at(&block, 0),
            inodes_per_group: u32_at(&block, 0x28),
            inode_len: u16_at(&block, 0x58).into(),
            descriptor_len: if wide { u16_at(&block, 0xfe).into() } else { 32 },
        };
        let is_sound = u16_at(&block, 0x38) == 0xef53
            && 1024_u64.checked_shl(u32_at(&block, 0x18)) == Some(BLOCK)
            && reader.inodes_per_group > 0
            && (128..=BLOCK).contains(&reader.inode_len)
            && (32..=1024).contains(&reader.descriptor_len);
        if is_sound { Ok(reader) } else { damaged("no ext4 file system of this crate's") }
    }

    fn inode(&self, number: u32) -> io::Result<Inode> {
        if number == 0 || number > self.inodes {
            return damaged("an inode number out of range");
        }
        let (group, index) =
            ((number - 1) / self.inodes_per_group, (number - 1) % self.inodes_per_group);
        let mut descriptor = [0; 64];
        let length = self.descriptor_len.min(64) as usize;
        let at = BLOCK + u64::from(group) * self.descriptor_len;
        self.file.read_exact_at(&mut descriptor[..length], at)?;
        let table = joined(u32_at(&descriptor, 0x28), u32_at(&descriptor, 0x08));
        let mut bytes = [0; 128];
        let at = bytes_of(table)?.checked_add(u64::from(index) * self.inode_len);
        self.file.read_exact_at(&mut bytes, at.ok_or(io::ErrorKind::InvalidData)?)?;
        let mut map = [0; 60];
        map.copy_from_slice(&bytes[0x28..][..60]);
        Ok(Inode {
            mode: u16_at(&bytes, 0),
            size: joined(u32_at(&bytes, 0x6c), u32_at(&bytes, 4)),
            flags: u32_at(&bytes, 0x20),
            map,
        })
    }

    /// Returns what is in a directory. An index, if it has one, is dressed up as entries that are
    /// not used.
    fn entries(&self, directory: &Inode) -> io::Result<Vec<Entry>> {
        if directory.mode & 0o170_000 != 0o040_000 || directory.flags & EXTENTS == 0 {
            return damaged("a directory is none");
        }
        let mut blocks = Vec::new();
        collect(self, &directory.map, 5, &mut blocks)?;
        if blocks.len() as u64 * BLOCK > LONGEST {
            return damaged("a directory is too long");
        }
        let mut entries = Vec::new();
        let mut block = vec![0; BLOCK as usize];
        for number in blocks {
            self.file.read_exact_at(&mut block, bytes_of(number)?)?;
            let mut at = 0;
            while at + 8 <= block.len() {
                let (inode, length) = (u32_at(&block, at), usize::from(u16_at(&block, at + 4)));
                let name = at + 8..at + 8 + usize::from(block[at + 6]);
                if length < 8 || at + length > block.len() || name.end > at + length {
                    return damaged("an entry of a directory");
                }
                if inode != 0 {
                    entries.push(Entry { inode, name: block[name].to_vec() });
                }
                at += length;
            }
        }
        Ok(entries)
    }
}

/// Collects the blocks of a file from a node of its tree; `depth` is how deep it may be.
fn collect(disk: &Reader<'_>, node: &[u8], depth: u16, blocks: &mut Vec<u64>) -> io::Result<()> {
    let (count, own_depth) = (usize::from(u16_at(node, 2)), u16_at(node, 6));
    if u16_at(node, 0) != EXTENTS_MAGIC || 12 + 12 * count > node.len() || own_depth > depth {
        return damaged("a tree of extents");
    }
    for index in 0..count {
        let at = 12 + 12 * index;
        if own_depth == 0 {
            let length = u16_at(node, at + 4);
            if length <= LONGEST_EXTENT {
                let first = joined(u16_at(node, at + 6).into(), u32_at(node, at + 8));
                blocks.extend(first..first + u64::from(length));
            }
        } else {
            let leaf = joined(u16_at(node, at + 8).into(), u32_at(node, at + 4));
            let mut below = vec![0; BLOCK as usize];
            disk.file.read_exact_at(&mut below, bytes_of(leaf)?)?;
            // A tree gets flatter on the way down, so this ends.
            collect(disk, &below, own_depth - 1, blocks)?;
        }
        if blocks.len() as u64 * BLOCK > LONGEST {
            return damaged("a directory is too long");
        }
    }
    Ok(())
}

fn damaged<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn bytes_of(block: u64) -> io::Result<u64> {
    block.checked_mul(BLOCK).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    joined_16(u16_at(bytes, at + 2), u16_at(bytes, at))
}

fn joined_16(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{Options, format};

    /// A file system with files, made by e2fsprogs; `None` where that is not installed.
    fn filled() -> Option<tempfile::NamedTempFile> {
        let file = tempfile::NamedTempFile::new().unwrap();
        format(file.as_file(), &Options::new(64 << 20, [7; 16])).unwrap();
        let content = tempfile::tempdir().unwrap();
        let source = content.path().join("a");
        std::fs::write(&source, vec![1; 5000]).unwrap();
        let source = source.display();
        let mut commands = format!(
            "mkdir layer\nmkdir layer/upper\ncd layer/upper\nwrite {source} file\n\
             symlink link 0123456789\nmkdir etc\nwrite {source} etc/mtab\nln file second\n\
             mkdir many\ncd many\n"
        );
        for number in 0..300 {
            commands.push_str(&format!("write {source} a-name-that-is-not-short-{number}\n"));
        }
        let script = content.path().join("commands");
        std::fs::write(&script, commands).unwrap();
        let mut debugfs = Command::new("debugfs");
        debugfs.args(["-w", "-f"]).arg(&script).arg(file.path());
        debugfs.stdout(Stdio::null()).stderr(Stdio::null());
        debugfs.status().ok().filter(|status| status.success()).map(|_| file)
    }

    #[test]
    fn files_are_counted_once() {
        let Some(file) = filled() else {
            return;
        };
        let count =
            |skip: &dyn Fn(&str) -> bool| usage(file.as_file(), &["layer", "upper"], skip).unwrap();
        assert_eq!(count(&|_| false), 5000 * 302 + 10);
        assert_eq!(count(&|path| path == "etc/mtab"), 5000 * 301 + 10);
        assert_eq!(count(&|path| path == "many"), 5000 * 2 + 10);
    }

    #[test]
    fn damage_is_an_error_and_nothing_else() {
        let file = tempfile::tempfile().unwrap();
        assert!(usage(&file, &[], |_| false).is_err());
        format(&file, &Options::new(64 << 20, [7; 16])).unwrap();
        assert_eq!(usage(&file, &[], |_| false).unwrap(), 0);
        assert!(usage(&file, &["layer"], |_| false).is_err());
        // Every byte of root's inode and block, one after another, as a guest might write them.
        let geometry = crate::geometry::Geometry::new(&Options::new(64 << 20, [7; 16])).unwrap();
        let inode = geometry.inode_table(0) * BLOCK + 256;
        for at in (inode..inode + 128).chain(geometry.root_block * BLOCK..).take(192) {
            let mut kept = [0];
            file.read_exact_at(&mut kept, at).unwrap();
            for byte in [0, 1, 0x7f, 0xff] {
                file.write_all_at(&[byte], at).unwrap();
                usage(&file, &[], |_| false).ok();
            }
            file.write_all_at(&kept, at).unwrap();
        }
        assert_eq!(usage(&file, &[], |_| false).unwrap(), 0);
    }
}
