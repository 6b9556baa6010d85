//! The store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hull_registry::{Credentials, Digest, Platform, Reference};
use tokio::io::AsyncRead;

use crate::{
    Image, LoadError, LookupError, OpenError, Progress, PullError, RemoveError, RootError,
    StoreError, TagError,
};

/// The images of one Hull home. Clones share one store.
#[derive(Clone, Debug)]
pub struct Store {}

/// How a store works.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How registries are talked to.
    pub registry: hull_registry::Settings,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what the store takes and does at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Layers of one pull that download at once. Docker's default is 3.
    pub parallel_layers: usize,
    /// Bytes one layer may have when uncompressed.
    pub layer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parallel_layers: 3,
            layer_bytes: 256 << 30,
        }
    }
}

/// What to pull and as whom.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The platform asked for; the host's when `None`.
    pub platform: Option<Platform>,
    /// Who asks; anonymous when `None`.
    pub credentials: Option<Credentials>,
}

/// What a pull gave.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The digest the reference had at the registry (of the index, if there is one).
    pub digest: Digest,
    /// Whether the name did not point to this image before.
    pub newer: bool,
}

/// One image of an archive.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names it got; none when the archive names none.
    pub references: Vec<Reference>,
}

/// How to remove an image.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Remove although stopped containers use it or it has several names.
    pub force: bool,
}

/// A container that uses an image.
#[derive(Clone, Debug)]
pub struct ImageUser {
    /// Its full ID.
    pub container: String,
    /// The image it was made from.
    pub image: Digest,
    /// The root disk it has.
    pub root: Option<Digest>,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// One record of a removal, in Docker's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removed {
    /// Content went: an image ID, or the chain ID of a layer.
    Deleted(Digest),
    /// A name went, as the user writes it.
    Untagged(String),
}

/// The read-only root disk of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RootDisk {
    /// Identifies the disk: digest over its chain of layers and the format. Containers record it
    /// and pass it to [`Store::gc`] while they need the disk.
    pub id: Digest,
    /// The VMDK descriptor to give to QEMU (`format=vmdk`, read-only).
    pub vmdk: PathBuf,
    /// Size of the disk in bytes, the same for every image.
    pub size: u64,
}

impl Store {
    /// Opens the store in `root`, makes what is missing, and removes what a killed process left.
    ///
    /// # Errors
    /// When `root` is not writable, another process has it, or `images.json` is damaged.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, OpenError> {
        let _ = (root, settings);
        unimplemented!()
    }

    /// Pulls an image. Progress is in the shape of Docker's messages.
    ///
    /// Dropping the future ends the pull and leaves nothing behind.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        let _ = (reference, options, progress);
        unimplemented!()
    }

    /// Loads the images of an archive: a tar of an OCI layout or what `docker save` writes, plain
    /// or compressed.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Vec<Loaded>, LoadError> {
        let _ = archive;
        unimplemented!()
    }

    /// The image that `name` means: a reference, an ID, or the unambiguous start of an ID.
    pub fn image(&self, name: &str) -> Result<Image, LookupError> {
        let _ = name;
        unimplemented!()
    }

    /// All images, newest first.
    pub fn images(&self) -> Vec<Image> {
        unimplemented!()
    }

    /// Gives the image `source` the name `target` (`:latest` when it has no tag).
    pub fn tag(&self, source: &str, target: &Reference) -> Result<(), TagError> {
        let _ = (source, target);
        unimplemented!()
    }

    /// Removes a name, or the image itself when it was the last one, as `docker rmi` does.
    ///
    /// `users` are all containers there are; what their root disks need stays.
    pub async fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: &[ImageUser],
    ) -> Result<Vec<Removed>, RemoveError> {
        let _ = (name, options, users);
        unimplemented!()
    }

    /// The root disk of an image, built on first use.
    pub async fn root_disk(&self, image: &Image) -> Result<RootDisk, RootError> {
        let _ = image;
        unimplemented!()
    }

    /// Removes all content that no image, no pull under way and none of `keep` refers to; returns
    /// the bytes freed.
    pub async fn gc(&self, keep: &BTreeSet<Digest>) -> Result<u64, StoreError> {
        let _ = keep;
        unimplemented!()
    }

    /// The bytes of a blob of an image, as its configuration or manifest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let _ = digest;
        unimplemented!()
    }
}
