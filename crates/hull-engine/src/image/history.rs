//! How images came to be.

use jiff::Timestamp;

use crate::{Engine, Result};

/// One step in the making of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HistoryStep {
    /// `sha256:<hex>` of the image after this step; `None` where it is not here.
    pub id: Option<String>,
    pub created: Option<Timestamp>,
    pub created_by: String,
    /// Names of the image after this step.
    pub tags: Vec<String>,
    /// Bytes of the layer that it made, unpacked.
    pub size: u64,
    pub comment: String,
}

impl Engine {
    /// Lists the steps in which an image was made, the last one first.
    ///
    /// # Errors
    /// No such image.
    pub async fn image_history(&self, image: &str) -> Result<Vec<HistoryStep>> {
        let image = self.image(image)?;
        let mut sizes = self.inner.store.layer_sizes(&image.id).into_iter();
        let mut steps: Vec<_> = image
            .config
            .history
            .iter()
            .map(|step| HistoryStep {
                id: None,
                created: step.created.as_deref().and_then(|time| time.parse().ok()),
                created_by: step.created_by.clone(),
                tags: Vec::new(),
                size: if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
                comment: step.comment.clone(),
            })
            .collect();
        // The images that this one was made on have fewer steps.
        let mut known = Some(image);
        while let Some(image) = known {
            let count = image.config.history.len();
            if let Some(step) = count.checked_sub(1).and_then(|last| steps.get_mut(last)) {
                step.id = Some(image.id.to_string());
                step.tags = image.repo_tags();
            }
            let parent = self.inner.store.parent(&image.id);
            known = parent
                .and_then(|parent| self.image(&parent.to_string()).ok())
                .filter(|parent| parent.config.history.len() < count);
        }
        steps.reverse();
        Ok(steps)
    }
}
