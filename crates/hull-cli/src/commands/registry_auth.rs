//! Credentials for registries, from Docker's client configuration.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use hull_registry::{Credentials, DockerConfig, Reference};
use serde_json::json;

use crate::context::Context;
use crate::error::Failure;
use crate::output;

/// Returns the `X-Registry-Auth` header for the registry of `reference`; `None` without
/// credentials for it.
pub(super) async fn header(
    context: &Context,
    reference: &Reference,
) -> Result<Option<String>, Failure> {
    let failed = |error| Failure::new(output::chain(&error));
    let config = DockerConfig::load(&context.config.join("config.json")).map_err(failed)?;
    let credentials = config.credentials(reference.domain()).await.map_err(failed)?;
    let value = match credentials {
        Some(Credentials::Password { username, password }) => {
            json!({"username": username, "password": password})
        }
        Some(Credentials::IdentityToken(token)) => json!({"identitytoken": token}),
        Some(Credentials::RegistryToken(token)) => json!({"registrytoken": token}),
        _ => return Ok(None),
    };
    Ok(Some(BASE64_URL_SAFE.encode(value.to_string())))
}
