//! Manifests and indexes, parsed with distrust.
//!
//! See the OCI image specification (`manifest.md`, `image-index.md`) and Docker's "Image Manifest
//! Version 2, Schema 2". Both formats of each are read alike.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform};

/// What a manifest refers to: a blob or another manifest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(default)]
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Other places of the content.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Platform of the image, in indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A media type, kept as it was written.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct MediaType(String);

impl MediaType {
    /// What sort of content this is.
    pub fn content(&self) -> Content {
        match self.0.as_str() {
            OCI_INDEX | DOCKER_LIST => Content::Index,
            OCI_MANIFEST | DOCKER_MANIFEST => Content::Manifest,
            OCI_CONFIG | DOCKER_CONFIG => Content::Config,
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Content::Schema1,
            other if LAYERS.contains(&other) => Content::Layer,
            other if FOREIGN_LAYERS.contains(&other) => Content::ForeignLayer,
            _ => Content::Unknown,
        }
    }
}

impl From<&str> for MediaType {
    /// Takes a `Content-Type`, without its parameters.
    fn from(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default();
        Self(essence.trim().to_ascii_lowercase())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.escape_debug().to_string())
    }
}

/// Sorts of content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// The configuration of an image.
    Config,
    /// A layer that registries may not have.
    ForeignLayer,
    /// A list of manifests.
    Index,
    /// A layer.
    Layer,
    /// The manifest of one image.
    Manifest,
    /// A manifest of before 2016.
    Schema1,
    /// Anything else.
    Unknown,
}

/// A list of manifests, one per platform (and attestations about them).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Index {
    /// The entries that are manifests or indexes.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// The entries to try for `wanted`, best first.
    ///
    /// Entries without a platform come last: they may be indexes themselves. Attestations
    /// (`unknown/unknown`) never match.
    pub fn matching(&self, wanted: &Platform) -> Vec<&Descriptor> {
        let rank = |entry: &Descriptor| match &entry.platform {
            Some(platform) if platform.os.is_empty() && platform.architecture.is_empty() => {
                Some(usize::MAX)
            }
            Some(platform) => wanted.suits(platform),
            None => Some(usize::MAX),
        };
        let mut found: Vec<_> =
            self.manifests.iter().filter_map(|m| rank(m).map(|rank| (rank, m))).collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// The manifest of one image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An index or a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Document {
    /// A list of manifests.
    Index(Index),
    /// The manifest of one image.
    Manifest(Manifest),
}

impl Document {
    /// Parses what a registry or an archive gave as `content_type`, which may be empty.
    pub fn parse(content_type: &MediaType, body: &[u8]) -> Result<Self, ManifestError> {
        if body.len() > MAX_MANIFEST {
            return Err(ManifestError::Size);
        }
        let raw: Raw = match serde_json::from_slice(body) {
            Ok(raw) => raw,
            Err(error) => {
                return Err(match content_type.content() {
                    Content::Schema1 => ManifestError::Schema1,
                    Content::Index | Content::Manifest => ManifestError::Json(error.to_string()),
                    _ if is_vague(content_type) => ManifestError::Json(error.to_string()),
                    _ => ManifestError::MediaType(content_type.clone()),
                });
            }
        };
        let declared = match &raw.media_type {
            Some(own) if !own.0.is_empty() => own,
            _ => content_type,
        };
        let kind = match (content_type.content(), declared.content()) {
            (Content::Schema1, _) | (_, Content::Schema1) => return Err(ManifestError::Schema1),
            _ if raw.schema_version == Some(1) => return Err(ManifestError::Schema1),
            (Content::Unknown, kind) if is_vague(content_type) => kind,
            (sent, kind) if sent != kind => {
                return Err(ManifestError::Mismatch {
                    sent: content_type.clone(),
                    declared: declared.clone(),
                });
            }
            (kind, _) => kind,
        };
        let kind = match (kind, &raw.manifests, &raw.config) {
            // One document must not be read in two ways.
            (_, Some(_), Some(_)) => return Err(ManifestError::Ambiguous),
            (Content::Unknown, Some(_), None) if is_vague(declared) => Content::Index,
            (Content::Unknown, None, Some(_)) if is_vague(declared) => Content::Manifest,
            (kind, _, _) => kind,
        };
        match kind {
            Content::Index => {
                if raw.layers.is_some() {
                    return Err(ManifestError::Ambiguous);
                }
                let manifests = raw.manifests.ok_or(ManifestError::Field("manifests"))?;
                if manifests.len() > MAX_ENTRIES {
                    return Err(ManifestError::Entries(manifests.len()));
                }
                Ok(Self::Index(Index { manifests }))
            }
            Content::Manifest => {
                let config = raw.config.ok_or(ManifestError::Field("config"))?;
                let layers = raw.layers.ok_or(ManifestError::Field("layers"))?;
                Manifest { config, layers }.checked().map(Self::Manifest)
            }
            _ => Err(ManifestError::MediaType(declared.clone())),
        }
    }
}

