//! What a guest may believe without asking.
//!
//! Where others' changes are heard, names (also those that do not exist), attributes and content
//! may be believed until the guest is told to forget them. Where they are not, or while another
//! machine uses the same volume, nothing may, and content is not kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FileType, Statx};
use rustix::io::Result;

use crate::lease::Lease;
use crate::nodes::Node;
use crate::watch::Watch;
use crate::wire::fopen;

#[derive(Debug)]
pub(crate) struct Cache {
    watch: Option<Arc<Watch>>,
    lease: Option<Lease>,
    /// The guest's kernel forgets content only when it is told to.
    agreed: AtomicBool,
    /// How often others have changed something.
    changes: AtomicU64,
}

impl Cache {
    pub(crate) fn new(watch: Option<Arc<Watch>>, lease: Option<Lease>) -> Self {
        Self { watch, lease, agreed: AtomicBool::new(false), changes: AtomicU64::new(0) }
    }

    /// Who hears of changes, if anybody does.
    pub(crate) fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Says what the guest's kernel has agreed to.
    pub(crate) fn agree(&self, agreed: bool) {
        self.agreed.store(agreed, Ordering::Relaxed);
    }

    /// Whether the guest forgets content only when it is told to.
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed.load(Ordering::Relaxed)
    }

    /// Counts changes by others: what was found out before the last one is not to be believed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(crate) fn change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether names in a directory may be believed that are looked up after this.
    pub(crate) fn names(&self, directory: &Node) -> bool {
        self.active().is_some_and(|watch| directory.watch(watch))
    }

    /// Whether attributes of a file in `directory` may be believed; `stat` is renewed if it was
    /// read before changes were heard.
    pub(crate) fn entry(&self, directory: &Node, node: &Node, stat: &mut Statx) -> Result<bool> {
        let Some(watch) = self.active() else {
            return Ok(false);
        };
        if node.kind() != FileType::Directory {
            return Ok((directory.is_watched() && node.cover(directory, stat)) || node.is_watched());
        }
        let before = node.is_watched();
        let heard = node.watch(watch);
        if heard && !before {
            *stat = node.stat()?;
        }
        Ok(heard)
    }

    /// Whether attributes of a file may be believed that are read after this, if they are `stat`.
    pub(crate) fn attributes(&self, node: &Node) -> impl FnOnce(&Statx) -> bool {
        let active = self.active();
        if let Some(watch) = active
            && node.kind() == FileType::Directory
        {
            node.watch(watch);
        }
        move |stat| active.is_some() && node.is_heard(stat)
    }

    /// Returns how the guest is to open a file that is `stat` now (`FOPEN_*`).
    pub(crate) fn open(&self, node: &Node, stat: &Statx) -> u32 {
        if !self.is_agreed() {
            // It looks at size and time before it believes what it has.
            return fopen::KEEP_CACHE;
        }
        let heard = self.active().is_some_and(|watch| node.is_heard(stat) || node.watch(watch));
        // What nobody heard of shows by time and size.
        match (heard, node.see(stat)) {
            (true, true) => fopen::KEEP_CACHE,
            (true, false) => 0,
            (false, _) => fopen::DIRECT_IO,
        }
    }

    /// Notes what the guest has made of a file.
    pub(crate) fn wrote(&self, node: &Node) {
        if self.is_agreed()
            && let Ok(stat) = node.stat()
        {
            node.see(&stat);
        }
    }

    fn active(&self) -> Option<&Watch> {
        let alone = self.lease.as_ref().is_none_or(Lease::is_alone);
        self.watch.as_deref().filter(|_| alone && self.is_agreed())
    }
}
