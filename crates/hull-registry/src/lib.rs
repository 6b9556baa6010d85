//! Image references and a client for OCI distribution registries.
//!
//! - [`Reference`]: image names, parsed and normalised as Docker does.
//! - [`Platform`]: which entry of a multi-platform index is wanted.
//! - [`Client`]: manifests and blobs from a registry, every byte verified.
//! - [`DockerConfig`]: credentials from Docker's `config.json` and its helpers.
//!
//! Nothing here reads the environment or the home directory: callers pass paths in.

#![deny(unsafe_code)]

mod auth;
mod client;
mod digest;
mod error;
mod manifest;
mod platform;
mod reference;

pub use auth::{Credentials, DockerConfig, DockerConfigError};
pub use client::{BlobStream, Client, Download, Proxy, Repository, Resolved, Settings, Timeouts};
pub use digest::{Digest, DigestError, Hasher};
pub use error::{ApiError, Cause, Error, Kind};
pub use manifest::{Content, Descriptor, Document, Index, Manifest, ManifestError, MediaType};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
