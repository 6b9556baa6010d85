//! An image as the store knows it.

use std::sync::Arc;

use hull_registry::{Digest, Platform, Reference};

use crate::ImageConfig;

/// An image in the store.
#[derive(Clone, Debug)]
pub struct Image {
    /// The image ID: the digest of the configuration blob.
    pub id: Digest,
    /// The manifest it came by, when it came by one.
    pub manifest: Option<Digest>,
    /// Its names: with a tag (`RepoTags`) or a digest (`RepoDigests`), sorted.
    pub references: Vec<Reference>,
    /// What it was made for.
    pub platform: Platform,
    /// When it was made, RFC 3339; empty when the image does not say.
    pub created: String,
    /// Sum of the sizes of the files of its layers in bytes, as `docker images` shows.
    pub size: u64,
    /// Its layers by the digests of their uncompressed tars, lowest first.
    pub diff_ids: Vec<Digest>,
    /// Its configuration.
    pub config: Arc<ImageConfig>,
}

impl Image {
    /// Names with a tag, as users write them: `busybox:latest`.
    pub fn repo_tags(&self) -> Vec<String> {
        let tagged = self.references.iter().filter(|r| r.digest().is_none());
        tagged.map(Reference::familiar).collect()
    }

    /// Names with a digest, as users write them: `busybox@sha256:...`.
    pub fn repo_digests(&self) -> Vec<String> {
        let digested = self.references.iter().filter(|r| r.digest().is_some());
        digested.map(Reference::familiar).collect()
    }

    /// Whether the image has no tag: what `docker images -f dangling=true` lists.
    pub fn is_dangling(&self) -> bool {
        self.references.iter().all(|r| r.digest().is_some())
    }
}
