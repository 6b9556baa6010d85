//! Images that are made here: `docker commit` and `docker import`.

use std::io::BufReader;

use hull_registry::{Digest, Reference};
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::pull::check_config;
use super::{Store, blocking, root};
use crate::index::Record;
use crate::ingest::add_layer;
use crate::{Image, PullError};

/// An image to be made.
pub struct Composition<R> {
    /// The image that it is made on; `None`: on nothing.
    pub base: Option<Image>,
    /// The layer that comes on top: a tar archive, plain or compressed.
    pub layer: R,
    /// Names that it gets.
    pub names: Vec<Reference>,
}

impl<R> std::fmt::Debug for Composition<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Composition").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes an image. `config` is given the digests of all layers, and whether there is a new one
    /// (one with nothing in it is none), and returns the configuration.
    ///
    /// # Errors
    /// The layer is no archive, or something cannot be written.
    pub async fn compose<R: AsyncRead + Send + Unpin + 'static>(
        &self,
        composition: Composition<R>,
        config: impl FnOnce(&[Digest], bool) -> Value + Send + 'static,
    ) -> Result<Image, PullError> {
        let Composition { base, layer, names } = composition;
        let records = match &base {
            Some(base) => self.index().record(&base.id).map(|record| record.layers.clone()),
            None => None,
        };
        let records = records.unwrap_or_default();
        // What the base consists of stays, whatever becomes of its names.
        let below: Vec<_> = records.iter().map(|layer| layer.diff_id).collect();
        let kept = records.iter().flat_map(|layer| [layer.diff_id, layer.blob]);
        let _below = self.inner.leases.take(kept.chain(root::needs(&below)));
        let reader = SyncIoBridge::new(layer);
        let (home, limits) = (self.inner.home.clone(), self.inner.limits.layer);
        let leases = self.inner.leases.clone();
        let (blob, diff_id, lease) = blocking(move || {
            add_layer(&home, BufReader::with_capacity(BUFFER, reader), &limits, &leases)
        })
        .await?;
        let is_new = diff_id.to_string() != NOTHING;
        let mut blobs: Vec<_> = records.iter().map(|layer| (layer.blob, layer.diff_id)).collect();
        if is_new {
            blobs.push((blob, diff_id));
        }
        let diff_ids: Vec<_> = blobs.iter().map(|(_, diff_id)| *diff_id).collect();
        let bytes = config(&diff_ids, is_new).to_string().into_bytes();
        let id = Digest::of(&bytes);
        let _image = self.inner.leases.take(root::needs(&diff_ids).chain([id]));
        self.disk_of(&diff_ids).await.map_err(PullError::Root)?;
        let parsed = check_config(&id, &bytes, diff_ids.len())?;
        let store = self.clone();
        blocking(move || {
            let _lease = lease;
            store.add_blob(&id, &bytes)?;
            let layers = store.layer_records(blobs.into_iter())?;
            let parent = base.map(|base| base.id);
            let record = Record { layers, parent, ..Record::default() };
            Ok(store.add(id, record, parsed.into(), &names)?.0)
        })
        .await
    }

    /// The image that another one was made on, if that was here and both still are.
    pub fn parent(&self, image: &Digest) -> Option<Digest> {
        let index = self.index();
        let parent = index.record(image)?.parent?;
        index.record(&parent).map(|_| parent)
    }

    /// Whether an image was made here on this one.
    pub fn has_children(&self, image: &Digest) -> bool {
        self.index().has_children(image)
    }

    /// Sizes of an image's layers as [`Image::size`] counts them, lowest first.
    pub fn layer_sizes(&self, image: &Digest) -> Vec<u64> {
        let index = self.index();
        let layers = index.record(image).map(|record| record.layers.as_slice());
        layers.unwrap_or_default().iter().map(|layer| layer.size).collect()
    }
}

const BUFFER: usize = 128 << 10;
/// Digest of an archive with nothing in it: two blocks of zeros.
const NOTHING: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
