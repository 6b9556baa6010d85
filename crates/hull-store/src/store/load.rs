//! Loading archives: OCI layouts, and what `docker save` writes.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use hull_registry::{
    Content, Descriptor, Digest, Document, Manifest, MediaType, Platform, Reference,
};
use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::pull::check_config;
use super::{Loaded, Store, blocking, root};
use crate::archive::Archive;
use crate::index::Record;
use crate::ingest::add_file;
use crate::{LoadError, PullError};

impl Store {
    /// Loads the images of an archive: a tar of an OCI layout or what `docker save` writes, plain
    /// or compressed.
    ///
    /// # Errors
    /// When the archive is not one, lacks something, or something in it is not what its digest
    /// says. Images before that one are loaded.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Vec<Loaded>, LoadError> {
        let reader = BufReader::with_capacity(BUFFER, SyncIoBridge::new(archive));
        let home = self.inner.home.clone();
        let (archive, found) = blocking(move || {
            let archive = Archive::read(&home, reader)?;
            let found = find_images(&archive)?;
            Ok::<_, LoadError>((Arc::new(archive), found))
        })
        .await?;
        let mut loaded = Vec::new();
        for image in found {
            loaded.push(self.load_one(&archive, image).await?);
        }
        Ok(loaded)
    }

    async fn load_one(&self, archive: &Arc<Archive>, found: Found) -> Result<Loaded, LoadError> {
        let id = Digest::of(&found.config);
        let config = check_config(&id, &found.config, found.layers.len())?;
        let diff_ids = config.rootfs.diff_ids.clone();
        let documents: Vec<_> = found.documents.iter().map(|(digest, _)| *digest).collect();
        let claimed = found.layers.iter().filter_map(|layer| layer.digest);
        let all =
            documents.iter().copied().chain(root::needs(&diff_ids)).chain(claimed).chain([id]);
        let _lease = self.inner.leases.take(all);
        let mut blobs = Vec::new();
        for (layer, diff_id) in found.layers.into_iter().zip(diff_ids.iter().copied()) {
            let _making = self.inner.making.lock(diff_id).await;
            let (home, limits) = (self.inner.home.clone(), self.inner.limits.layer);
            // Alive until its files are taken.
            let archive = Arc::clone(archive);
            let blob = blocking(move || {
                let blob = add_file(&home, &layer.path, layer.digest, diff_id, &limits);
                drop(archive);
                blob
            })
            .await?;
            blobs.push((blob, diff_id));
        }
        // An image whose layers do not fit together gets no name.
        self.disk_of(&diff_ids).await.map_err(PullError::Root)?;
        let store = self.clone();
        let (references, manifest) = (found.names, found.manifest);
        blocking(move || {
            store.add_blob(&id, &found.config).map_err(PullError::Store)?;
            for (digest, bytes) in &found.documents {
                store.add_blob(digest, bytes).map_err(PullError::Store)?;
            }
            let layers = store.layer_records(blobs.into_iter())?;
            let documents = documents.into_iter().collect();
            let record = Record { manifest, documents, layers, parent: None };
            let (image, _) = store.add(id, record, Arc::new(config), &references)?;
            Ok(Loaded { image, references })
        })
        .await
    }
}

/// An image in an archive.
#[derive(Debug)]
struct Found {
    config: Vec<u8>,
    layers: Vec<FoundLayer>,
    names: Vec<Reference>,
    manifest: Option<Digest>,
    documents: Vec<(Digest, Vec<u8>)>,
}

#[derive(Debug)]
struct FoundLayer {
    path: PathBuf,
    /// What its digest is said to be; `docker save` does not say.
    digest: Option<Digest>,
}

/// One entry of Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

fn find_images(archive: &Archive) -> Result<Vec<Found>, LoadError> {
    // Docker's newer archives have both; it takes this one.
    if let Some(bytes) = archive.small("manifest.json")? {
        let saved: Vec<Saved> = serde_json::from_slice(&bytes)
            .map_err(|error| LoadError::Invalid(format!("`manifest.json`: {error}")))?;
        return saved.iter().map(|saved| find_saved(archive, saved)).collect();
    }
    let Some(bytes) = archive.small("index.json")? else {
        let reason = "it has neither `manifest.json` nor `index.json`";
        return Err(LoadError::Invalid(reason.to_owned()));
    };
    let Document::Index(index) = parse("index.json", &MediaType::default(), &bytes)? else {
        return Err(LoadError::Invalid("`index.json` is no index".to_owned()));
    };
    let mut found = Vec::new();
    let several = index.manifests.len() > 1;
    for entry in &index.manifests {
        // Of a list for many platforms only what runs here; a single image is taken as it is.
        let suits = |platform: &Platform| Platform::host().suits(platform).is_some();
        if several && entry.platform.as_ref().is_some_and(|platform| !suits(platform)) {
            continue;
        }
        let mut image = find_entry(archive, entry, Vec::new())?;
        image.names = names(entry)?;
        found.push(image);
    }
    if found.is_empty() {
        return Err(LoadError::Invalid(format!("it has no image for {}", Platform::host())));
    }
    Ok(found)
}

