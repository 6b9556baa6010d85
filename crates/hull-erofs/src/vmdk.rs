//! VMDK descriptors: one disk made of several files.

use thiserror::Error;

/// A file that is part of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extent<'a> {
    /// Path, relative to the directory of the descriptor.
    pub path: &'a str,
    /// Bytes of the file that are part of the disk; a multiple of 512.
    pub len: u64,
}

/// Why a disk cannot be described.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VmdkError {
    #[error("`{0}` cannot stand in a disk description")]
    Name(String),
    #[error("`{path}` has {len} bytes, which is not a multiple of 512")]
    Unaligned { path: String, len: u64 },
    #[error("the disk's files have {len} bytes, more than its size of {size}")]
    TooLarge { len: u64, size: u64 },
}

/// Returns the text of a VMDK descriptor (VMware "Virtual Disk Format 5.0", type `monolithicFlat`) of
/// a read-only disk of `virtual_size` bytes that starts with `extents` in order and is zero after
/// them.
///
/// # Errors
/// If a path cannot be written in the format, a length is no multiple of 512, or the extents are
/// longer than the disk.
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
            lines += &format!("RDONLY {} FLAT \"{path}\" 0\n", len / SECTOR);
        }
    }
    check("the disk", virtual_size)?;
    if end > virtual_size {
        return Err(VmdkError::TooLarge {
            len: end,
            size: virtual_size,
        });
    }
    if end < virtual_size {
        lines += &format!("RDONLY {} ZERO\n", (virtual_size - end) / SECTOR);
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
    Err(VmdkError::Unaligned {
        path: path.to_owned(),
        len,
    })
}

const SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_refuses_what_the_format_cannot_say() {
        let describe = |path, len| descriptor(&[Extent { path, len }], 4096);
        for path in ["", "a\"b", "a\nb", "nbd:x", "a\\b"] {
            assert!(
                matches!(describe(path, 512), Err(VmdkError::Name(_))),
                "{path}"
            );
        }
        assert!(matches!(
            describe("a", 100),
            Err(VmdkError::Unaligned { .. })
        ));
        assert!(matches!(
            describe("a", 8192),
            Err(VmdkError::TooLarge { .. })
        ));
        assert!(!describe("a", 4096).unwrap().contains("ZERO"));
    }
}
