//! More names for images.

use crate::{Engine, Result, error::Error};

impl Engine {
    /// Gives an image one more name, taken from another image if need be.
    ///
    /// # Errors
    /// No such image; `name` is no reference or has a digest.
    pub async fn image_tag(&self, image: &str, name: &str) -> Result<()> {
        let _ = (image, name);
        Err(Error::not_yet("tagging images"))
    }
}
