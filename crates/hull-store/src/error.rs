//! What fails in the store, by operation. Where Docker has words for it, they are Docker's.

use std::io;
use std::path::{Path, PathBuf};

use hull_registry::{Digest, Platform, ReferenceError};

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file or directory of the store cannot be made or read.
    #[error("cannot open image store: {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `images.json` is not what this version wrote.
    #[error("{} is damaged", path.display())]
    Images {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another process has the store.
    #[error("image store {} is in use by another process", path.display())]
    Locked {
        /// The root of the store.
        path: PathBuf,
    },
    /// A later version of Hull wrote `images.json`.
    #[error("{} has version {version}, which this version of Hull does not know", path.display())]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

/// Why an image was not found.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No image has this name or ID.
    #[error("No such image: {0}")]
    NotFound(String),
    /// What was given cannot be a name or an ID.
    #[error(transparent)]
    Reference(ReferenceError),
}

/// Why an image was not tagged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The target names a digest.
    #[error("refusing to create a tag with a digest reference")]
    Digest,
    /// The image is not there.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The list of images cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an image was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Something uses the image; the message is Docker's whole one.
    #[error("{0}")]
    Conflict(String),
    /// The image is not there.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The list of images cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The configuration is no image configuration.
    #[error("image config {digest} is not valid")]
    Config {
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The configuration is not what its digest says.
    #[error("image config verification failed for digest {digest}")]
    ConfigDigest {
        /// The digest asked for.
        digest: Digest,
    },
    /// The pull was given up on.
    #[error("the pull was interrupted")]
    Interrupted,
    /// A layer cannot be converted.
    #[error("failed to register layer {digest}")]
    Layer {
        /// The digest of its blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The uncompressed layer is not what the configuration promised.
    #[error("wrong diff id calculated on extraction: expected {expected}, got {found}")]
    DiffId {
        /// What the configuration says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Manifest and configuration disagree on the layers.
    #[error("layers from manifest don't match image configuration")]
    RootFsMismatch,
    /// The image is for another operating system.
    #[error("cannot run image of platform {found}: only linux images run here")]
    Platform {
        /// What the image is for.
        found: Platform,
    },
    /// The registry said no, or something went wrong on the way.
    #[error(transparent)]
    Registry(#[from] hull_registry::Error),
    /// The layers do not fit together.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Content cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an archive did not load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The archive cannot be read.
    #[error("cannot read the image archive")]
    Archive(#[source] io::Error),
    /// The archive has neither `manifest.json` nor `index.json`, or lacks what they name.
    #[error("invalid image archive: {0}")]
    Invalid(String),
    /// An image in it cannot be taken.
    #[error(transparent)]
    Image(#[from] PullError),
}

/// Why there is no root disk for an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// A layer is missing.
    #[error("layer {diff_id} of the image is missing or damaged; pull the image again")]
    Missing {
        /// Which.
        diff_id: Digest,
    },
    /// A layer is damaged.
    #[error("layer {diff_id} of the image is damaged; remove the image and pull it again")]
    Layer {
        /// Which.
        diff_id: Digest,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The metadata image cannot be written.
    #[error("cannot build the root disk of the image")]
    Build(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Files cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file of the store cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct StoreError {
    /// What was to be done, as `write`.
    pub action: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl StoreError {
    /// Makes the error of doing `action` to `path`.
    pub(crate) fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Io { path: error.path, source: error.source }
    }
}

/// Why images were not saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// There is no such image.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A layer of the image is not there any more, or damaged.
    #[error("cannot read layer {diff_id}")]
    Layer {
        /// Which.
        diff_id: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}