impl Manifest {
    fn checked(self) -> Result<Self, ManifestError> {
        if self.layers.len() > MAX_LAYERS {
            return Err(ManifestError::Layers(self.layers.len()));
        }
        let config = self.config.media_type.content();
        if config != Content::Config && !is_vague(&self.config.media_type) {
            return Err(ManifestError::ConfigType(self.config.media_type));
        }
        if self.config.size > MAX_CONFIG {
            return Err(ManifestError::ConfigSize(self.config.size));
        }
        for layer in &self.layers {
            match layer.media_type.content() {
                Content::Layer | Content::ForeignLayer => {}
                _ => return Err(ManifestError::LayerType(layer.media_type.clone())),
            }
        }
        Ok(self)
    }
}

/// Why a manifest is of no use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is an index and a manifest at once.
    #[error("it is both a manifest and a manifest list")]
    Ambiguous,
    /// The configuration is too large.
    #[error("image config of {0} bytes is larger than {MAX_CONFIG} bytes")]
    ConfigSize(u64),
    /// The configuration is no image configuration: an artifact of another kind.
    #[error("unsupported media type {0} of the image config: not a container image")]
    ConfigType(MediaType),
    /// The list is too long.
    #[error("manifest list has {0} entries, at most {MAX_ENTRIES} are supported")]
    Entries(usize),
    /// It is longer or shorter than its index says.
    #[error("the manifest list says {size} bytes, got {found}")]
    EntrySize {
        /// By the index.
        size: u64,
        /// By the registry.
        found: u64,
    },
    /// A field is missing.
    #[error("`{0}` is missing")]
    Field(&'static str),
    /// It is not JSON of the right shape.
    #[error("{0}")]
    Json(String),
    /// A layer is not a layer.
    #[error("unsupported layer media type {0}")]
    LayerType(MediaType),
    /// There are too many layers.
    #[error("max depth exceeded: {0} layers, at most {MAX_LAYERS} are supported")]
    Layers(usize),
    /// It is neither an index nor a manifest.
    #[error("unsupported manifest media type {0}")]
    MediaType(MediaType),
    /// It was announced as something else.
    #[error("media type in manifest should be {sent}, not {declared}")]
    Mismatch {
        /// By the `Content-Type` header or the index.
        sent: MediaType,
        /// By the document itself.
        declared: MediaType,
    },
    /// A manifest of before 2016.
    #[error(
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 are not supported; \
         ask the author of the image to push it in the OCI format or manifest version 2, schema 2"
    )]
    Schema1,
    /// It is too large.
    #[error("manifest is larger than {MAX_MANIFEST} bytes")]
    Size,
}

/// Whether a media type says nothing, so that the document must.
fn is_vague(media_type: &MediaType) -> bool {
    matches!(
        media_type.0.as_str(),
        "" | "application/json" | "application/octet-stream" | "text/plain" | "text/html"
    )
}

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<MediaType>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// What is asked for, by preference.
pub(crate) const ACCEPT: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// The bound on manifests that registries have too: the specification asks for at least 4 MiB.
pub(crate) const MAX_MANIFEST: usize = 4 << 20;
const MAX_CONFIG: u64 = 8 << 20;
/// What overlayfs can stack, hence what Docker takes.
const MAX_LAYERS: usize = 127;
const MAX_ENTRIES: usize = 1000;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

const LAYERS: &[&str] = &[
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

const FOREIGN_LAYERS: &[&str] = &[
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
];

#[cfg(test)]
mod tests;
