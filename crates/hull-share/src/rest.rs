//! A server at a moment when nothing is under way.

use std::os::unix::net::UnixStream;
use std::sync::MutexGuard;

use rustix::io::Result;

use crate::server::Server;
use crate::{Deleted, Record, ServeError, State};

/// A server that says nothing, of a guest that stands still, and that has answered all that the
/// guest has asked for.
#[derive(Debug)]
pub struct Resting<'a> {
    server: &'a Server,
    _silence: MutexGuard<'a, UnixStream>,
}

impl<'a> Resting<'a> {
    pub(crate) fn of(server: &'a Server) -> Result<Option<Self>> {
        Ok(server.rest()?.map(|silence| Self { server, _silence: silence }))
    }

    /// Returns what the guest knows of its shares, for a server of a copy of that guest.
    ///
    /// # Errors
    /// [`ServeError::State`]: there may be no more descriptors.
    pub fn save(&self) -> std::result::Result<State, ServeError> {
        State::save(&self.server.served().0).map_err(|errno| ServeError::State(errno.into()))
    }

    /// Returns what the guest knows of its shares, to be kept on disk for the day when it goes on,
    /// and what it has open that has no name any more, whose contents are to be kept as well.
    ///
    /// # Errors
    /// [`ServeError::State`]: there may be no more descriptors. [`ServeError::Removed`].
    pub fn record(&self) -> std::result::Result<(Record, Vec<Deleted>), ServeError> {
        Record::save(&self.server.served().0)
    }
}
