//! Names: a server on every gateway, which knows the containers and asks the host's resolvers for
//! the rest.

mod message;
mod names;
mod server;
mod upstream;

pub(crate) use names::Names;
pub(crate) use server::{Knowledge, Server, Sockets};
pub(crate) use upstream::Upstream;
