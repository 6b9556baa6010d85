//! Images from an archive.

use hull_store::LoadError;
use tokio::io::AsyncRead;

use crate::{Engine, Error, Result};

impl Engine {
    /// Loads the images of an OCI layout or `docker save` archive, plain or compressed, and
    /// returns their names, or ids where they have none.
    ///
    /// # Errors
    /// The archive is damaged or has no image for this platform.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Vec<String>> {
        let loaded = match self.inner.store.load(archive).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.collect_after_failure().await;
                return Err(error.into());
            }
        };
        let mut names = Vec::new();
        for loaded in loaded {
            let id = loaded.image.id.to_string();
            if loaded.references.is_empty() {
                self.tell_image("load", &id, &id);
                names.push(id);
                continue;
            }
            for reference in loaded.references {
                let name = reference.familiar();
                self.tell_image("load", &id, &name);
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Invalid(_) => Self::InvalidParameter(error.to_string()),
            LoadError::Image(error) => error.into(),
            error => Self::internal("cannot load images", error),
        }
    }
}
