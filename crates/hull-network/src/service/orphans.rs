//! What a service that was killed has left.
#![allow(unsafe_code)]

use std::io;
use std::rc::Rc;

use hull_netlink::{Protocol, Watch};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::namespace::{Namespace, SocketKind};

use super::Shared;

/// Changes to interfaces, after which bridges that nobody has told this service of may have no more
/// containers.
#[derive(Debug)]
pub(super) struct Orphans(AsyncFd<Watch>);

impl Orphans {
    /// Begins to watch the interfaces of the namespace.
    pub(super) fn watch(namespace: &mut Namespace) -> io::Result<Self> {
        let socket = namespace.socket(SocketKind::Netlink(Protocol::Route.number()))?;
        let watch = Watch::on(socket)?;
        // SAFETY: the descriptor is open and owned, and nobody changes which it is.
        Ok(Self(unsafe { AsyncFd::register_with_interest(watch, Interest::READABLE) }?))
    }

    /// Removes each such bridge when the last container on it has gone. Containers that live on tell of
    /// theirs.
    pub(super) async fn sweep(self, shared: Rc<Shared>) {
        loop {
            shared.state.borrow_mut().sweep_orphans();
            let Ok(mut changed) = self.0.readable().await else { return };
            changed.clear_ready();
            self.0.get_ref().has_changed();
        }
    }
}
