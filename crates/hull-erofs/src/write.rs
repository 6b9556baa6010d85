//! The image writer.

use std::io::{self, Write};

use hull_layer::{Kind, Merged};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::format::{self, BLOCK, Inode, Superblock};
use crate::plan::{Body, Plan};
use crate::{DISK_SIZE, directory};

/// Where the parts of the disk lie; all in bytes and multiples of 4096.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Length of the image that was written.
    pub meta_len: u64,
    /// Position of each layer's data on the disk.
    pub layer_offsets: Vec<u64>,
    /// End of the last layer's data: what the disk must hold before its zeros.
    pub disk_len: u64,
    /// UUID of the file system, derived from its content.
    pub uuid: [u8; 16],
}

/// Why an image cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    #[error("extended attribute `{0}` cannot stand in an EROFS image")]
    Attribute(String),
    #[error("a file lies outside of the data of layer {layer}")]
    Data { layer: usize },
    #[error("cannot write the file system image")]
    Io(#[source] io::Error),
    #[error("the image has too many files or too much metadata for its file system")]
    Metadata,
    #[error("the image needs {needed} bytes of disk, more than the {available} that there are")]
    TooLarge { needed: u64, available: u64 },
}

/// Writes the metadata image of `merged` to `out`. `layer_lengths` are the bytes of each layer's
/// data blob ([`hull_layer::Converted::data_len`]), the lowest layer first, as they were given to
/// [`hull_layer::merge`]. The same input gives the same bytes.
///
/// # Errors
/// If `out` cannot be written or the tree exceeds what the format or [`crate::DISK_SIZE`] holds.
pub fn write(
    merged: &Merged,
    layer_lengths: &[u64],
    out: &mut impl Write,
) -> Result<Layout, WriteError> {
    let plan = Plan::new(merged)?;
    let layout = layout(&plan, layer_lengths)?;
    let image = Image { merged, plan: &plan, layer_offsets: &layout.layer_offsets, layer_lengths };
    let mut bytes = vec![0; plan.len as usize];
    for index in 0..merged.nodes().len() {
        image.put_node(&mut bytes, index)?;
    }
    plan.attributes.put_shared(&mut bytes[plan.shared_offset as usize..]);
    let superblock = Superblock {
        root_nid: plan.nid(0) as u16,
        inodes: merged.nodes().len() as u64,
        // Fits: the disk is smaller than 2^32 blocks.
        blocks: (layout.disk_len / BLOCK) as u32,
        shared_block: (plan.shared_offset / BLOCK) as u32,
        has_chunks: plan.has_chunks,
    };
    superblock.put(&mut bytes, [0; 16]);
    let uuid = uuid(&bytes);
    superblock.put(&mut bytes, uuid);
    out.write_all(&bytes).map_err(WriteError::Io)?;
    Ok(Layout { uuid, ..layout })
}

fn layout(plan: &Plan, layer_lengths: &[u64]) -> Result<Layout, WriteError> {
    let mut end = plan.len;
    let mut layer_offsets = Vec::with_capacity(layer_lengths.len());
    for len in layer_lengths {
        layer_offsets.push(end);
        end = len
            .checked_next_multiple_of(BLOCK)
            .and_then(|len| end.checked_add(len))
            .unwrap_or(u64::MAX);
    }
    if end > DISK_SIZE {
        return Err(WriteError::TooLarge { needed: end, available: DISK_SIZE });
    }
    Ok(Layout { meta_len: plan.len, layer_offsets, disk_len: end, uuid: [0; 16] })
}

/// Returns a UUID of version 8 (RFC 9562, "custom") that is a digest of the image.
fn uuid(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    let mut uuid: [u8; 16] = std::array::from_fn(|i| digest[i]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

struct Image<'a> {
    merged: &'a Merged,
    plan: &'a Plan,
    layer_offsets: &'a [u64],
    layer_lengths: &'a [u64],
}

impl Image<'_> {
    fn put_node(&self, out: &mut [u8], index: usize) -> Result<(), WriteError> {
        let node = &self.merged.nodes()[index];
        let inode = self.merged.inode(node);
        let placed = &self.plan.nodes[index];
        let at = placed.offset as usize;
        let attributes = at + format::INODE_LEN;
        let tail = attributes + placed.attributes_len as usize;
        self.plan.attributes.put_inline(&inode.xattrs, &mut out[attributes..tail]);
        let (data_layout, union) = match &placed.body {
            Body::Empty => (format::FLAT_PLAIN, device(&inode.kind)),
            Body::Extent { data, len } => {
                let block = self.block(node.layer, *data, *len)?;
                (format::FLAT_PLAIN, block)
            }
            Body::Chunks { size_log2, chunks } => {
                for (i, chunk) in chunks.iter().enumerate() {
                    let block = match chunk {
                        Some((data, len)) => self.block(node.layer, *data, *len)?,
                        None => format::HOLE,
                    };
                    out[tail + 4 * i..][..4].copy_from_slice(&block.to_le_bytes());
                }
                // Chunk size is a shift on top of the block's.
                (format::CHUNK_BASED, size_log2 - BLOCK.trailing_zeros())
            }
            Body::Inline { blocks, tail_len } => {
                let full = placed.size - *tail_len as u64;
                let content = self.content(index);
                let (head, rest) = content.split_at(full as usize);
                out[*blocks as usize..][..head.len()].copy_from_slice(head);
                out[tail..][..rest.len()].copy_from_slice(rest);
                (format::FLAT_INLINE, (blocks / BLOCK) as u32)
            }
            Body::Blocks(blocks) => {
                let content = self.content(index);
                out[*blocks as usize..][..content.len()].copy_from_slice(&content);
                (format::FLAT_PLAIN, (blocks / BLOCK) as u32)
            }
        };
        Inode {
            data_layout,
            attributes_len: placed.attributes_len,
            mode: inode.mode | format::mode_of(&inode.kind),
            size: placed.size,
            union,
            number: index as u32 + 1,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            nlink: node.nlink,
        }
        .put(&mut out[at..]);
        Ok(())
    }

    /// Returns the bytes of a directory or symbolic link.
    fn content(&self, index: usize) -> Vec<u8> {
        let node = &self.merged.nodes()[index];
        match &self.merged.inode(node).kind {
            Kind::Symlink(target) => target.to_vec(),
            _ => {
                let kind_of = |child: usize| {
                    let node = &self.merged.nodes()[child];
                    format::entry_kind(&self.merged.inode(node).kind)
                };
                let entry = |child: usize| (self.plan.nid(child), kind_of(child));
                let parent = self.plan.nodes[index].parent;
                directory::encode(node, entry(index), entry(parent), |id| entry(id.0 as usize))
            }
        }
    }

    /// Returns the disk's block at which bytes of a layer are.
    fn block(&self, layer: usize, data: u64, len: u64) -> Result<u32, WriteError> {
        let error = WriteError::Data { layer };
        let (Some(offset), Some(available)) =
            (self.layer_offsets.get(layer), self.layer_lengths.get(layer))
        else {
            return Err(error);
        };
        if data.checked_add(len).is_none_or(|end| end > *available) {
            return Err(error);
        }
        Ok(((offset + data) / BLOCK) as u32)
    }
}

/// Returns a device's numbers as Linux's `new_encode_dev` has them; 0 for other files.
fn device(kind: &Kind) -> u32 {
    match kind {
        Kind::BlockDevice(device) | Kind::CharDevice(device) => {
            device.minor & 0xff | device.major << 8 | (device.minor & !0xff) << 12
        }
        _ => 0,
    }
}
