//! The store: opening it, names and lookups. Each larger operation has a module.

mod compose;
mod load;
mod pull;
mod remove;
mod root;
mod save;
mod sweep;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hull_registry::{Client, Credentials, Digest, Platform, Reference};
use tokio::sync::Semaphore;

pub use compose::Composition;
pub use save::Saving;

use crate::home::Home;
use crate::index::Index;
use crate::leases::{Leases, Locks};
use crate::{Image, LookupError, OpenError, StoreError, TagError};

/// The images of one Hull home. Clones share one store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    home: Home,
    limits: Limits,
    client: Client,
    index: Mutex<Index>,
    leases: Leases,
    /// One lock per layer and root disk in the making.
    making: Locks,
    downloads: Arc<Semaphore>,
    /// Holds the lock that keeps other processes out.
    _lock: File,
}

/// How a store works.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How registries are talked to.
    pub registry: hull_registry::Settings,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what the store takes and does at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Layers of one pull that download at once. Docker's default is 3.
    pub parallel_layers: usize,
    /// What one layer may cost.
    pub layer: hull_layer::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parallel_layers: 3, layer: hull_layer::Limits::default() }
    }
}

/// What to pull and as whom.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The platform asked for; the host's when `None`.
    pub platform: Option<Platform>,
    /// Who asks; anonymous when `None`.
    pub credentials: Option<Credentials>,
}

/// What a pull gave.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The digest the reference had at the registry (of the index, if there is one).
    pub digest: Digest,
    /// Whether the name did not point to this image before.
    pub newer: bool,
}

/// One image of an archive.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names it got; none when the archive names none.
    pub references: Vec<Reference>,
}

/// How to remove an image.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Remove although stopped containers use it or it has several names.
    pub force: bool,
    /// Keep the nameless images that it was made on.
    pub no_prune: bool,
}

/// A container that uses an image.
#[derive(Clone, Debug)]
pub struct ImageUser {
    /// Its full ID.
    pub container: String,
    /// The image it was made from.
    pub image: Digest,
    /// The root disk it has.
    pub root: Option<Digest>,
    /// Whether it runs (or is paused).
    pub running: bool,
}

/// One record of a removal, in Docker's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removed {
    /// Content went: an image ID, or the chain ID of a layer.
    Deleted(Digest),
    /// A name went, as the user writes it.
    Untagged(String),
}

/// The read-only root disk of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RootDisk {
    /// Identifies the disk: digest over its chain of layers and the format. Containers record it
    /// and pass it to [`Store::gc`] while they need the disk.
    pub id: Digest,
    /// The VMDK descriptor to give to QEMU (`format=vmdk`, read-only).
    pub vmdk: PathBuf,
    /// Size of the disk in bytes, the same for every image.
    pub size: u64,
}

impl Store {
    /// Opens the store in `root`, makes what is missing, and removes what a killed process left.
    ///
    /// # Errors
    /// When `root` is not writable, another process has the store, or `images.json` is damaged.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, OpenError> {
        fs::create_dir_all(root).map_err(StoreError::of("create", root))?;
        let home = Home::create(root)?;
        let lock = lock(&home)?;
        home.clear_tmp()?;
        let index = Index::load(&home)?;
        let inner = Inner {
            index: Mutex::new(index),
            client: Client::new(settings.registry),
            leases: Leases::default(),
            making: Locks::default(),
            downloads: Arc::new(Semaphore::new(settings.limits.parallel_layers.max(1))),
            limits: settings.limits,
            home,
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The image that `name` means: a reference, an ID, or the unambiguous start of an ID.
    ///
    /// # Errors
    /// When there is none, in Docker's words.
    pub fn image(&self, name: &str) -> Result<Image, LookupError> {
        let index = self.index();
        let id = find(&index, name)?;
        index.image(&id).ok_or_else(|| LookupError::NotFound(name.to_owned()))
    }

    /// All images, newest first.
    pub fn images(&self) -> Vec<Image> {
        let index = self.index();
        let mut images: Vec<_> = index.ids().filter_map(|id| index.image(&id)).collect();
        images.sort_by(|a, b| b.created.cmp(&a.created));
        images
    }

    /// Gives the image `source` the name `target` (`:latest` when it has no tag).
    pub fn tag(&self, source: &str, target: &Reference) -> Result<(), TagError> {
        if target.digest().is_some() {
            return Err(TagError::Digest);
        }
        let mut index = self.index();
        let id = find(&index, source)?;
        let mut changed = index.clone();
        changed.name(&target.clone().with_default_tag(), id);
        changed.save(&self.inner.home)?;
        *index = changed;
        Ok(())
    }

    /// The bytes of a blob of an image, as its configuration or manifest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.inner.home.blob(digest);
        fs::read(&path).map_err(StoreError::of("read", &path))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.inner.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds an image as Docker does: by name, then by the start of its ID.
fn find(index: &Index, name: &str) -> Result<Digest, LookupError> {
    if let Some(id) = full_id(name) {
        return match index.record(&id) {
            Some(_) => Ok(id),
            None => Err(LookupError::NotFound(id.to_string())),
        };
    }
    let reference = Reference::parse(name).map_err(LookupError::Reference)?;
    if let Some(id) = index.named(&reference.lookup_key()) {
        return Ok(id);
    }
    let prefix = name.strip_prefix("sha256:").unwrap_or(name);
    let mut matching = index.ids().filter(|id| id.hex().starts_with(prefix));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        // One that is ambiguous is none, says Docker.
        _ => Err(LookupError::NotFound(reference.with_default_tag().familiar())),
    }
}

/// `sha256:<64 hex digits>`, or the digits alone.
fn full_id(name: &str) -> Option<Digest> {
    name.parse().or_else(|_| Digest::from_hex(name)).ok()
}

/// Keeps other processes out; waits a little for one that is about to end.
fn lock(home: &Home) -> Result<File, OpenError> {
    let path = home.lock();
    let failed = StoreError::of("create", &path);
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { path: home.root().to_owned() });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::of("lock", &path)(error).into());
            }
        }
    }
}

/// Runs what blocks on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down, and with it whoever waits.
        Err(_) => std::future::pending().await,
    }
}

const LOCK_PATIENCE: Duration = Duration::from_secs(2);
