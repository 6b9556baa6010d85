//! Images by what users call them.

use hull_plan::ImageConfig;
use hull_registry::{Platform, Reference};
use hull_store::{Image, LookupError, RootError, StoreError};

use crate::container::create::ImageFacts;
use crate::container::record::{ImageRecord, RootRecord};
use crate::{Engine, Error, Result};

impl Engine {
    /// Returns an image by name, id or unique start of its id.
    pub(crate) fn image(&self, name: &str) -> Result<Image> {
        Ok(self.inner.store.image(name)?)
    }

    /// Returns the id of an image, if there is such an image.
    pub(crate) fn image_id(&self, name: &str) -> Option<String> {
        let image = self.inner.store.image(name).ok()?;
        Some(image.id.to_string())
    }

    /// Returns what a container needs to know of its image, and builds its root disk if that is
    /// not there.
    pub(crate) async fn image_facts(
        &self,
        name: &str,
        platform: Option<&str>,
    ) -> Result<ImageFacts> {
        if name.is_empty() {
            return Err(Error::InvalidParameter(
                "config cannot be empty in order to create a container".into(),
            ));
        }
        let image = self.image(name)?;
        let host = self.platform()?;
        match platform.filter(|platform| !platform.is_empty()) {
            Some(asked) => {
                let asked = parse_platform(asked)?;
                if asked.suits(&image.platform).is_none() {
                    return Err(Error::NotFound(format!(
                        "image with reference {name} was found but does not provide the \
                         specified platform ({asked})"
                    )));
                }
                self.check_runs(&asked)?;
            }
            None if host.suits(&image.platform).is_none() => self.check_runs(&image.platform)?,
            None => {}
        }
        let disk = self.inner.store.root_disk(&image).await?;
        let root = self.inner.layout.root();
        let disk_path = disk.vmdk.strip_prefix(root).unwrap_or(&disk.vmdk);
        Ok(ImageFacts {
            record: ImageRecord {
                id: image.id.to_string(),
                os: image.platform.os.clone(),
                architecture: image.platform.architecture.clone(),
                variant: image.platform.variant.clone(),
                size: image.size,
                root: RootRecord { id: disk.id.to_string(), disk: disk_path.to_owned() },
            },
            config: plan_config(&image)?,
        })
    }

    /// Platform of images where none is asked for.
    pub(crate) fn platform(&self) -> Result<Platform> {
        parse_platform(&self.inner.settings.platform)
    }

    /// Refuses platforms for which there is no guest.
    fn check_runs(&self, platform: &Platform) -> Result<()> {
        // 32-bit x86 programs run on a 64-bit kernel; variants are the CPU's business.
        if Platform::host().suits(platform).is_some() {
            return Ok(());
        }
        Err(Error::NotImplemented(format!(
            "cannot run {platform} containers: guests here are {}",
            Platform::host()
        )))
    }
}

/// Returns the part of an image's configuration that a container takes over.
pub(super) fn plan_config(image: &Image) -> Result<ImageConfig> {
    let encoded = serde_json::to_value(&image.config.config)
        .map_err(|error| Error::internal("cannot read the image's configuration", error))?;
    // An empty signal is none.
    let mut config: ImageConfig = serde_json::from_value(drop_lists_of_keys(encoded))
        .map_err(|error| Error::internal("cannot read the image's configuration", error))?;
    config.stop_signal = config.stop_signal.filter(|signal| !signal.is_empty());
    Ok(config)
}

/// The store holds these as lists of keys; the specification has objects with these keys.
fn drop_lists_of_keys(mut config: serde_json::Value) -> serde_json::Value {
    for field in ["Volumes", "ExposedPorts"] {
        if let Some(serde_json::Value::Array(keys)) = config.get(field) {
            let object = keys
                .iter()
                .filter_map(|key| key.as_str())
                .map(|key| (key.to_owned(), serde_json::json!({})))
                .collect::<serde_json::Map<_, _>>();
            config[field] = object.into();
        }
    }
    config
}

pub(super) fn parse_platform(text: &str) -> Result<Platform> {
    text.parse()
        .map_err(|error: hull_registry::PlatformError| Error::InvalidParameter(error.to_string()))
}

pub(super) fn parse_reference(text: &str) -> Result<Reference> {
    Reference::parse(text)
        .map_err(|error| Error::InvalidParameter(format!("invalid reference format: {error}")))
}

impl From<LookupError> for Error {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NotFound(name) => Self::NoSuchImage(name),
            error => Self::InvalidParameter(error.to_string()),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::File { action: error.action, path: error.path, source: error.source }
    }
}

impl From<RootError> for Error {
    fn from(error: RootError) -> Self {
        Self::internal("cannot build the root disk of the image", error)
    }
}
