//! Paths of entries: cleaned by their text, then followed through the tree as in a chroot.

use super::{EntryError, Unpacker, display};
use crate::tree::{Directory, InodeId, Kind, Slot, Tree};

/// Most symbolic links on one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Deepest directory. A path from the root with one letter names is 4095 bytes long then.
const MAX_DEPTH: usize = 2047;

/// Returns the components of a path, without empty ones and `.`, and with `..` resolved by text.
pub(super) fn clean(path: &[u8]) -> Result<Vec<&[u8]>, EntryError> {
    let mut out = Vec::new();
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(out.pop().ok_or(EntryError::Escapes)?),
            name => out.push(name),
        }
    }
    Ok(out)
}

/// Returns the components of a path, of which `..` never leads above the root.
pub(super) fn clean_in_root(path: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(out.pop()),
            name => out.push(name),
        }
    }
    out
}

impl Unpacker {
    /// Returns the directory at `path`; what is missing of it is created.
    pub(super) fn directory(&mut self, path: &[&[u8]]) -> Result<InodeId, EntryError> {
        let mut at = Cursor::root();
        for component in path {
            self.check_len("name", component.len(), 255)?;
            match self.step(&mut at, component)? {
                Step::Into => {}
                Step::File => return Err(not_directory(component)),
                Step::Absent { whiteout } => {
                    let id = self.implicit(at.id(), component, whiteout);
                    at.push(id)?;
                }
            }
        }
        Ok(at.id())
    }

    /// Returns what the name at `path` stands for, its last component not followed; `None` if this
    /// layer does not have it.
    pub(super) fn look_up(&self, path: &[&[u8]]) -> Result<Option<Slot>, EntryError> {
        let Some((name, parents)) = path.split_last() else {
            return Ok(Some(Slot::Inode(Tree::ROOT)));
        };
        let mut at = Cursor::root();
        for component in parents {
            match self.step(&mut at, component) {
                Ok(Step::Into) => {}
                // The rest may exist in a lower layer.
                Ok(Step::Absent { .. } | Step::File) | Err(EntryError::Dangling { .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.slot(at.id(), name))
    }

    /// Goes from a directory to one of its names, through symbolic links.
    fn step(&self, at: &mut Cursor, name: &[u8]) -> Result<Step, EntryError> {
        let mut links = 0;
        // Components still to go, the next one last; `true` for those out of a link's target.
        let mut todo: Vec<(&[u8], bool)> = vec![(name, false)];
        while let Some((component, from_link)) = todo.pop() {
            match component {
                b"" | b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            let dangling = || EntryError::Dangling { component: display(name) };
            let id = match self.dir(at.id()).entries.get(component) {
                Some(Slot::Inode(id)) => *id,
                Some(Slot::LowerLink(_)) => return Ok(Step::File),
                slot if !from_link => {
                    let whiteout = slot.is_some();
                    return Ok(Step::Absent { whiteout });
                }
                _ => return Err(dangling()),
            };
            match &self.inodes[id.0 as usize].kind {
                Kind::Directory(_) => at.push(id)?,
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(EntryError::SymlinkLoop);
                    }
                    if target.first() == Some(&b'/') {
                        *at = Cursor::root();
                    }
                    let components = target.split(|&b| b == b'/').rev();
                    todo.extend(components.map(|c| (c, true)));
                }
                _ => return Ok(Step::File),
            }
        }
        Ok(Step::Into)
    }

    /// Creates a directory that has no entry. If the layer has a whiteout of the name, what lies
    /// below stays hidden.
    fn implicit(&mut self, parent: InodeId, name: &[u8], whiteout: bool) -> InodeId {
        let directory = Directory { opaque: whiteout, ..Directory::default() };
        let id = self.create(parent, Kind::Directory(directory), 0o755);
        self.dir_mut(parent).entries.insert(name.into(), Slot::Inode(id));
        id
    }
}

enum Step {
    /// The name is not in the directory.
    Absent { whiteout: bool },
    /// It is there and not a directory.
    File,
    /// It is a directory, in which the cursor is now.
    Into,
}

/// A directory and the way to it, for `..`.
struct Cursor(Vec<InodeId>);

impl Cursor {
    fn root() -> Self {
        Self(Vec::new())
    }

    fn id(&self) -> InodeId {
        self.0.last().copied().unwrap_or(Tree::ROOT)
    }

    fn push(&mut self, id: InodeId) -> Result<(), EntryError> {
        if self.0.len() >= MAX_DEPTH {
            return Err(EntryError::TooLong {
                what: "directory depth",
                len: self.0.len() + 1,
                max: MAX_DEPTH,
            });
        }
        self.0.push(id);
        Ok(())
    }

    fn pop(&mut self) {
        self.0.pop();
    }
}

fn not_directory(component: &[u8]) -> EntryError {
    EntryError::NotDirectory { component: display(component) }
}
