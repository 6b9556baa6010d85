//! The image store: blobs, images, converted layers, root file systems.
//!
//! One [`Store`] owns the content directories of one Hull home:
//!
//! ```text
//! blobs/sha256/<hex>         OCI content, verified before it gets this name
//! images.json                images and their names, replaced atomically
//! layers/<diff_id hex>/      tree and data: a layer, converted once
//! roots/<id hex>/            meta.erofs, disk.vmdk: the root disk of a chain of layers
//! tmp/                       anything under way; emptied when the store opens
//! ```
//!
//! Everything is published by renaming a finished, verified file, so a process killed at any
//! point leaves files in `tmp/` and at worst content nothing refers to, which [`Store::gc`]
//! removes.

#![deny(unsafe_code)]

mod archive;
mod config;
mod error;
mod home;
mod image;
mod index;
mod ingest;
mod layer;
mod leases;
mod progress;
mod store;

pub use config::{Healthcheck, History, ImageConfig, RootFs, RunConfig};
pub use error::{
    LoadError, LookupError, OpenError, PullError, RemoveError, RootError, SaveError, StoreError,
    TagError,
};
pub use hull_registry::{Credentials, Digest, Platform, Reference};
pub use image::Image;
pub use progress::{LayerStatus, Progress};
pub use store::{
    Composition, ImageUser, Limits, Loaded, PullOptions, Pulled, RemoveOptions, Removed, RootDisk,
    Saving, Settings, Store,
};
