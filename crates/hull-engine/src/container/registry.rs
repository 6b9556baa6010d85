//! All containers, found by id, name or prefix.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::Container;
use super::names;
use crate::{Error, Result};

/// All containers. Its lock is held for lookups only, never across a wait.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_id: BTreeMap<String, Arc<Container>>,
    /// Name to id; also names of containers that are being made.
    names: HashMap<String, String>,
}

impl Tables {
    /// Finds what a container calls another one: `parent/alias`.
    fn linked(&self, name: &str) -> Option<Arc<Container>> {
        let (parent, alias) = name.rsplit_once('/')?;
        let parent = self.names.get(parent).and_then(|id| self.by_id.get(id))?.record();
        let link = parent.config.host.links.iter().find(|link| link.alias == alias)?;
        self.by_id.get(&link.container).cloned()
    }
}

impl Registry {
    /// Finds a container by id, name or unique start of its id, in this order.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>> {
        if reference.is_empty() {
            return Err(Error::InvalidParameter("invalid name or ID supplied: \"\"".into()));
        }
        let tables = self.tables();
        if let Some(container) = tables.by_id.get(reference) {
            return Ok(Arc::clone(container));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(container) = tables.names.get(name).and_then(|id| tables.by_id.get(id)) {
            return Ok(Arc::clone(container));
        }
        if let Some(container) = tables.linked(name) {
            return Ok(container);
        }
        let mut matches = tables
            .by_id
            .range::<str, _>((Bound::Included(reference), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(reference));
        match (matches.next(), matches.next()) {
            (Some((_, container)), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::AmbiguousId(reference.to_owned())),
            (None, _) => Err(Error::NoSuchContainer(reference.to_owned())),
        }
    }

    /// Returns all containers, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.tables().by_id.values().cloned().collect()
    }

    /// Adds a container whose name has been reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.tables().by_id.insert(container.id.clone(), container);
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: &str) {
        let mut tables = self.tables();
        tables.by_id.remove(id);
        tables.names.retain(|_, owner| owner != id);
    }

    /// Reserves a name for a container.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut tables = self.tables();
        match tables.names.get(name) {
            Some(owner) if owner != id => {
                Err(Error::NameInUse { name: name.to_owned(), id: owner.clone() })
            }
            _ => {
                tables.names.insert(name.to_owned(), id.to_owned());
                Ok(())
            }
        }
    }

    /// Reserves a name that is made up.
    pub(crate) fn reserve_generated(&self, id: &str) -> Result<String> {
        for attempt in 0..6 {
            let name = names::generate(attempt)?;
            if self.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        let name = id[..12].to_owned();
        self.reserve(&name, id)?;
        Ok(name)
    }

    /// Gives up a name.
    pub(crate) fn release(&self, name: &str) {
        self.tables().names.remove(name);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
