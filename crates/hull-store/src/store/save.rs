//! Images as an archive: what `docker save` writes, which is an OCI layout as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write};

use hull_layer::{Compression, decompress};
use hull_registry::{Digest, Hasher, Reference};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{Store, root};
use crate::index::LayerRecord;
use crate::leases::Lease;
use crate::{Image, SaveError};

/// Images that can be written as an archive; what they consist of stays until then.
#[derive(Debug)]
pub struct Saving {
    store: Store,
    images: Vec<(Image, Vec<LayerRecord>)>,
    _lease: Lease,
}

impl Store {
    /// Gets images ready to be written as an archive. An image that is named by its tag is saved
    /// under that name, by its repository under all names in it, and by its ID under none.
    ///
    /// # Errors
    /// There is no such image.
    pub fn save(&self, names: &[String]) -> Result<Saving, SaveError> {
        let mut images: Vec<(Image, Vec<LayerRecord>)> = Vec::new();
        for name in names {
            for mut image in self.named(name)? {
                if let Some((known, _)) = images.iter_mut().find(|(known, _)| known.id == image.id)
                {
                    // As they were asked for; one name may be in two answers.
                    image.references.retain(|new| !known.references.contains(new));
                    known.references.append(&mut image.references);
                    continue;
                }
                let layers = self.index().record(&image.id).map(|record| record.layers.clone());
                images.push((image, layers.unwrap_or_default()));
            }
        }
        let needs = images.iter().flat_map(|(image, layers)| {
            let blobs = layers.iter().map(|layer| layer.blob);
            blobs.chain(root::needs(&image.diff_ids)).chain([image.id])
        });
        let lease = self.inner.leases.take(needs.collect::<Vec<_>>());
        Ok(Saving { store: self.clone(), images, _lease: lease })
    }

    /// The images that `name` means, with the names that they are saved under.
    fn named(&self, name: &str) -> Result<Vec<Image>, SaveError> {
        if let Ok(repository) = Reference::parse(name)
            && repository.tag().is_none()
            && repository.digest().is_none()
        {
            let same = |reference: &Reference| {
                reference.name() == repository.name() && reference.digest().is_none()
            };
            let mut images = self.images();
            images.retain(|image| image.references.iter().any(same));
            for image in &mut images {
                image.references.retain(same);
            }
            if !images.is_empty() {
                return Ok(images);
            }
        }
        let mut image = self.image(name)?;
        let wanted = Reference::parse(name).ok().map(Reference::with_default_tag);
        image
            .references
            .retain(|reference| reference.digest().is_none() && Some(reference) == wanted.as_ref());
        Ok(vec![image])
    }
}

impl Saving {
    /// Writes the archive.
    ///
    /// # Errors
    /// Something is missing or damaged, or the archive cannot be written.
    pub fn write(&self, out: impl Write) -> Result<(), SaveError> {
        let mut archive = Archive { tar: Builder::new(out), written: BTreeSet::new() };
        archive.directory("blobs/")?;
        archive.directory("blobs/sha256/")?;
        let (mut index, mut manifests) = (Vec::new(), Vec::new());
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (image, layers) in &self.images {
            let config = self.store.blob(&image.id)?;
            archive.blob(&image.id, &config)?;
            let mut descriptors = Vec::new();
            for layer in layers {
                let size = self.layer(&mut archive, layer)?;
                descriptors.push(json!({
                    "mediaType": LAYER,
                    "digest": layer.diff_id.to_string(),
                    "size": size,
                }));
            }
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": image.id.to_string(),
                    "size": config.len(),
                },
                "layers": descriptors,
            });
            let manifest = manifest.to_string();
            let digest = Digest::of(manifest.as_bytes());
            archive.blob(&digest, manifest.as_bytes())?;
            index.extend(entries(&image.references, &digest, manifest.len()));
            for reference in &image.references {
                if let (Some(tag), Some(top)) = (reference.tag(), layers.last()) {
                    let tags = repositories.entry(reference.familiar_name()).or_default();
                    tags.insert(tag.to_owned(), top.diff_id.hex().to_owned());
                }
            }
            let tags = image.repo_tags();
            let paths: Vec<_> = layers.iter().map(|layer| path(&layer.diff_id)).collect();
            manifests.push(json!({
                "Config": path(&image.id),
                "RepoTags": if tags.is_empty() { Value::Null } else { json!(tags) },
                "Layers": paths,
                "LayerSources": sources(&descriptors),
            }));
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": index});
        archive.file("index.json", index.to_string().as_bytes())?;
        archive.file("manifest.json", Value::from(manifests).to_string().as_bytes())?;
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        if !repositories.is_empty() {
            archive.file("repositories", json!(repositories).to_string().as_bytes())?;
        }
        archive.tar.finish().map_err(SaveError::Write)
    }

    /// Writes a layer as it is without compression; returns its size.
    fn layer(
        &self,
        archive: &mut Archive<impl Write>,
        layer: &LayerRecord,
    ) -> Result<u64, SaveError> {
        let home = &self.store.inner.home;
        let path = home.blob(&layer.blob);
        let missing = |error| SaveError::Layer { diff_id: layer.diff_id, source: error };
        let mut blob = File::open(&path).map_err(missing)?;
        let mut start = [0; 16];
        let length = blob.read(&mut start).map_err(missing)?;
        blob.rewind().map_err(missing)?;
        let compression = Compression::detect(&start[..length]);
        if compression != Compression::None {
            // Its size must be known before it is written.
            let mut plain = home.temp_file()?;
            let mut content = Hashing { inner: &mut plain, hasher: Hasher::new() };
            decompress(BufReader::with_capacity(128 << 10, blob), compression)
                .and_then(|mut reader| io::copy(&mut reader, &mut content))
                .map_err(missing)?;
            if content.hasher.finish() != layer.diff_id {
                return Err(missing(io::Error::other("its content has changed")));
            }
            blob = plain.into_file();
            blob.rewind().map_err(missing)?;
        }
        let size = blob.metadata().map_err(missing)?.len();
        archive.entry(&self::path(&layer.diff_id), size, blob)?;
        Ok(size)
    }
}

struct Archive<W: Write> {
    tar: Builder<W>,
    written: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    fn blob(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), SaveError> {
        self.entry(&path(digest), bytes.len() as u64, bytes)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.entry(name, bytes.len() as u64, bytes)
    }

    fn directory(&mut self, name: &str) -> Result<(), SaveError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        self.tar.append_data(&mut header, name, io::empty()).map_err(SaveError::Write)
    }

    /// Writes a member, once.
    fn entry(&mut self, name: &str, size: u64, content: impl Read) -> Result<(), SaveError> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        self.tar.append_data(&mut header, name, content).map_err(SaveError::Write)
    }
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Entries of the index, one per name.
fn entries(references: &[Reference], digest: &Digest, size: usize) -> Vec<Value> {
    let entry = json!({"mediaType": MANIFEST, "digest": digest.to_string(), "size": size});
    if references.is_empty() {
        return vec![entry];
    }
    let named = references.iter().map(|reference| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({
            "io.containerd.image.name": reference.to_string(),
            "org.opencontainers.image.ref.name": reference.tag().unwrap_or_default(),
        });
        entry
    });
    named.collect()
}

fn sources(descriptors: &[Value]) -> Value {
    let by_digest = descriptors.iter().filter_map(|descriptor| {
        Some((descriptor["digest"].as_str()?.to_owned(), descriptor.clone()))
    });
    Value::Object(by_digest.collect())
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
