//! Anonymous volumes: directories on the writable disk outside the container's layer, filled from
//! the image when first made.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::archive::tree;
use crate::container::mounts::{attach, clone_tree};
use crate::container::paths::{is_directory, resolve_or_create};
use crate::failure::{Context, Failure, Result};
use crate::setup::make_dir;

/// Mounts the volume for `destination`; `store` is the directory of the container's volumes.
pub(crate) fn mount(root: BorrowedFd<'_>, store: &str, destination: &str) -> Result<()> {
    let what = || format!("volume {destination}");
    let covered = resolve_or_create(root, destination, false).context(what)?;
    if !is_directory(&covered).context(what)? {
        return Err(Failure::invalid(format!(
            "cannot mount volume over existing file, file exists {destination}"
        )));
    }
    make_dir(store).context(what)?;
    let path = format!("{store}/{}", file_name(destination));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |path: &str| rustix::fs::open(path, flags, Mode::empty());
    let volume = match open(&path) {
        Err(Errno::NOENT) => {
            // Filled under another name first: an interrupted copy must not count as the volume.
            let temporary = format!("{path}.new");
            if rustix::fs::access(temporary.as_str(), rustix::fs::Access::EXISTS).is_ok() {
                let _ = std::fs::remove_dir_all(&temporary);
            }
            make_dir(&temporary).context(what)?;
            let volume = open(&temporary).context(what)?;
            tree::copy_contents(covered.as_fd(), volume.as_fd()).context(what)?;
            rustix::fs::renameat(CWD, &temporary, CWD, &path).context(what)?;
            volume
        }
        other => other.context(what)?,
    };
    let tree = clone_tree(volume.as_fd()).context(what)?;
    attach(root, tree.as_fd(), destination).context(what)
}

/// Returns the destination as one file name, different for different destinations.
fn file_name(destination: &str) -> String {
    let mut name = String::new();
    for part in destination.split('/').filter(|part| !matches!(*part, "" | ".")) {
        name.push('@');
        for c in part.chars() {
            match c {
                '@' | '%' => name.push_str(&format!("%{:02x}", c as u32)),
                c => name.push(c),
            }
        }
    }
    if name.len() > 200 {
        // File names end at 255 bytes. FNV-1a of the rest keeps them apart.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let end = (0..=180).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(end);
        name.push_str(&format!("%{hash:016x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_have_names_of_their_own() {
        assert_eq!(file_name("/var//lib/./x"), "@var@lib@x");
        assert_ne!(file_name("/a@b"), file_name("/a/b"));
        let long = |end: &str| file_name(&format!("/{}{end}", "x/".repeat(200)));
        assert!(long("a").len() < 255);
        assert_ne!(long("a"), long("b"));
    }
}
