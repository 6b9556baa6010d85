//! Creation.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hull_plan::{ContainerConfig, ImageConfig};
use jiff::Timestamp;
use tracing::warn;

use super::entry::{Container, Live};
use super::names;
use super::record::{ImageRecord, Record};
use crate::durable::{self, Survives};
use crate::volume::parse_size;
use crate::{Engine, Error, Result, host, layout, random};

/// What to create.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// `None` or empty: one is made up. A leading slash is ignored.
    pub name: Option<String>,
    pub config: ContainerConfig,
}

/// A container that has been created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// What a container needs to know of its image.
#[derive(Clone, Debug)]
pub(crate) struct ImageFacts {
    pub(crate) record: ImageRecord,
    pub(crate) config: ImageConfig,
}

impl Engine {
    /// Creates a container from an image that is here.
    ///
    /// # Errors
    /// No such image; the configuration cannot be honoured; the name is in use.
    pub async fn create(&self, options: CreateOptions) -> Result<Created> {
        self.inner.drivers.named(&options.config.host.isolation)?;
        hull_plan::validate(&options.config, &host::plan_host())?;
        check_storage(&options.config.host.storage_opt)?;
        if let Some(kernel) = &options.config.host.kernel {
            self.check_kernel_of_container(kernel).await?;
        }
        // To its end even if the caller goes away: it is on disk and in the list, or neither.
        self.detached(move |engine| async move {
            let _images = engine.inner.images_gate.read().await;
            let platform = options.config.platform.as_deref();
            let image = engine.image_facts(&options.config.image, platform).await?;
            engine.create_from(image, options).await
        })
        .await
    }

    /// Creates a container from facts of an image.
    pub(crate) async fn create_from(
        &self,
        image: ImageFacts,
        options: CreateOptions,
    ) -> Result<Created> {
        let CreateOptions { name, mut config } = options;
        let given = match name.as_deref() {
            None | Some("") => None,
            Some(name) => Some(names::parse(name)?),
        };
        let warnings = hull_plan::discard_unsupported(&mut config.host);
        hull_plan::merge_image(&mut config, &image.config)?;
        let id = random::id()?;
        self.find_links(&mut config)?;
        let plan = hull_plan::plan(&id, &config, &host::plan_host())?;
        let volumes = self.provide_mounts(&mut config).await?;
        let record = Record {
            version: Record::VERSION,
            id: id.clone(),
            name: String::new(),
            created: Timestamp::now(),
            image: image.record,
            path: plan.path,
            args: plan.args,
            config,
        };
        self.insert(given, record, Stays::Always).await?;
        volumes.keep();
        Ok(Created { id, warnings })
    }

    /// Makes the container of `record`, with the name that is given or one that is made up.
    pub(crate) async fn insert(
        &self,
        given: Option<&str>,
        mut record: Record,
        stays: Stays,
    ) -> Result<Arc<Container>> {
        record.name = match given {
            Some(name) => {
                self.inner.containers.reserve(name, &record.id)?;
                name.to_owned()
            }
            None => self.inner.containers.reserve_generated(&record.id)?,
        };
        let reserved = record.name.clone();
        let reservation = Reservation { engine: self, name: Some(&reserved) };
        let built = self.clone();
        let record =
            tokio::task::spawn_blocking(move || built.build(&record, stays).map(|()| record))
                .await
                .map_err(|error| {
                    Error::internal("creating a container was interrupted", error)
                })??;
        let dir = self.inner.layout.container(&record.id);
        let container = Arc::new(Container::new(dir, record, Live::default()));
        self.inner.containers.insert(Arc::clone(&container));
        reservation.keep();
        if container.record().survives() == Survives::PowerCut {
            settle(&container, self.inner.layout.containers());
        }
        self.tell(&container, "create", &[]);
        Ok(container)
    }

    /// Makes a container's directory: complete or not at all.
    fn build(&self, record: &Record, stays: Stays) -> Result<()> {
        let layout = &self.inner.layout;
        let building = layout.tmp().join(format!("create-{}", record.id));
        let place = layout.container(&record.id);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&building)
            .map_err(Error::file("make", &building))?;
        let made = record
            .write_unsynced(&building)
            .and_then(|()| match stays {
                Stays::Always => Ok(()),
                Stays::IfStarted => mark_unborn(&building),
            })
            .and_then(|()| fs::rename(&building, &place).map_err(Error::file("make", &place)));
        if made.is_err() {
            // What cannot be removed now is when the engine opens next.
            fs::remove_dir_all(&building).ok();
        }
        made
    }
}

/// Whether a container is there for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stays {
    Always,
    /// Only if it is started: one that never was goes when the next engine opens.
    IfStarted,
}

fn mark_unborn(dir: &Path) -> Result<()> {
    let path = dir.join(layout::container::UNBORN);
    fs::write(&path, "").map_err(Error::file("write", &path))
}

/// Says that a container that would only stay if it was started has been started.
pub(crate) fn is_born(container: &Container) {
    match fs::remove_file(container.dir.join(layout::container::UNBORN)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(container = &container.id[..12], %error, "cannot note that it is there");
        }
        _ => {}
    }
}

/// Checks the options of a container's own disk: there is one, its size.
fn check_storage(options: &BTreeMap<String, String>) -> Result<()> {
    for (option, value) in options {
        if option != "size" {
            return Err(Error::InvalidParameter(format!("unknown option {option}")));
        }
        let size = parse_size(value)?;
        if !DISK_SIZES.contains(&size) {
            return Err(Error::InvalidParameter(format!(
                "invalid size for storage-opt size: {value}: between 16MiB and 64GiB are possible"
            )));
        }
    }
    Ok(())
}

/// What a container's disk can hold, in bytes.
const DISK_SIZES: std::ops::RangeInclusive<u64> = 16 << 20..=64 << 30;

/// Makes a new container survive a power cut, which a start need not wait for: the disk may be
/// busy for as long as a fork takes.
fn settle(container: &Arc<Container>, all: PathBuf) {
    let container = Arc::clone(container);
    tokio::task::spawn_blocking(move || {
        let settled = Record::sync(&container.dir).and_then(|()| durable::sync_directory(&all));
        match settled {
            // It has been removed already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                warn!(container = &container.id[..12], %error, "would not survive a power cut");
            }
            Ok(()) => {}
        }
    });
}

/// A name that is given up again unless the container comes to be.
struct Reservation<'a> {
    engine: &'a Engine,
    name: Option<&'a str>,
}

impl Reservation<'_> {
    fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name {
            self.engine.inner.containers.release(name);
        }
    }
}
