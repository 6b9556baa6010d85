//! Pulling: index, platform, manifest, configuration, layers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use hull_registry::{
    Credentials, Descriptor, Digest, Download, Error, Manifest, Platform, Reference, Repository,
    Resolved,
};
use tokio::sync::mpsc::{Sender, channel};

use super::{PullOptions, Pulled, Store, blocking, root};
use crate::index::{LayerRecord, Record};
use crate::ingest::{Expected, Ingest, from_store};
use crate::layer::Layer;
use crate::{Image, ImageConfig, LayerStatus, Progress, PullError, StoreError};

/// Who is told how a pull goes.
type Notify = dyn Fn(Progress) + Send + Sync;

impl Store {
    /// Pulls an image and builds its root disk. Progress is in the shape of Docker's messages.
    ///
    /// Dropping the future ends the pull: what is half done is removed.
    ///
    /// # Errors
    /// In Docker's words where it has them; nothing half done is left, and what was pulled whole
    /// is used by the next pull unless [`Store::gc`] comes first.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        let notify: Arc<Notify> = Arc::new(progress);
        let reference = reference.clone().with_default_tag();
        let platform = options.platform.unwrap_or_else(Platform::host);
        let repository = self.inner.client.repository(&reference, options.credentials).await?;
        let resolved = repository.resolve(&platform).await?;
        let message = LayerStatus::Note(format!("Pulling from {}", reference.path()));
        // Docker tells the tag, but the whole of a reference by digest.
        let what = match reference.digest() {
            Some(_) => reference.to_string(),
            None => reference.tag_or_digest(),
        };
        notify(Progress::of(what, message));

