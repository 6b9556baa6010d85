//! `docker rmi`: names go first, the image goes with its last one.

use std::collections::BTreeSet;

use hull_registry::{Digest, Hasher, Reference};

use super::{ImageUser, RemoveOptions, Removed, Store, blocking, find};
use crate::RemoveError;
use crate::index::Index;

impl Store {
    /// Removes a name, or the image itself when it was the last one, as `docker rmi` does.
    ///
    /// `users` are all containers there are: they decide on conflicts, and what their root disks
    /// need stays.
    pub async fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: &[ImageUser],
    ) -> Result<Vec<Removed>, RemoveError> {
        let (store, name, users) = (self.clone(), name.to_owned(), users.to_vec());
        blocking(move || {
            let removed = {
                let mut index = store.index();
                let mut removal =
                    Removal { index: index.clone(), removed: Vec::new(), users: &users, options };
                removal.run(&name)?;
                removal.index.save(&store.inner.home)?;
                *index = removal.index;
                removal.removed
            };
            if removed.iter().any(|record| matches!(record, Removed::Deleted(_))) {
                let keep: BTreeSet<_> = users.iter().filter_map(|user| user.root).collect();
                // The image is gone whether or not its bytes are; the next collection gets them.
                if let Err(error) = store.sweep(&keep) {
                    tracing::warn!(%error, "content of a removed image is left behind");
                }
            }
            Ok(removed)
        })
        .await
    }
}

/// A removal on a copy of the index.
struct Removal<'a> {
    index: Index,
    removed: Vec<Removed>,
    users: &'a [ImageUser],
    options: RemoveOptions,
}

impl Removal<'_> {
    fn run(&mut self, name: &str) -> Result<(), RemoveError> {
        let id = find(&self.index, name)?;
        let references = self.index.references(&id);
        if is_id_prefix(&id, name) {
            // All names go with the ID when they are names of one repository.
            if is_single(&references) {
                self.check(&id, false)?;
                self.untag(&references);
            }
            return self.delete(&id, false);
        }
        if !self.options.force
            && is_single(&references)
            && let Some(user) = self.users.iter().find(|user| user.image == id)
        {
            return Err(RemoveError::Conflict(format!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - \
                     container {} is using its referenced image {}",
                short(&user.container),
                id.short(),
            )));
        }
        // The name was found by, so it is a reference.
        let reference = Reference::parse(name).map_err(crate::LookupError::Reference)?.lookup_key();
        self.untag(std::slice::from_ref(&reference));
        let mut left = self.index.references(&id);
        let same_repository = |other: &Reference| other.name() == reference.name();
        let tagged = |other: &Reference| other.digest().is_none();
        if reference.digest().is_none() && !left.iter().any(|r| tagged(r) && same_repository(r)) {
            // The digests of a repository go with its last tag.
            let (gone, kept): (Vec<_>, _) = left.into_iter().partition(same_repository);
            self.untag(&gone);
            left = kept;
        }
        if left.is_empty() { self.delete(&id, true) } else { Ok(()) }
    }

    fn untag(&mut self, references: &[Reference]) {
        for reference in references {
            if self.index.unname(reference) {
                self.removed.push(Removed::Untagged(reference.familiar()));
            }
        }
    }

    /// Deletes an image. After its last name went, one that is in use stays `quiet`ly.
    fn delete(&mut self, id: &Digest, quiet: bool) -> Result<(), RemoveError> {
        if let Err((conflict, used)) = self.conflict(id, true) {
            // One that others were made on is not left behind: it is theirs.
            let dangling = self.index.references(id).iter().all(|r| r.digest().is_some())
                && !self.index.has_children(id);
            if quiet && (!dangling || used) {
                return Ok(());
            }
            return Err(RemoveError::Conflict(conflict));
        }
        let references = self.index.references(id);
        self.untag(&references);
        let chain = self.chain(id);
        let parent = self.index.record(id).and_then(|record| record.parent);
        self.index.remove(id);
        self.removed.push(Removed::Deleted(*id));
        let ids: Vec<_> = self.index.ids().collect();
        let shared: BTreeSet<_> = ids.iter().flat_map(|id| self.chain(id)).collect();
        let gone = chain.into_iter().rev().filter(|layer| !shared.contains(layer));
        self.removed.extend(gone.map(Removed::Deleted));
        match parent {
            Some(parent) if !self.options.no_prune => self.delete_forgotten(&parent),
            _ => Ok(()),
        }
    }

    /// Deletes the image that one was made on, if it has no name and nothing else needs it.
    fn delete_forgotten(&mut self, id: &Digest) -> Result<(), RemoveError> {
        let named = self.index.references(id).iter().any(|name| name.digest().is_none());
        let needed = self.index.has_children(id) || self.users.iter().any(|user| user.image == *id);
        if named || needed || self.index.record(id).is_none() {
            return Ok(());
        }
        self.delete(id, true)
    }

    fn check(&self, id: &Digest, names: bool) -> Result<(), RemoveError> {
        self.conflict(id, names).map_err(|(conflict, _)| RemoveError::Conflict(conflict))
    }

    /// Why an image cannot be deleted, and whether that is since containers use it.
    fn conflict(&self, id: &Digest, names: bool) -> Result<(), (String, bool)> {
        let conflict = |force: &str, reason: String, used| {
            let id = id.short();
            Err((format!("conflict: unable to delete {id} ({force}) - {reason}"), used))
        };
        if self.index.has_children(id) {
            let reason = "image has dependent child images".to_owned();
            return conflict("cannot be forced", reason, false);
        }
        let mut users = self.users.iter().filter(|user| user.image == *id);
        if let Some(user) = users.clone().find(|user| user.running) {
            let container = short(&user.container);
            let reason = format!("image is being used by running container {container}");
            return conflict("cannot be forced", reason, true);
        }
        if self.options.force {
            return Ok(());
        }
        if names && self.index.references(id).len() > 1 {
            let reason = "image is referenced in multiple repositories".to_owned();
            return conflict("must be forced", reason, false);
        }
        if let Some(user) = users.next() {
            let container = short(&user.container);
            let reason = format!("image is being used by stopped container {container}");
            return conflict("must be forced", reason, true);
        }
        Ok(())
    }

    /// The chain IDs of an image's layers, lowest first (OCI image specification, "Layer ChainID").
    fn chain(&self, id: &Digest) -> Vec<Digest> {
        let layers = self.index.record(id).map(|record| record.layers.as_slice());
        let mut chain: Vec<Digest> = Vec::new();
        for layer in layers.unwrap_or_default() {
            chain.push(match chain.last() {
                None => layer.diff_id,
                Some(parent) => {
                    let mut hasher = Hasher::new();
                    hasher.update(format!("{parent} {}", layer.diff_id).as_bytes());
                    hasher.finish()
                }
            });
        }
        chain
    }
}

/// Whether all names are one tag and digests of its repository.
fn is_single(references: &[Reference]) -> bool {
    if references.len() <= 1 {
        return true;
    }
    let (digests, tags): (Vec<_>, Vec<_>) =
        references.iter().partition(|reference| reference.digest().is_some());
    let repositories: BTreeSet<_> = digests.iter().map(|reference| reference.name()).collect();
    let single = match tags.as_slice() {
        [] => references.first(),
        [tag] => Some(*tag),
        _ => return false,
    };
    repositories.len() == 1 && single.is_some_and(|single| repositories.contains(&single.name()))
}

fn is_id_prefix(id: &Digest, name: &str) -> bool {
    id.to_string().starts_with(name) || id.hex().starts_with(name)
}

/// The 12 digits Docker shows of a container's ID.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
