//! Images as archives.

use hull_store::{SaveError, Saving};
use tokio::io::{AsyncRead, DuplexStream};
use tokio_util::io::SyncIoBridge;

use crate::{Engine, Error, Result};

impl Engine {
    /// Writes images as an archive that `docker load` reads and that is an OCI layout. What cannot
    /// be read when it has begun ends it early.
    ///
    /// # Errors
    /// No such image.
    pub async fn image_save(&self, names: &[String]) -> Result<impl AsyncRead + Send + use<>> {
        let saving = self.inner.store.save(names).map_err(Error::from)?;
        let (writer, reader) = tokio::io::duplex(BUFFER);
        let writer = SyncIoBridge::new(writer);
        tokio::task::spawn_blocking(move || write(&saving, writer));
        for name in names {
            if let Some(id) = self.image_id(name) {
                self.tell_image("save", &id, &id);
            }
        }
        Ok(reader)
    }
}

fn write(saving: &Saving, writer: SyncIoBridge<DuplexStream>) {
    if let Err(error) = saving.write(writer) {
        tracing::warn!(error = crate::error::one_line(&error), "an archive of images breaks off");
    }
}

impl From<SaveError> for Error {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Lookup(error) => error.into(),
            SaveError::Store(error) => error.into(),
            error => Self::internal("cannot save images", error),
        }
    }
}

const BUFFER: usize = 256 << 10;
