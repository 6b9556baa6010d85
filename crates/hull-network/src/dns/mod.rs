//! Names: a server on all gateways, which knows the containers and asks the host's resolvers for
//! the rest.

mod message;
mod names;
mod server;
mod upstream;

pub(crate) use names::Names;
pub(crate) use server::Server;
pub(crate) use upstream::Upstream;
