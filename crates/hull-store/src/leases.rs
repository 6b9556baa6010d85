//! What operations under way need, so that nobody removes it under them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hull_registry::Digest;
use tokio::sync::OwnedMutexGuard;

/// Content by digest that is in use without being part of an image yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<HashMap<Digest, usize>>>);

/// Keeps content while it lives.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Leases,
    digests: Vec<Digest>,
}

/// All leases, held still.
pub(crate) type Held<'a> = MutexGuard<'a, HashMap<Digest, usize>>;

impl Leases {
    /// Keeps `digests`, whether they exist yet or not. Take the lease first, then look.
    pub(crate) fn take(&self, digests: impl IntoIterator<Item = Digest>) -> Lease {
        let digests: Vec<_> = digests.into_iter().collect();
        let mut counts = self.hold();
        for digest in &digests {
            *counts.entry(*digest).or_default() += 1;
        }
        drop(counts);
        Lease { leases: self.clone(), digests }
    }

    /// Holds all leases: nobody takes or gives one back.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.leases.hold();
        for digest in &self.digests {
            if let Some(count) = counts.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(digest);
                }
            }
        }
    }
}

/// One lock per digest, so that nothing is made twice at once.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    /// Waits until nobody else has the lock of `digest`.
    pub(crate) async fn lock(&self, digest: Digest) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            match locks.get(&digest).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(digest, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_count() {
        let leases = Leases::default();
        let digest = Digest::of(b"x");
        let (first, second) = (leases.take([digest, digest]), leases.take([digest]));
        drop(first);
        assert!(leases.hold().contains_key(&digest));
        drop(second);
        assert!(leases.hold().is_empty());
    }
}
