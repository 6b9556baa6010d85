//! `images.json`: which images there are and what they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Arc;

use hull_registry::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Image, ImageConfig, OpenError, StoreError};

/// The images of a store, in memory as on disk.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    file: File,
    configs: BTreeMap<Digest, Arc<ImageConfig>>,
}

/// One image.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Record {
    /// The manifest it came by last.
    #[serde(default)]
    pub(crate) manifest: Option<Digest>,
    /// Manifests and indexes it came by.
    #[serde(default)]
    pub(crate) documents: BTreeSet<Digest>,
    /// The image that it was made on here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Digest>,
    /// Its layers, lowest first.
    pub(crate) layers: Vec<LayerRecord>,
}

/// One layer of an image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    /// The blob it came as.
    pub(crate) blob: Digest,
    /// Sum of the sizes of its files in bytes.
    pub(crate) size: u64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct File {
    version: u32,
    images: BTreeMap<Digest, Record>,
    /// Canonical references.
    references: BTreeMap<String, Digest>,
}

impl Index {
    /// Reads `images.json`; images without a sound configuration are left out.
    pub(crate) fn load(home: &Home) -> Result<Self, OpenError> {
        let path = home.images();
        let mut file = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| OpenError::Images { path, source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::default(),
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        if file.version > VERSION {
            let path = home.images();
            return Err(OpenError::Version { path, version: file.version });
        }
        file.version = VERSION;
        let mut configs = BTreeMap::new();
        file.images.retain(|id, _| match config(home, id) {
            Some(config) => configs.insert(*id, Arc::new(config)).is_none(),
            None => {
                tracing::warn!(image = %id, "image has no sound configuration, dropped");
                false
            }
        });
        let images = &file.images;
        file.references
            .retain(|name, id| images.contains_key(id) && Reference::parse(name).is_ok());
        Ok(Self { file, configs })
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), StoreError> {
        let path = home.images();
        let text = serde_json::to_vec_pretty(&self.file)
            .map_err(|error| StoreError::of("write", &path)(error.into()))?;
        home.replace(&path, &text)
    }

    /// Adds an image, or what is new about it.
    pub(crate) fn insert(&mut self, id: Digest, record: Record, config: Arc<ImageConfig>) {
        let kept = self.file.images.entry(id).or_default();
        kept.documents.extend(record.documents);
        kept.manifest = record.manifest.or(kept.manifest);
        kept.parent = record.parent.or(kept.parent);
        kept.layers = record.layers;
        self.configs.insert(id, config);
    }

    /// Gives an image a name; returns which image had it before.
    pub(crate) fn name(&mut self, reference: &Reference, id: Digest) -> Option<Digest> {
        self.file.references.insert(reference.to_string(), id)
    }

    /// Takes a name away; whether it was there.
    pub(crate) fn unname(&mut self, reference: &Reference) -> bool {
        self.file.references.remove(&reference.to_string()).is_some()
    }

    /// Removes an image and all its names.
    pub(crate) fn remove(&mut self, id: &Digest) {
        self.file.images.remove(id);
        self.file.references.retain(|_, named| named != id);
        self.configs.remove(id);
    }

    /// The image that has exactly this name.
    pub(crate) fn named(&self, reference: &Reference) -> Option<Digest> {
        self.file.references.get(&reference.to_string()).copied()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Digest> {
        self.file.images.keys().copied()
    }

    pub(crate) fn record(&self, id: &Digest) -> Option<&Record> {
        self.file.images.get(id)
    }

    /// The blob that some image has for a layer.
    pub(crate) fn blob(&self, diff_id: &Digest) -> Option<Digest> {
        let mut layers = self.file.images.values().flat_map(|record| &record.layers);
        layers.find(|layer| layer.diff_id == *diff_id).map(|layer| layer.blob)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (&Digest, &Record)> {
        self.file.images.iter()
    }

    /// Whether an image was made here on another one.
    pub(crate) fn has_children(&self, id: &Digest) -> bool {
        self.file.images.values().any(|record| record.parent == Some(*id))
    }

    /// Names of an image, in order.
    pub(crate) fn references(&self, id: &Digest) -> Vec<Reference> {
        let names = self.file.references.iter().filter(|(_, named)| *named == id);
        // Checked when it was read, and when it was added.
        names.filter_map(|(name, _)| Reference::parse(name).ok()).collect()
    }

    pub(crate) fn image(&self, id: &Digest) -> Option<Image> {
        let record = self.file.images.get(id)?;
        let config = Arc::clone(self.configs.get(id)?);
        Some(Image {
            id: *id,
            manifest: record.manifest,
            references: self.references(id),
            platform: config.platform(),
            created: config.created.clone().unwrap_or_default(),
            size: record.layers.iter().map(|layer| layer.size).sum(),
            diff_ids: record.layers.iter().map(|layer| layer.diff_id).collect(),
            config,
        })
    }
}

fn config(home: &Home, id: &Digest) -> Option<ImageConfig> {
    let bytes = fs::read(home.blob(id)).ok()?;
    if Digest::of(&bytes) != *id {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

const VERSION: u32 = 1;
