//! Where things are in the state directory.

use std::path::{Path, PathBuf};

/// Names of the engine's files in a container's directory. Those of the supervisor are in
/// [`hull_supervisor::paths`].
pub(crate) mod container {
    /// [`crate::container::record::Record`], JSON.
    pub(crate) const CONFIG: &str = "config.json";
    /// [`crate::container::restart::Restart`], JSON; absent until there is something to say.
    pub(crate) const RESTART: &str = "restart.json";
    /// State that the supervisor of the last run left, put aside when the next run begins.
    pub(crate) const PREVIOUS: &str = "previous.json";
    /// Directory of a machine that has the disks while the container does not run.
    pub(crate) const VISIT: &str = "visit";
    /// The writable disk.
    pub(crate) const SCRATCH: &str = "scratch.ext4";
    /// Empty; there until a container is started that is only to be there if it is.
    pub(crate) const UNBORN: &str = "unborn";
    /// Directory of its checkpoints, by name.
    pub(crate) const CHECKPOINTS: &str = "checkpoints";
}

/// Paths in one state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Anything of the engine that is under way; emptied when it opens. (The store has its own
    /// place beside it.)
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp").join("engine")
    }

    /// Kernel that replaces Hull's own.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.root.join("kernel").join("vmlinux")
    }

    /// Machines that wait to be forked.
    pub(crate) fn templates(&self) -> PathBuf {
        self.root.join("templates")
    }

    /// Machines that wait for their container; emptied when the engine opens.
    pub(crate) fn pool(&self) -> PathBuf {
        self.root.join("pool")
    }

    pub(crate) fn probe_cache(&self) -> PathBuf {
        self.root.join("probe.json")
    }

    /// Stable name of the engine, a UUID.
    pub(crate) fn engine_id(&self) -> PathBuf {
        self.root.join("engine-id")
    }
}
