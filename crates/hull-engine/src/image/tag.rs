//! More names for images.

use hull_store::TagError;

use super::lookup::parse_reference;
use crate::{Engine, Error, Result};

impl Engine {
    /// Gives an image one more name, taken from another image if need be.
    ///
    /// # Errors
    /// No such image; `name` is no reference or has a digest.
    pub async fn image_tag(&self, image: &str, name: &str) -> Result<()> {
        let id = self.image(image)?.id.to_string();
        let target = parse_reference(name)?.with_default_tag();
        self.inner.store.tag(image, &target)?;
        self.tell_image("tag", &id, &target.familiar());
        Ok(())
    }
}

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        match error {
            TagError::Lookup(error) => error.into(),
            TagError::Store(error) => error.into(),
            error => Self::InvalidParameter(error.to_string()),
        }
    }
}
