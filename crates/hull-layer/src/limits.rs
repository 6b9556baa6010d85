//! What a layer may cost before conversion refuses it.

/// Upper bounds of one layer, against decompression bombs and hostile metadata. The defaults are far
/// above what real layers need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries of the tar stream.
    pub max_entries: u64,
    /// Bytes of the uncompressed tar stream.
    pub max_tar_bytes: u64,
    /// Bytes of all files as they appear, holes of sparse files included.
    pub max_content_bytes: u64,
    /// Bytes of one path or symbolic link target. Linux allows 4095.
    pub max_path_bytes: usize,
    /// Bytes of all extended attributes of one entry, names and values.
    pub max_xattr_bytes: usize,
    /// Bytes of one extended header (PAX, GNU long name) or sparse map. Go's reader, and so
    /// Docker, allows 1 MiB.
    pub max_header_bytes: u64,
    /// Bytes of names, targets and extended attributes of the whole layer.
    pub max_metadata_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 4 << 20,
            max_tar_bytes: 64 << 30,
            max_content_bytes: 64 << 30,
            max_path_bytes: 4095,
            max_xattr_bytes: 128 << 10,
            max_header_bytes: 1 << 20,
            max_metadata_bytes: 1 << 30,
        }
    }
}
