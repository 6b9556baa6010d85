//! Images from a registry.

use crate::{Engine, Result, error::Error};

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// `os/arch[/variant]`; `None`: the engine's default.
    pub platform: Option<String>,
    /// `None`: those of Docker's client configuration, if it has some for this registry.
    pub credentials: Option<Credentials>,
}

/// Who we are to a registry.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    Basic { username: String, password: String },
    IdentityToken(String),
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What a pull is doing, in the terms of Docker's progress messages.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PullProgress {
    /// `Pulling from library/busybox`, once, with the tag or digest.
    Began { repository: String, tag: String },
    /// `Pulling fs layer`. `layer` is the first 12 digits of the blob's digest.
    Layer { layer: String },
    /// `Already exists`.
    Exists { layer: String },
    /// `Downloading`, bytes.
    Downloading {
        layer: String,
        current: u64,
        total: u64,
    },
    /// `Download complete`: fetched and its digest is right.
    Downloaded { layer: String },
    /// `Extracting`, bytes of the compressed layer.
    Extracting {
        layer: String,
        current: u64,
        total: u64,
    },
    /// `Pull complete`.
    Complete { layer: String },
    /// `Retrying in n seconds`, why.
    Retrying {
        layer: String,
        seconds: u64,
        reason: String,
    },
}

/// What a pull brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pulled {
    /// Full reference, for example `docker.io/library/busybox:latest`.
    pub reference: String,
    /// As Docker prints it, for example `busybox:latest`.
    pub familiar: String,
    /// Digest of the manifest or index that the reference named, `sha256:<hex>`.
    pub digest: String,
    /// Image id, `sha256:<hex>`.
    pub id: String,
    /// False: `Image is up to date`.
    pub newer: bool,
}

impl Engine {
    /// Pulls an image and makes it ready to run. `progress` is called from other tasks; it must
    /// not block. Pulls of one reference at a time share the work.
    ///
    /// # Errors
    /// The reference makes no sense; the registry has no such image, wants other credentials or
    /// fails; what it sends is not what its digest says or no image.
    pub async fn pull(
        &self,
        reference: &str,
        options: PullOptions,
        progress: impl Fn(PullProgress) + Send + Sync + 'static,
    ) -> Result<Pulled> {
        let _ = (reference, options, progress);
        Err(Error::not_yet("pull"))
    }
}
