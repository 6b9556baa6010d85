//! Credentials: what there is, and how registries want it.

mod challenge;
mod docker_config;

pub(crate) use challenge::Challenge;
pub use docker_config::{DockerConfig, DockerConfigError};

use std::fmt;

/// Who asks a registry.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credentials {
    /// An OAuth2 refresh token, as Docker's `identitytoken`.
    IdentityToken(String),
    /// A user name and a password.
    Password {
        /// The user name.
        username: String,
        /// The password or access token.
        password: String,
    },
    /// A bearer token for the registry itself, as Docker's `registrytoken`.
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    /// Never prints secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdentityToken(_) => "Credentials::IdentityToken",
            Self::Password { .. } => "Credentials::Password",
            Self::RegistryToken(_) => "Credentials::RegistryToken",
        })
    }
}
