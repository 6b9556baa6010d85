//! VMDK descriptors: one disk made of several files.

use thiserror::Error;

/// A file that is part of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extent<'a> {
    /// Path, relative to the directory of the descriptor.
    pub path: &'a str,
    /// Length of the file in bytes; a multiple of 512.
    pub len: u64,
}

/// Why a disk cannot be described.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VmdkError {
    #[error("a disk has at least one file")]
    Empty,
    #[error("`{0}` cannot stand in a disk description")]
    Name(String),
    #[error("`{path}` has {len} bytes, which is not a multiple of 512")]
    Unaligned { path: String, len: u64 },
    #[error("the disk's files have {len} bytes, more than its size of {size}")]
    TooLarge { len: u64, size: u64 },
}

/// Returns the text of a VMDK descriptor (VMware "Virtual Disk Format 5.0", type `monolithicFlat`) of
/// a disk of `virtual_size` bytes that starts with `extents` in order and is zero after them.
///
/// QEMU knows neither read-only extents nor extents of zeros: it skips the line of either. So all
/// are `RW` - open the disk with `readonly=on` - and the zeros are an extent behind the end of the
/// last file, where QEMU reads zeros.
///
/// # Errors
/// If there are no extents, a path cannot be written in the format, a length is no multiple of 512,
/// or the extents are longer than the disk.
pub fn descriptor(extents: &[Extent<'_>], virtual_size: u64) -> Result<String, VmdkError> {
    let mut lines = String::new();
    let mut end: u64 = 0;
    for Extent { path, len } in extents {
        // QEMU's parser ends names at the next quote; a colon would make it a protocol.
        if path.is_empty()
            || path.contains(|c: char| matches!(c, '"' | ':' | '\\') || c.is_control())
        {
            return Err(VmdkError::Name(path.escape_debug().to_string()));
        }
        end = end.saturating_add(check(path, *len)?);
        if *len > 0 {
            lines += &format!("RW {} FLAT \"{path}\" 0\n", len / SECTOR);
        }
    }
    check("the disk", virtual_size)?;
    if end > virtual_size {
        return Err(VmdkError::TooLarge { len: end, size: virtual_size });
    }
    let last = extents.last().ok_or(VmdkError::Empty)?;
    if end < virtual_size {
        let zeros = (virtual_size - end) / SECTOR;
        let file_end = last.len / SECTOR;
        lines += &format!("RW {zeros} FLAT \"{}\" {file_end}\n", last.path);
    }
    Ok(format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID=fffffffe\n\
         parentCID=ffffffff\n\
         createType=\"monolithicFlat\"\n\
         {lines}\
         ddb.virtualHWVersion = \"4\"\n\
         ddb.adapterType = \"ide\"\n"
    ))
}

fn check(path: &str, len: u64) -> Result<u64, VmdkError> {
    if len.is_multiple_of(SECTOR) {
        return Ok(len);
    }
    Err(VmdkError::Unaligned { path: path.to_owned(), len })
}

const SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_refuses_what_the_format_cannot_say() {
        let describe = |path, len| descriptor(&[Extent { path, len }], 4096);
        for path in ["", "a\"b", "a\nb", "nbd:x", "a\\b"] {
            assert!(matches!(describe(path, 512), Err(VmdkError::Name(_))), "{path}");
        }
        assert!(matches!(describe("a", 100), Err(VmdkError::Unaligned { .. })));
        assert!(matches!(describe("a", 8192), Err(VmdkError::TooLarge { .. })));
        assert!(matches!(descriptor(&[], 4096), Err(VmdkError::Empty)));
    }

    #[test]
    fn descriptor_fills_up_behind_the_last_file() {
        let extents = [("m", 4096), ("0", 0), ("1", 8192)].map(|(path, len)| Extent { path, len });
        let text = descriptor(&extents, 1 << 20).unwrap();
        let lines: Vec<&str> = text.lines().filter(|l| l.contains("FLAT")).collect();
        let expected = ["RW 8 FLAT \"m\" 0", "RW 16 FLAT \"1\" 0", "RW 2024 FLAT \"1\" 16"];
        assert_eq!(lines, expected);
        assert!(!descriptor(&extents[..1], 4096).unwrap().contains(" 8\n"));
    }
}
