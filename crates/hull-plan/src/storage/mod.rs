//! What a container is to be given of directories: Docker's `Binds`, `Mounts` and `Volumes`.

mod mode;
mod raw;
mod specification;
mod tmpfs;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{ContainerConfig, Error, path};

pub use raw::parse_volumes_from;
pub(crate) use tmpfs::options as tmpfs_options;

/// Docker's `Mount` object, as `HostConfig.Mounts` lists it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct MountConfig {
    /// `bind`, `volume` or `tmpfs`.
    #[serde(rename = "Type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Path on the host, or name of a volume.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Means something to Docker Desktop only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// Docker's `BindOptions`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct BindOptions {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// Make a directory at the source if nothing is there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_mountpoint: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_non_recursive: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_force_recursive: bool,
}

/// Docker's `VolumeOptions`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct VolumeOptions {
    /// Do not fill a new volume from the image.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
    /// Directory of the volume to mount instead of all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
}

/// Docker's `DriverConfig`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct DriverConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Docker's `TmpfsOptions`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct TmpfsOptions {
    #[serde(skip_serializing_if = "is_zero")]
    pub size_bytes: i64,
    /// Permission bits; 0: not given.
    #[serde(skip_serializing_if = "is_zero")]
    pub mode: i64,
    /// Options of mount(8), each a name or a name and a value.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Vec<String>>,
}

/// What kind of thing is mounted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    Bind,
    Tmpfs,
    Volume,
}

impl MountKind {
    /// Docker's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Tmpfs => "tmpfs",
            Self::Volume => "volume",
        }
    }
}

/// One mount of a container as it was asked for or, once the engine has found its volume, as it
/// is: Docker's `MountPoint`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MountPoint {
    pub kind: MountKind,
    /// Name of a volume; empty in a request: a new one with a name that is made up.
    #[serde(default)]
    pub name: String,
    /// Path on the host; empty in a request for a volume, and for a tmpfs.
    #[serde(default)]
    pub source: String,
    /// Clean absolute path in the container.
    pub destination: String,
    /// Driver of a volume.
    #[serde(default)]
    pub driver: String,
    /// As given after the second colon of `-v`.
    #[serde(default)]
    pub mode: String,
    #[serde(default)]
    pub read_only: bool,
    /// Of a bind mount.
    #[serde(default)]
    pub propagation: String,
    /// Do not fill the volume from the image.
    #[serde(default)]
    pub no_copy: bool,
    /// Make a directory at the source of a bind mount if nothing is there.
    #[serde(default)]
    pub create_source: bool,
    /// Directory of the volume that is mounted instead of all of it.
    #[serde(default)]
    pub subpath: String,
    /// Labels and driver options for the volume, if it is to be made.
    #[serde(default)]
    pub volume_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub volume_options: BTreeMap<String, String>,
    /// Nobody chose the volume's name: it goes with its container, if that is asked for.
    #[serde(default)]
    pub anonymous: bool,
    /// Options of a tmpfs, as [`crate::HostConfig::tmpfs`] has them.
    #[serde(default)]
    pub tmpfs: String,
}

impl MountPoint {
    /// Returns one that says nothing but where it is.
    pub fn new(kind: MountKind, destination: &str) -> Self {
        Self {
            kind,
            name: String::new(),
            source: String::new(),
            destination: path::clean(destination),
            driver: String::new(),
            mode: String::new(),
            read_only: false,
            propagation: String::new(),
            no_copy: false,
            create_source: false,
            subpath: String::new(),
            volume_labels: BTreeMap::new(),
            volume_options: BTreeMap::new(),
            anonymous: false,
            tmpfs: String::new(),
        }
    }
}

/// Returns the mounts that a container asks for by `Binds` and `Mounts`, in Docker's words if they
/// make no sense. What it has from other containers and anonymous volumes are the engine's.
///
/// # Errors
/// [`Error::Invalid`].
pub fn requested_mounts(config: &ContainerConfig) -> Result<Vec<MountPoint>, Error> {
    let host = &config.host;
    let mut points: Vec<MountPoint> = Vec::new();
    for bind in &host.binds {
        let point = raw::parse(bind, &host.volume_driver)?;
        let tmpfs = host.tmpfs.keys().any(|path| path::clean(path) == point.destination);
        add(&mut points, point, tmpfs)?;
    }
    for mount in &host.mounts {
        add(&mut points, specification::parse(mount)?, false)?;
    }
    Ok(points)
}

fn add(points: &mut Vec<MountPoint>, point: MountPoint, is_taken: bool) -> Result<(), Error> {
    if is_taken || points.iter().any(|other| other.destination == point.destination) {
        return Err(Error::invalid(format!("Duplicate mount point: {}", point.destination)));
    }
    points.push(point);
    Ok(())
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
