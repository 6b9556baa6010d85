//! Iteration over the names of a merged file system.

use super::{Merged, Node, NodeId};
use crate::tree::Inode;

/// One name of the merged file system. A file with several names is shown under each.
#[derive(Debug)]
pub struct WalkEntry<'a> {
    /// Path from the root without leading slash; the root itself is empty.
    pub path: Vec<u8>,
    pub id: NodeId,
    pub node: &'a Node,
    pub inode: &'a Inode,
}

/// Iterator of [`Merged::walk`].
#[derive(Debug)]
pub struct Walk<'a> {
    merged: &'a Merged,
    todo: Vec<(Vec<u8>, NodeId)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(merged: &'a Merged) -> Self {
        Self { merged, todo: vec![(Vec::new(), Merged::ROOT)] }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = WalkEntry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (path, id) = self.todo.pop()?;
        let node = self.merged.node(id);
        for (name, child) in node.children.iter().rev() {
            let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
            self.todo.push(([&path, slash, name].concat(), *child));
        }
        Some(WalkEntry { path, id, node, inode: self.merged.inode(node) })
    }
}
