//! Root disks: `roots/<id>/{meta.erofs,disk.vmdk,root.json}`.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use hull_erofs::{DISK_SIZE, vmdk};
use hull_layer::Tree;
use hull_registry::Digest;
use serde::{Deserialize, Serialize};

use super::{RootDisk, Store, blocking};
use crate::home::{Home, publish_dir};
use crate::layer::Layer;
use crate::{Image, RootError, StoreError};

impl Store {
    /// The root disk of an image, built on first use.
    ///
    /// The disk stays while the image is there; containers keep it longer by naming it to
    /// [`Store::gc`] and [`Store::remove`].
    pub async fn root_disk(&self, image: &Image) -> Result<RootDisk, RootError> {
        self.disk_of(&image.diff_ids).await
    }

    /// The root disk of a chain of layers, built on first use.
    pub(super) async fn disk_of(&self, diff_ids: &[Digest]) -> Result<RootDisk, RootError> {
        let id = id(diff_ids);
        let lease = self.inner.leases.take(needs(diff_ids));
        let making = self.inner.making.lock(id).await;
        let (store, diff_ids) = (self.clone(), diff_ids.to_vec());
        blocking(move || {
            let _held = (lease, making);
            store.inner.home.disk(id, &diff_ids)
        })
        .await
    }
}

/// What identifies the root disk of a chain of layers.
pub(super) fn id(diff_ids: &[Digest]) -> Digest {
    let mut text = format!(
        "hull root disk: layers {} erofs {} store {FORMAT}\n",
        hull_layer::FORMAT_VERSION,
        hull_erofs::FORMAT_VERSION,
    );
    for diff_id in diff_ids {
        text.push_str(&diff_id.to_string());
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

/// What to take a lease on for the root disk of a chain of layers: the layers and the disk.
pub(super) fn needs(diff_ids: &[Digest]) -> impl Iterator<Item = Digest> {
    diff_ids.iter().copied().chain([id(diff_ids)])
}

/// The layers a root disk consists of.
pub(super) fn layers(home: &Home, id: &Digest) -> Vec<Digest> {
    read_info(&home.root_disk(id)).map(|info| info.diff_ids).unwrap_or_default()
}

/// What `root.json` says.
#[derive(Debug, Deserialize, Serialize)]
struct Info {
    diff_ids: Vec<Digest>,
    meta_len: u64,
    /// Digest of the first block of `meta.erofs`: the superblock and its checksum.
    start: Digest,
}

impl Home {
    fn disk(&self, id: Digest, diff_ids: &[Digest]) -> Result<RootDisk, RootError> {
        let dir = self.root_disk(&id);
        let layers = diff_ids
            .iter()
            .map(|diff_id| {
                Layer::open(self, diff_id).ok_or(RootError::Missing { diff_id: *diff_id })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if !is_whole(&dir, &layers) {
            if dir.exists() {
                let old = self.temp_dir()?;
                fs::rename(&dir, old.path().join("old"))
                    .map_err(StoreError::of("replace", &dir))?;
            }
            self.build(&dir, &layers)?;
        }
        Ok(RootDisk { id, vmdk: dir.join(VMDK), size: DISK_SIZE })
    }

    fn build(&self, dir: &Path, layers: &[Layer]) -> Result<(), RootError> {
        let failed = |error| RootError::Build(error);
        // A guest that had to make these itself would do so at every first start.
        let mut trees = vec![Arc::new(Tree::skeleton())];
        for layer in layers {
            trees.push(Arc::new(layer.tree()?));
        }
        let merged = hull_layer::merge(&trees).map_err(|error| failed(Box::new(error)))?;
        let lengths: Vec<_> =
            [0].into_iter().chain(layers.iter().map(|layer| layer.info.data_len)).collect();

        let temp = self.temp_dir()?;
        let path = temp.path().join(META);
        let file = File::create_new(&path).map_err(StoreError::of("create", &path))?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let layout = hull_erofs::write(&merged, &lengths, &mut writer)
            .map_err(|error| failed(Box::new(error)))?;
        writer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(StoreError::of("write", &path))?;

        let descriptor = describe(layout.meta_len, layers).map_err(|e| failed(Box::new(e)))?;
        write(&temp.path().join(VMDK), descriptor.as_bytes())?;

        let start = first_block(&path).map_err(StoreError::of("read", &path))?;
        let info = Info {
            diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
            meta_len: layout.meta_len,
            start,
        };
        let text = serde_json::to_vec(&info).map_err(|error| failed(Box::new(error)))?;
        write(&temp.path().join(INFO), &text)?;
        Ok(publish_dir(temp, dir)?)
    }
}

/// The descriptor of a disk: metadata, then the data of the layers.
fn describe(meta_len: u64, layers: &[Layer]) -> Result<String, vmdk::VmdkError> {
    let path = |layer: &Layer| format!("../../layers/{}/data", layer.diff_id.hex());
    let files: Vec<_> = layers
        .iter()
        .filter(|layer| layer.info.data_len > 0)
        .map(|layer| (path(layer), layer.info.data_len))
        .collect();
    let mut extents = vec![vmdk::Extent { path: META, len: meta_len }];
    extents.extend(files.iter().map(|(path, len)| vmdk::Extent { path, len: *len }));
    vmdk::descriptor(&extents, DISK_SIZE)
}

/// A quick look: length and superblock are what they were, and the descriptor is what it would be
/// if it were written now.
fn is_whole(dir: &Path, layers: &[Layer]) -> bool {
    let meta = dir.join(META);
    read_info(dir).is_some_and(|info| {
        fs::metadata(&meta).is_ok_and(|m| m.len() == info.meta_len)
            && first_block(&meta).is_ok_and(|start| start == info.start)
            && describe(info.meta_len, layers)
                .is_ok_and(|text| fs::read(dir.join(VMDK)).is_ok_and(|old| old == text.as_bytes()))
    })
}

fn read_info(dir: &Path) -> Option<Info> {
    serde_json::from_slice(&fs::read(dir.join(INFO)).ok()?).ok()
}

fn first_block(path: &Path) -> std::io::Result<Digest> {
    let mut block = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut block)?;
    Ok(Digest::of(&block))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(StoreError::of("write", path))
}

const META: &str = "meta.erofs";
const VMDK: &str = "disk.vmdk";
const INFO: &str = "root.json";
/// Version of what is in a root directory.
const FORMAT: u32 = 3;
