//! Layers, stacked.

use std::sync::Arc;

use thiserror::Error;

use crate::tree::{Inode, Tree};

/// The root file system of an image: its layers' trees merged.
#[derive(Debug)]
pub struct Merged {
    layers: Vec<Arc<Tree>>,
    nodes: Vec<Node>,
}

/// Number of a node within its [`Merged`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u32);

/// One inode of the merged file system.
#[derive(Debug)]
pub struct Node {
    /// Index of the layer whose inode this is, and whose data blob its extents point into.
    pub layer: usize,
    /// Names of this inode; of a directory, 2 and one for each subdirectory.
    pub nlink: u32,
    /// Of a directory: names and nodes, sorted by name; neither `.` nor `..`. Of others: empty.
    pub children: Vec<(Box<[u8]>, NodeId)>,
    inode: crate::InodeId,
}

/// One name of the merged file system, as [`Merged::walk`] shows it.
#[derive(Debug)]
pub struct WalkEntry<'a> {
    /// Path from the root without leading slash; the root itself is empty.
    pub path: Vec<u8>,
    pub id: NodeId,
    pub node: &'a Node,
    pub inode: &'a Inode,
}

/// Why layers cannot be merged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    #[error("hard link `{name}` of layer {layer} leads to `{target}`, which does not exist")]
    LinkTarget {
        layer: usize,
        name: String,
        target: String,
    },
}

/// Merges `layers`, the lowest first.
///
/// # Errors
/// If a hard link's target is in none of the layers below it.
#[expect(clippy::todo)]
pub fn merge(_layers: &[Arc<Tree>]) -> Result<Merged, MergeError> {
    todo!()
}

impl Merged {
    /// The root directory.
    pub const ROOT: NodeId = NodeId(0);

    /// Returns the nodes, each inode once; `NodeId(n)` is the `n`th. Directories come before what
    /// is in them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns node `id`, which must be one of this file system.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Returns the metadata of `node`. Of a directory, take the names from [`Node::children`].
    pub fn inode(&self, node: &Node) -> &Inode {
        self.layers[node.layer].inode(node.inode)
    }
}
