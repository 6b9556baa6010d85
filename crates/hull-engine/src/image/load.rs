//! Images from an archive.

use tokio::io::AsyncRead;

use crate::{Engine, Result, error::Error};

impl Engine {
    /// Loads the images of an OCI layout or `docker save` archive and returns their names, or ids
    /// where they have none.
    ///
    /// # Errors
    /// The archive is damaged or has no image for this platform.
    pub async fn load(&self, archive: impl AsyncRead + Send + Unpin) -> Result<Vec<String>> {
        let _ = archive;
        Err(Error::not_yet("load"))
    }
}
