//! What a container finds in every image.

use super::{Directory, File, Inode, InodeId, Kind, Slot, Tree};

impl Tree {
    /// Returns a layer to put below those of an image: what mounts cover in every container. What
    /// the image has itself is the image's.
    ///
    /// Nothing of it can be seen in a container: it would have the wrong time.
    pub fn skeleton() -> Self {
        let mut tree = Self::empty();
        let directory = || Kind::Directory(Directory::default());
        let file = || Kind::File(File::default());
        let top = Self::ROOT;
        for name in ["dev", "proc", "sys"] {
            tree.add(top, name, directory());
        }
        let etc = tree.add(top, "etc", directory());
        for name in ["hostname", "hosts", "resolv.conf"] {
            tree.add(etc, name, file());
        }
        tree
    }

    fn add(&mut self, directory: InodeId, name: &str, kind: Kind) -> InodeId {
        let id = InodeId(self.inodes.len() as u32);
        self.inodes.push(Inode::new(kind, 0o755));
        if let Kind::Directory(directory) = &mut self.inodes[directory.0 as usize].kind {
            directory.entries.insert(name.as_bytes().into(), Slot::Inode(id));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Merged, merge};

    #[test]
    fn an_image_keeps_what_it_has() {
        let mut image = Tree::empty();
        let etc = image.add(Tree::ROOT, "etc", Kind::Directory(Directory::default()));
        image.inodes[etc.0 as usize].mode = 0o700;
        image.add(etc, "hosts", Kind::Symlink((*b"/x").into()));
        image.add(Tree::ROOT, "proc", Kind::Symlink((*b"/y").into()));
        let merged = merge(&[Arc::new(Tree::skeleton()), Arc::new(image)]).unwrap();
        let find = |directory, name: &str| {
            let children = &merged.node(directory).children;
            let found = children.iter().find(|(known, _)| **known == *name.as_bytes());
            found.map(|(_, id)| (*id, merged.inode(merged.node(*id)))).unwrap()
        };
        let (etc, inode) = find(Merged::ROOT, "etc");
        assert_eq!(inode.mode, 0o700);
        assert_eq!(find(etc, "hosts").1.kind, Kind::Symlink((*b"/x").into()));
        assert_eq!(find(etc, "resolv.conf").1.mode, 0o755);
        assert_eq!(find(Merged::ROOT, "proc").1.kind, Kind::Symlink((*b"/y").into()));
        assert_eq!(find(Merged::ROOT, "dev").1.mode, 0o755);
    }
}
