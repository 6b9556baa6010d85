//! Extended attributes: which ones a file can have, and what depends on them.

use super::{EntryError, acl, display};
use crate::tree::{Inode, Kind, Xattr};

const ACCESS: &[u8] = b"system.posix_acl_access";
const DEFAULT: &[u8] = b"system.posix_acl_default";
const OVERLAY: &[u8] = b"trusted.overlay.";
/// Largest value in bytes. Linux allows one more, EROFS has 16 bits for it.
const MAX_VALUE: usize = 65535;

/// Sets an attribute as setxattr(2) on ext4 does. Those that it does not support there are left
/// out, which is what Docker does.
pub(super) fn set(inode: &mut Inode, attribute: &Xattr) -> Result<(), EntryError> {
    let Xattr { name, value } = attribute;
    let error = |problem| EntryError::Attribute { name: display(name), problem };
    if name.is_empty() || name.len() > 255 {
        return Err(error("its name is not 1 to 255 bytes long"));
    }
    if value.len() > MAX_VALUE {
        return Err(error("its value is longer than 65535 bytes"));
    }
    if **name == *ACCESS || **name == *DEFAULT {
        return set_acl(inode, attribute).map_err(error);
    }
    if let Some(own) = name.strip_prefix(OVERLAY) {
        // These direct overlayfs, in which the tree will be a layer: `opaque` has a meaning here,
        // the others must not get into it from an image.
        if let (b"opaque", b"y", Kind::Directory(dir)) = (own, &value[..], &mut inode.kind) {
            dir.opaque = true;
        }
        return Ok(());
    }
    let (namespace, own) = match name.iter().position(|&b| b == b'.') {
        Some(dot) => name.split_at(dot + 1),
        None => return Ok(()),
    };
    let allowed = match namespace {
        b"security." | b"trusted." => true,
        b"user." => matches!(inode.kind, Kind::File(_) | Kind::Directory(_)),
        _ => false,
    };
    if !allowed {
        return Ok(());
    }
    if own.is_empty() {
        return Err(error("its name ends after the namespace"));
    }
    insert(inode, name, value);
    Ok(())
}

/// Removes an attribute.
pub(super) fn remove(inode: &mut Inode, name: &[u8]) {
    inode.xattrs.retain(|x| *x.name != *name);
}

/// Gives a new file the access list that its directory prescribes.
pub(super) fn inherit(parent: &Inode, inode: &mut Inode) {
    let default = parent.xattrs.iter().find(|x| *x.name == *DEFAULT);
    let Some(default) = default.filter(|_| !matches!(inode.kind, Kind::Symlink(_))) else {
        return;
    };
    insert(inode, ACCESS, &default.value);
    if matches!(inode.kind, Kind::Directory(_)) {
        insert(inode, DEFAULT, &default.value);
    }
    apply_mode(inode);
}

/// Makes the access list say what the mode does, as chmod(2) does.
pub(super) fn apply_mode(inode: &mut Inode) {
    let mode = inode.mode;
    for attribute in &mut inode.xattrs {
        if *attribute.name == *ACCESS {
            acl::apply_mode(&mut attribute.value, mode);
        }
    }
    inode.xattrs.retain(|x| *x.name != *ACCESS || !acl::is_mode_only(&x.value));
}

fn set_acl(inode: &mut Inode, Xattr { name, value }: &Xattr) -> Result<(), &'static str> {
    let is_directory = match inode.kind {
        // Links have no access lists: setxattr says "not supported".
        Kind::Symlink(_) => return Ok(()),
        Kind::Directory(_) => true,
        _ => false,
    };
    if !acl::is_valid(value) {
        return Err("its value is not an access control list");
    }
    if acl::is_empty(value) {
        remove(inode, name);
    } else if **name == *DEFAULT && !is_directory {
        return Err("only a directory can have it");
    } else {
        insert(inode, name, value);
    }
    Ok(())
}

fn insert(inode: &mut Inode, name: &[u8], value: &[u8]) {
    let found = inode.xattrs.binary_search_by(|x| (*x.name).cmp(name));
    match found {
        Ok(index) => inode.xattrs[index].value = value.into(),
        Err(index) => inode.xattrs.insert(index, Xattr { name: name.into(), value: value.into() }),
    }
}
