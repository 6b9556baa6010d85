//! Where everything goes in the image, before any of it is written.

use hull_layer::{Extent, File, Kind, Merged, Node};

use crate::attribute::Attributes;
use crate::directory;
use crate::format::{BLOCK, INODE_LEN, SLOT, SUPERBLOCK_END};
use crate::write::WriteError;

/// Largest chunk of a sparse file, in bytes.
const MAX_CHUNK: u64 = 1 << 30;
/// Most chunks of one; conversion keeps far below that.
const MAX_CHUNKS: u64 = 1 << 20;

/// The image's arrangement: superblock, inodes with what stands behind them, blocks of directories
/// and long symbolic links, shared extended attributes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Placed>,
    pub(crate) attributes: Attributes,
    pub(crate) shared_offset: u64,
    /// Bytes of the image: a multiple of the block size.
    pub(crate) len: u64,
    pub(crate) has_chunks: bool,
}

/// A node and its place; offsets and lengths are bytes.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) offset: u64,
    pub(crate) attributes_len: u32,
    pub(crate) size: u64,
    pub(crate) body: Body,
    /// Index of the parent of a directory.
    pub(crate) parent: usize,
}

/// Where a file's content is.
#[derive(Debug)]
pub(crate) enum Body {
    /// In whole blocks of the image, from this offset.
    Blocks(u64),
    /// In a layer: for each chunk its position and length, or `None` for a hole.
    Chunks {
        size_log2: u32,
        chunks: Vec<Option<(u64, u64)>>,
    },
    Empty,
    /// In a layer, in one piece.
    Extent {
        data: u64,
        len: u64,
    },
    /// The last bytes behind the inode, what is before them in blocks from this offset.
    Inline {
        blocks: u64,
        tail_len: usize,
    },
}

impl Plan {
    pub(crate) fn new(merged: &Merged) -> Result<Self, WriteError> {
        let nodes = merged.nodes();
        if nodes.len() >= u32::MAX as usize {
            return Err(WriteError::Metadata);
        }
        let all = nodes.iter().flat_map(|node| &merged.inode(node).xattrs);
        let attributes = Attributes::new(all)?;
        let mut placed = Vec::with_capacity(nodes.len());
        // Blocks are counted from 0 first: they follow the inodes, whose end is not known yet.
        let mut end = SUPERBLOCK_END;
        let mut blocks_len = 0;
        for node in nodes {
            let inode = merged.inode(node);
            let attributes_len = attributes.inline_len(&inode.xattrs)?;
            let head = INODE_LEN as u64 + u64::from(attributes_len);
            let (size, body) = body(node, &inode.kind, head, &mut blocks_len)?;
            let behind = match &body {
                Body::Chunks { chunks, .. } => 4 * chunks.len(),
                Body::Inline { tail_len, .. } => *tail_len,
                _ => 0,
            };
            let total = head + behind as u64;
            // An inode and its tail may not cross a block's end; long attributes have to.
            let together = if total <= BLOCK { total } else { INODE_LEN as u64 };
            let offset = match end % BLOCK + together > BLOCK {
                true => end.next_multiple_of(BLOCK),
                false => end,
            };
            end = (offset + total).next_multiple_of(SLOT);
            placed.push(Placed { offset, attributes_len, size, body, parent: 0 });
        }
        let blocks_start = end.next_multiple_of(BLOCK);
        for node in &mut placed {
            match &mut node.body {
                Body::Blocks(blocks) | Body::Inline { blocks, .. } => *blocks += blocks_start,
                _ => {}
            }
        }
        for (index, node) in nodes.iter().enumerate() {
            for (_, child) in &node.children {
                placed[child.0 as usize].parent = index;
            }
        }
        let shared_offset = blocks_start + blocks_len;
        let len = shared_offset + attributes.shared_len.next_multiple_of(BLOCK);
        Ok(Self {
            has_chunks: placed.iter().any(|p| matches!(p.body, Body::Chunks { .. })),
            nodes: placed,
            attributes,
            shared_offset,
            len,
        })
    }

    /// Returns the number of the inode of a node.
    pub(crate) fn nid(&self, index: usize) -> u64 {
        self.nodes[index].offset / SLOT
    }
}

/// Returns a file's size and where its content goes; takes blocks at the end of `blocks_len`.
fn body(
    node: &Node,
    kind: &Kind,
    head: u64,
    blocks_len: &mut u64,
) -> Result<(u64, Body), WriteError> {
    let size = match kind {
        Kind::Directory(_) => directory::len(node),
        Kind::Symlink(target) => target.len() as u64,
        Kind::File(file) => return Ok((file.size, file_body(file)?)),
        Kind::BlockDevice(_) | Kind::CharDevice(_) | Kind::Fifo => return Ok((0, Body::Empty)),
    };
    let tail_len = size % BLOCK;
    let blocks = *blocks_len;
    if tail_len > 0 && head + tail_len <= BLOCK {
        *blocks_len += size - tail_len;
        let tail_len = tail_len as usize;
        return Ok((size, Body::Inline { blocks, tail_len }));
    }
    *blocks_len += size.next_multiple_of(BLOCK);
    Ok((size, Body::Blocks(blocks)))
}

fn file_body(file: &File) -> Result<Body, WriteError> {
    let end = file.size.next_multiple_of(BLOCK);
    match file.extents[..] {
        _ if file.size == 0 => return Ok(Body::Empty),
        [Extent { offset: 0, data, len }] if len == end => {
            return Ok(Body::Extent { data, len });
        }
        _ => {}
    }
    // The largest unit that every extent starts at and, unless the file ends there, ends at.
    let ends = file.extents.iter().map(|e| e.offset + e.len);
    let bounds = ends.filter(|e| *e != end).chain(file.extents.iter().map(|e| e.offset));
    let common = bounds.fold(0, |bits, bound| bits | bound);
    let chunk = match common {
        0 => end.next_power_of_two(),
        _ => 1 << common.trailing_zeros(),
    };
    let chunk = chunk.min(MAX_CHUNK);
    let count = end.div_ceil(chunk);
    if count > MAX_CHUNKS {
        return Err(WriteError::Metadata);
    }
    let mut chunks = vec![None; count as usize];
    for extent in &file.extents {
        let mut done = 0;
        while done < extent.len {
            let len = chunk.min(extent.len - done);
            chunks[((extent.offset + done) / chunk) as usize] = Some((extent.data + done, len));
            done += len;
        }
    }
    Ok(Body::Chunks { size_log2: chunk.trailing_zeros(), chunks })
}
