//! Removing what nothing refers to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hull_registry::Digest;

use super::{Inner, Store, root};
use crate::StoreError;

impl Store {
    /// Removes all content that no image, no operation under way and none of `keep` (IDs of root
    /// disks) refers to; returns the bytes freed.
    pub async fn gc(&self, keep: &BTreeSet<Digest>) -> Result<u64, StoreError> {
        let (store, keep) = (self.clone(), keep.clone());
        super::blocking(move || store.sweep(&keep)).await
    }

    pub(super) fn sweep(&self, keep: &BTreeSet<Digest>) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let trash = inner.home.temp_dir()?;
        let unneeded = {
            // While leases are held still nothing new comes up, and what is leased stays.
            let leases = inner.leases.hold();
            let live = self.live(keep);
            let mut unneeded = Vec::new();
            for (dir, live) in [
                (inner.home.blobs(), &live.blobs),
                (inner.home.layers(), &live.layers),
                (inner.home.roots(), &live.roots),
            ] {
                for (path, digest) in entries(&dir)? {
                    let needed =
                        digest.is_some_and(|d| live.contains(&d) || leases.contains_key(&d));
                    if !needed {
                        unneeded.push(path);
                    }
                }
            }
            // A name goes at once; the bytes take longer, and go without the lock.
            for (number, path) in unneeded.iter().enumerate() {
                let target = trash.path().join(number.to_string());
                fs::rename(path, &target).map_err(StoreError::of("remove", path))?;
            }
            unneeded.len()
        };
        let freed = (0..unneeded).map(|n| size(&trash.path().join(n.to_string()))).sum();
        let path = trash.path().to_owned();
        trash.close().map_err(StoreError::of("remove", &path))?;
        Ok(freed)
    }

    fn live(&self, keep: &BTreeSet<Digest>) -> Live {
        let Inner { home, .. } = &*self.inner;
        let mut live = Live::default();
        for (id, record) in self.index().records() {
            live.blobs.insert(*id);
            live.blobs.extend(&record.documents);
            live.blobs.extend(record.layers.iter().map(|layer| layer.blob));
            let diff_ids: Vec<_> = record.layers.iter().map(|layer| layer.diff_id).collect();
            live.roots.insert(root::id(&diff_ids));
            live.layers.extend(diff_ids);
        }
        for id in keep {
            live.roots.insert(*id);
            live.layers.extend(root::layers(home, id));
        }
        live
    }
}

#[derive(Debug, Default)]
struct Live {
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
    roots: BTreeSet<Digest>,
}

/// What is in a directory, with the digest its name is.
fn entries(dir: &Path) -> Result<Vec<(PathBuf, Option<Digest>)>, StoreError> {
    let read = || {
        fs::read_dir(dir)?
            .map(|entry| {
                let entry = entry?;
                let digest = entry.file_name().to_str().and_then(|n| Digest::from_hex(n).ok());
                Ok((entry.path(), digest))
            })
            .collect::<std::io::Result<_>>()
    };
    read().map_err(StoreError::of("read", dir))
}

/// Bytes of a file or of the files of a directory.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}