fn find_saved(archive: &Archive, saved: &Saved) -> Result<Found, LoadError> {
    let config = archive.small(&saved.config)?.ok_or_else(|| missing(&saved.config))?;
    let layers = saved.layers.iter().flatten().map(|name| {
        let path = archive.path(name).ok_or_else(|| missing(name))?;
        Ok(FoundLayer { path, digest: None })
    });
    let names = saved.repo_tags.iter().flatten().map(|name| {
        let invalid = |error| LoadError::Invalid(format!("invalid tag `{name}`: {error}"));
        Reference::parse(name).map(Reference::with_default_tag).map_err(invalid)
    });
    Ok(Found {
        config,
        layers: layers.collect::<Result<_, LoadError>>()?,
        names: names.collect::<Result<_, _>>()?,
        manifest: None,
        documents: Vec::new(),
    })
}

/// Follows an entry of an index to an image.
fn find_entry(
    archive: &Archive,
    entry: &Descriptor,
    mut documents: Vec<(Digest, Vec<u8>)>,
) -> Result<Found, LoadError> {
    if documents.len() > MAX_DEPTH {
        return Err(LoadError::Invalid("its indexes are nested too deeply".to_owned()));
    }
    let name = blob_name(&entry.digest);
    let bytes = verified(archive, &entry.digest)?;
    let document = parse(&name, &entry.media_type, &bytes)?;
    documents.push((entry.digest, bytes));
    match document {
        Document::Index(index) => {
            let host = Platform::host();
            let best = index.matching(&host).first().copied().cloned();
            let best =
                best.ok_or_else(|| LoadError::Invalid(format!("it has no image for {host}")))?;
            find_entry(archive, &best, documents)
        }
        Document::Manifest(Manifest { config, layers }) => {
            let layers = layers.iter().map(|layer| {
                if layer.media_type.content() == Content::ForeignLayer && !layer.urls.is_empty() {
                    let reason = format!("layer {} is a foreign layer", layer.digest);
                    return Err(LoadError::Invalid(reason));
                }
                let name = blob_name(&layer.digest);
                let path = archive.path(&name).ok_or_else(|| missing(&name))?;
                Ok(FoundLayer { path, digest: Some(layer.digest) })
            });
            Ok(Found {
                config: verified(archive, &config.digest)?,
                layers: layers.collect::<Result<_, LoadError>>()?,
                names: Vec::new(),
                manifest: Some(entry.digest),
                documents,
            })
        }
    }
}

/// The names annotations give an image: whole references, not mere tags.
fn names(entry: &Descriptor) -> Result<Vec<Reference>, LoadError> {
    let annotation = |key: &str| entry.annotations.get(key).filter(|name| !name.is_empty());
    let name = annotation("io.containerd.image.name").or_else(|| {
        annotation("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']))
    });
    let Some(name) = name else {
        return Ok(Vec::new());
    };
    let reference = Reference::parse(name)
        .map_err(|error| LoadError::Invalid(format!("invalid tag `{name}`: {error}")))?;
    Ok(vec![reference.with_default_tag()])
}

fn parse(name: &str, media_type: &MediaType, bytes: &[u8]) -> Result<Document, LoadError> {
    Document::parse(media_type, bytes)
        .map_err(|error| LoadError::Invalid(format!("`{name}`: {error}")))
}

fn verified(archive: &Archive, digest: &Digest) -> Result<Vec<u8>, LoadError> {
    let name = blob_name(digest);
    let bytes = archive.small(&name)?.ok_or_else(|| missing(&name))?;
    if Digest::of(&bytes) != *digest {
        return Err(LoadError::Invalid(format!("`{name}` is not what its digest says")));
    }
    Ok(bytes)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn missing(name: &str) -> LoadError {
    LoadError::Invalid(format!("`{name}` is missing"))
}

const MAX_DEPTH: usize = 4;
const BUFFER: usize = 128 << 10;
