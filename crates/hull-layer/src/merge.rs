//! Layers, stacked as overlayfs stacks them.

mod walk;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;
pub use walk::{Walk, WalkEntry};

use crate::tree::{Directory, Inode, InodeId, Kind, Slot, Tree};
use crate::unpack::display;

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
    inode: InodeId,
}

/// Why layers cannot be merged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    #[error("hard link `{name}` of layer {layer} leads to `{target}`, which is a directory")]
    LinkToDirectory { layer: usize, name: String, target: String },
    #[error("hard link `{name}` of layer {layer} leads to `{target}`, which does not exist")]
    LinkTarget { layer: usize, name: String, target: String },
}

/// Merges `layers`, the lowest first; no layers make an empty root directory.
///
/// # Errors
/// If a hard link's target is neither in its layer nor in those below.
pub fn merge(layers: &[Arc<Tree>]) -> Result<Merged, MergeError> {
    let mut stack = Stack { layers: layers.to_vec(), nodes: vec![] };
    if layers.is_empty() {
        stack.layers = vec![Arc::new(Tree::empty())];
    }
    for layer in 0..stack.layers.len() {
        stack.add(layer)?;
    }
    Ok(stack.finish())
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

    /// Iterates all names, the root first and directories before what is in them.
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }
}

/// Layers merged so far.
struct Stack {
    layers: Vec<Arc<Tree>>,
    nodes: Vec<Building>,
}

struct Building {
    layer: usize,
    inode: InodeId,
    children: BTreeMap<Box<[u8]>, NodeId>,
}

impl Stack {
    fn add(&mut self, layer: usize) -> Result<(), MergeError> {
        let tree = Arc::clone(&self.layers[layer]);
        // Links lead to what is below, whatever else this layer does to that.
        let links = self.resolve_links(layer, &tree)?;
        let mut shared: HashMap<InodeId, NodeId> = HashMap::new();
        let root = match self.nodes.is_empty() {
            true => self.create(layer, Tree::ROOT),
            false => self.take_over(Merged::ROOT, layer, Tree::ROOT),
        };
        let mut todo = vec![(root, Tree::ROOT)];
        while let Some((node, inode)) = todo.pop() {
            let directory = directory(&tree, inode);
            // overlayfs, and so Docker, does not look for the mark on a layer's root.
            if directory.opaque && node != Merged::ROOT {
                self.node_mut(node).children.clear();
            }
            for (name, slot) in &directory.entries {
                let lower = self.node_mut(node).children.get(name).copied();
                let child = match slot {
                    Slot::Whiteout => {
                        self.node_mut(node).children.remove(name);
                        continue;
                    }
                    Slot::LowerLink(target) => links[target],
                    Slot::Inode(id) if is_directory(&tree, *id) => {
                        let child = match lower.filter(|lower| self.is_directory(*lower)) {
                            Some(lower) => self.take_over(lower, layer, *id),
                            None => self.create(layer, *id),
                        };
                        todo.push((child, *id));
                        child
                    }
                    Slot::Inode(id) => match shared.get(id) {
                        Some(child) => *child,
                        None => {
                            let child = self.create(layer, *id);
                            shared.insert(*id, child);
                            child
                        }
                    },
                };
                self.node_mut(node).children.insert(name.clone(), child);
            }
        }
        Ok(())
    }

    fn create(&mut self, layer: usize, inode: InodeId) -> NodeId {
        self.nodes.push(Building { layer, inode, children: BTreeMap::new() });
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// Gives a directory the metadata of the same directory in a higher layer.
    fn take_over(&mut self, node: NodeId, layer: usize, inode: InodeId) -> NodeId {
        let building = self.node_mut(node);
        building.layer = layer;
        building.inode = inode;
        node
    }

    fn resolve_links(
        &self,
        layer: usize,
        tree: &Tree,
    ) -> Result<HashMap<Box<[u8]>, NodeId>, MergeError> {
        let mut links = HashMap::new();
        for inode in &tree.inodes {
            let Kind::Directory(directory) = &inode.kind else {
                continue;
            };
            for (name, slot) in &directory.entries {
                let Slot::LowerLink(target) = slot else {
                    continue;
                };
                let found = self.look_up(target);
                let (name, text) = (display(name), display(target));
                let Some(node) = found else {
                    return Err(MergeError::LinkTarget { layer, name, target: text });
                };
                if self.is_directory(node) {
                    return Err(MergeError::LinkToDirectory { layer, name, target: text });
                }
                links.insert(target.clone(), node);
            }
        }
        Ok(links)
    }

    /// Returns what is at `path`. Symbolic links are not followed: the programs that link into lower
    /// layers write the path as it is.
    fn look_up(&self, path: &[u8]) -> Option<NodeId> {
        if self.nodes.is_empty() {
            return None;
        }
        path.split(|&b| b == b'/').try_fold(Merged::ROOT, |at, name| {
            self.nodes[at.0 as usize].children.get(name).copied()
        })
    }

    fn is_directory(&self, node: NodeId) -> bool {
        let Building { layer, inode, .. } = self.nodes[node.0 as usize];
        is_directory(&self.layers[layer], inode)
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Building {
        &mut self.nodes[node.0 as usize]
    }

    /// Numbers what is reachable, breadth first, and counts links.
    fn finish(mut self) -> Merged {
        const NONE: u32 = u32::MAX;
        let mut numbers = vec![NONE; self.nodes.len()];
        let mut nodes = vec![self.take(Merged::ROOT)];
        let mut next = 0;
        while next < nodes.len() {
            let mut children = std::mem::take(&mut nodes[next].children);
            for (_, child) in &mut children {
                let index = child.0 as usize;
                if numbers[index] == NONE {
                    numbers[index] = nodes.len() as u32;
                    nodes.push(self.take(*child));
                }
                *child = NodeId(numbers[index]);
                let child = &mut nodes[numbers[index] as usize];
                if is_directory(&self.layers[child.layer], child.inode) {
                    nodes[next].nlink += 1;
                } else {
                    child.nlink += 1;
                }
            }
            nodes[next].children = children;
            next += 1;
        }
        Merged { layers: self.layers, nodes }
    }

    fn take(&mut self, node: NodeId) -> Node {
        let building = self.node_mut(node);
        let children = std::mem::take(&mut building.children).into_iter().collect();
        let (layer, inode) = (building.layer, building.inode);
        Node { layer, nlink: if self.is_directory(node) { 2 } else { 0 }, children, inode }
    }
}

fn is_directory(tree: &Tree, id: InodeId) -> bool {
    matches!(tree.inode(id).kind, Kind::Directory(_))
}

fn directory(tree: &Tree, id: InodeId) -> &Directory {
    static EMPTY: Directory = Directory { opaque: false, entries: BTreeMap::new() };
    match &tree.inode(id).kind {
        Kind::Directory(directory) => directory,
        _ => &EMPTY,
    }
}
