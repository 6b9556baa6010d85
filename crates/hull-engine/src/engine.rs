//! The handle that everything hangs on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use hull_store::Store;

use crate::container::exec::Execs;
use crate::container::registry::Registry;
use crate::events::Hub;
use crate::isolation::Drivers;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::network::Networks;
use crate::pool::Pool;
use crate::volume::Volumes;
use crate::{Error, Result, Settings, recovery};

/// Containers and images of one state directory. Cheap to clone; clones are the same engine.
///
/// Must be used in a Tokio runtime; dropping the last clone leaves the containers running.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) layout: Layout,
    pub(crate) containers: Registry,
    pub(crate) execs: Execs,
    pub(crate) events: Hub,
    pub(crate) drivers: Drivers,
    pub(crate) store: Store,
    pub(crate) networks: Networks,
    pub(crate) metrics: Metrics,
    pub(crate) pool: Arc<Pool>,
    pub(crate) volumes: Volumes,
    /// Pulls under way.
    pub(crate) pulls: crate::image::Pulls,
    /// Read while a container is made from an image, written while images or volumes are removed:
    /// nothing is taken from under a container that is not in the list yet.
    pub(crate) images_gate: tokio::sync::RwLock<()>,
    /// Containers end because the engine does: no user wants them down.
    pub(crate) shutting_down: AtomicBool,
}

impl Engine {
    /// Opens the state directory, makes it if it is missing, and finds the containers in it:
    /// supervisors that live are connected to, ends that nobody saw are recorded, and what was
    /// half made is removed.
    ///
    /// One engine per state directory: the caller holds a lock.
    ///
    /// # Errors
    /// The state directory cannot be made, read or written.
    pub async fn open(settings: Settings) -> Result<Self> {
        Self::open_with(settings, Drivers::new).await
    }

    pub(crate) async fn open_with(
        settings: Settings,
        drivers: impl FnOnce(&Settings, &Arc<Pool>) -> Drivers,
    ) -> Result<Self> {
        if !settings.root.is_absolute() {
            return Err(Error::InvalidParameter(format!(
                "the state directory {} is not an absolute path",
                settings.root.display()
            )));
        }
        let layout = Layout::new(&settings.root);
        recovery::prepare(&layout)?;
        let store = crate::image::open_store(&settings)?;
        let networks = Networks::open(&settings.root)?;
        let pool = Arc::new(Pool::new(&settings, layout.pool()));
        let drivers = drivers(&settings, &pool);
        let volumes = Volumes::open(layout.volumes())?;
        let engine = Self {
            inner: Arc::new(Inner {
                settings,
                layout,
                containers: Registry::default(),
                execs: Execs::default(),
                events: Hub::default(),
                drivers,
                store,
                networks,
                metrics: Metrics::default(),
                pool,
                volumes,
                pulls: crate::image::Pulls::default(),
                images_gate: tokio::sync::RwLock::default(),
                shutting_down: AtomicBool::new(false),
            }),
        };
        recovery::recover(&engine).await?;
        engine.keep_pool();
        Ok(engine)
    }

    /// What the engine was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// From now on containers that are stopped are those that run again when an engine opens here
    /// next, if their restart policies say so; until then none is started again.
    pub fn shut_down(&self) {
        self.inner.shutting_down.store(true, Ordering::Release);
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.inner.shutting_down.load(Ordering::Acquire)
    }

    /// A handle for background tasks, which must not keep the engine open.
    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(|inner| Self { inner })
    }
}