        let id = resolved.manifest.config.digest;
        let documents: Vec<_> = resolved.documents.iter().map(|(digest, _)| *digest).collect();
        let blobs = resolved.manifest.layers.iter().map(|layer| layer.digest);
        // Before anything is looked at, so that nobody removes it meanwhile.
        let _lease = self.inner.leases.take(documents.into_iter().chain(blobs).chain([id]));
        let config = self.config(&repository, &resolved.manifest).await?;
        let _layers = self.inner.leases.take(root::needs(&config.rootfs.diff_ids));
        if !self.has_whole(&id) {
            self.layers(&repository, &resolved.manifest, &config, &notify).await?;
        }
        // An image whose layers do not fit together gets no name.
        self.disk_of(&config.rootfs.diff_ids).await?;
        let pulled = self.commit(&reference, resolved, config).await?;
        notify(Progress::note(format!("Digest: {}", pulled.digest)));
        let outcome = if pulled.newer { "Downloaded newer image" } else { "Image is up to date" };
        notify(Progress::note(format!("Status: {outcome} for {}", reference.familiar())));
        Ok(pulled)
    }

    /// Returns the tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// As of a pull.
    pub async fn tags(
        &self,
        repository: &Reference,
        credentials: Option<Credentials>,
    ) -> Result<Vec<String>, PullError> {
        Ok(self.inner.client.repository(repository, credentials).await?.tags().await?)
    }

    /// Begins to fetch a file from anywhere by http or https.
    ///
    /// # Errors
    /// It is no such URL, or the server does not answer with a file.
    pub async fn fetch(&self, url: &str) -> Result<Download, PullError> {
        Ok(self.inner.client.download(url).await?)
    }

    /// The image's configuration, checked against its manifest.
    async fn config(
        &self,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<Arc<ImageConfig>, PullError> {
        let digest = manifest.config.digest;
        let known = self.blob(&digest).ok().filter(|bytes| Digest::of(bytes) == digest);
        let bytes = match known {
            Some(bytes) => bytes,
            None => {
                let bytes = match repository.blob_bytes(&manifest.config).await {
                    // Once more: it may have been damaged on the way.
                    Err(Error::BlobDigest { .. }) => repository.blob_bytes(&manifest.config).await,
                    other => other,
                };
                let bytes = bytes.map_err(|error| match error {
                    Error::BlobDigest { digest } => PullError::ConfigDigest { digest },
                    error => error.into(),
                })?;
                let bytes = bytes.to_vec();
                let (store, written) = (self.clone(), bytes.clone());
                blocking(move || store.add_blob(&digest, &written)).await?;
                bytes
            }
        };
        check_config(&digest, &bytes, manifest.layers.len()).map(Arc::new)
    }

    async fn layers(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        config: &ImageConfig,
        notify: &Arc<Notify>,
    ) -> Result<(), PullError> {
        let pairs: Vec<_> = manifest.layers.iter().zip(&config.rootfs.diff_ids).collect();
        for (blob, diff_id) in &pairs {
            let status = match Layer::open(&self.inner.home, diff_id) {
                Some(_) => LayerStatus::AlreadyExists,
                None => LayerStatus::PullingFsLayer,
            };
            notify(Progress::of(blob.digest.short(), status));
        }
        let (alive, mut dead) = channel(1);
        let waiting = &alive;
        let mut layers: FuturesOrdered<_> = pairs
            .into_iter()
            .filter(|(_, diff_id)| Layer::open(&self.inner.home, diff_id).is_none())
            .map(|(blob, diff_id)| async move {
                self.layer(repository, blob, *diff_id, notify, waiting).await.map(|()| blob)
            })
            .collect();
        // All run at once, and are done in order, as in Docker. An error ends the others.
        while let Some(blob) = layers.next().await {
            let blob = match blob {
                Ok(blob) => blob,
                Err(error) => {
                    drop(layers);
                    drop(alive);
                    // Nothing of the others is left when the caller hears of it.
                    dead.recv().await;
                    return Err(error);
                }
            };
            let total = blob.size;
            let extracting = LayerStatus::Extracting { current: total, total };
            notify(Progress::of(blob.digest.short(), extracting));
            notify(Progress::of(blob.digest.short(), LayerStatus::PullComplete));
        }
        Ok(())
    }

    /// Brings one layer in, unless someone else just did.
    async fn layer(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        diff_id: Digest,
        notify: &Arc<Notify>,
        alive: &Sender<()>,
    ) -> Result<(), PullError> {
        let inner = &*self.inner;
        let tell = |status| notify(Progress::of(blob.digest.short(), status));
        let _making = inner.making.lock(diff_id).await;
        if Layer::open(&inner.home, &diff_id).is_some() {
            tell(LayerStatus::DownloadComplete);
            return Ok(());
        }
        let _slot = match Arc::clone(&inner.downloads).try_acquire_owned() {
            Ok(slot) => Ok(slot),
            Err(_) => {
                tell(LayerStatus::Waiting);
                Arc::clone(&inner.downloads).acquire_owned().await
            }
        };
        let expected = Expected { blob: blob.digest, diff_id };
        let (home, limits) = (inner.home.clone(), inner.limits.layer);
        if blocking(move || from_store(&home, expected, &limits)).await? {
            tell(LayerStatus::DownloadComplete);
            return Ok(());
        }
        match self.download(repository, blob, expected, notify, alive).await {
            // Once more: it may have been damaged on the way.
            Err(PullError::Registry(Error::BlobDigest { .. })) => {
                self.download(repository, blob, expected, notify, alive).await
            }
            other => other,
        }
    }

    async fn download(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        expected: Expected,
        notify: &Arc<Notify>,
        alive: &Sender<()>,
    ) -> Result<(), PullError> {
        let id = blob.digest.short();
        let tell = |status| notify(Progress::of(id.clone(), status));
        let retries = (Arc::clone(notify), id.clone());
        let mut stream = repository.blob(blob).on_retry(move |wait| {
            let seconds = wait.as_secs().max(1);
            retries.0(Progress::of(retries.1.clone(), LayerStatus::Retrying { seconds }));
        });
        let ingest =
            Ingest::start(&self.inner.home, expected, self.inner.limits.layer, alive.clone());
        let (mut current, total) = (0, blob.size);
        let mut told = Instant::now();
        loop {
            match stream.next().await {
                Ok(Some(bytes)) => {
                    current += bytes.len() as u64;
                    if !ingest.push(bytes).await {
                        return Err(ingest.abandon().await.unwrap_or(PullError::Interrupted));
                    }
                    if told.elapsed() >= PROGRESS_INTERVAL {
                        tell(LayerStatus::Downloading { current, total });
                        told = Instant::now();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    // Nothing of this try is left when the caller hears of it.
                    ingest.abandon().await;
                    return Err(error.into());
                }
            }
        }
        tell(LayerStatus::VerifyingChecksum);
        tell(LayerStatus::DownloadComplete);
        ingest.finish().await
    }

    /// Puts the image on the list.
    async fn commit(
        &self,
        reference: &Reference,
        resolved: Resolved,
        config: Arc<ImageConfig>,
    ) -> Result<Pulled, PullError> {
        let (store, reference) = (self.clone(), reference.clone());
        blocking(move || {
            for (digest, bytes) in &resolved.documents {
                store.add_blob(digest, bytes)?;
            }
            let id = resolved.manifest.config.digest;
            let blobs = resolved.manifest.layers.iter().map(|layer| layer.digest);
            let record = Record {
                manifest: Some(resolved.manifest_digest),
                documents: resolved.documents.iter().map(|(digest, _)| *digest).collect(),
                layers: store.layer_records(blobs.zip(config.rootfs.diff_ids.iter().copied()))?,
                parent: None,
            };
            let by_digest = reference.at_digest(resolved.digest);
            let names = [reference.lookup_key(), by_digest];
            let (image, newer) = store.add(id, record, config, &names)?;
            Ok(Pulled { image, digest: resolved.digest, newer })
        })
        .await
    }

    /// What the list of images says of layers, all of which are there.
    pub(super) fn layer_records(
        &self,
        layers: impl Iterator<Item = (Digest, Digest)>,
    ) -> Result<Vec<LayerRecord>, PullError> {
        layers
            .map(|(blob, diff_id)| {
                let layer = Layer::open(&self.inner.home, &diff_id);
                // Leased and whole a moment ago: only someone from outside can have removed it.
                let layer = layer.ok_or(PullError::Interrupted)?;
                // A layer that was here already has come as another blob.
                let blob = match self.inner.home.blob(&blob).exists() {
                    true => blob,
                    false => self.index().blob(&diff_id).unwrap_or(blob),
                };
                Ok(LayerRecord { diff_id, blob, size: layer.info.content })
            })
            .collect()
    }

    /// Adds an image and gives it names; whether the first name is new to it.
    pub(super) fn add(
        &self,
        id: Digest,
        record: Record,
        config: Arc<ImageConfig>,
        names: &[Reference],
    ) -> Result<(Image, bool), PullError> {
        let mut index = self.index();
        let mut changed = index.clone();
        changed.insert(id, record, config);
        let mut newer = false;
        for (number, name) in names.iter().enumerate() {
            let before = changed.name(name, id);
            newer |= number == 0 && before != Some(id);
        }
        changed.save(&self.inner.home)?;
        *index = changed;
        let image = index.image(&id).ok_or(PullError::Interrupted)?;
        Ok((image, newer))
    }

    /// Adds a small blob whose digest was verified.
    pub(super) fn add_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.inner.home.blob(digest);
        if std::fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        self.inner.home.replace(&path, bytes)
    }

    /// Whether an image is on the list and all its layers are there.
    fn has_whole(&self, id: &Digest) -> bool {
        let Some(record) = self.index().record(id).cloned() else {
            return false;
        };
        let diff_ids: BTreeSet<_> = record.layers.iter().map(|layer| layer.diff_id).collect();
        diff_ids.iter().all(|diff_id| Layer::open(&self.inner.home, diff_id).is_some())
    }
}

/// Reads a configuration, and checks it against the number of layers.
pub(super) fn check_config(
    digest: &Digest,
    bytes: &[u8],
    layers: usize,
) -> Result<ImageConfig, PullError> {
    let config: ImageConfig = serde_json::from_slice(bytes)
        .map_err(|source| PullError::Config { digest: *digest, source })?;
    let platform = config.platform();
    if platform.os != "linux" {
        return Err(PullError::Platform { found: platform });
    }
    if config.rootfs.diff_ids.len() != layers {
        return Err(PullError::RootFsMismatch);
    }
    Ok(config)
}

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
