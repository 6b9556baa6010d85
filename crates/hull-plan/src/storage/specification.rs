//! `--mount`: Docker's `Mount` objects.

use super::{BindOptions, MountConfig, MountKind, MountPoint, VolumeOptions, mode, tmpfs};
use crate::{Error, path};

/// Reads one entry of `Mounts`.
pub(super) fn parse(mount: &MountConfig) -> Result<MountPoint, Error> {
    let invalid = |why: String| {
        Error::invalid(format!("invalid mount config for type \"{}\": {why}", mount.kind))
    };
    let missing = |field| invalid(format!("field {field} must not be empty"));
    let extra = |field| invalid(format!("field {field} must not be specified"));
    if mount.target.is_empty() {
        return Err(missing("Target"));
    }
    if path::clean(&mount.target) == "/" {
        return Err(invalid("invalid specification: destination can't be '/'".into()));
    }
    absolute(&mount.target).map_err(invalid)?;
    match mount.kind.as_str() {
        "bind" if mount.source.is_empty() => Err(missing("Source")),
        "bind" if mount.volume_options.is_some() => Err(extra("VolumeOptions")),
        "bind" => bind(mount).map_err(invalid),
        "volume" if mount.bind_options.is_some() => Err(extra("BindOptions")),
        "volume" if mount.source.is_empty() && mount.read_only => {
            Err(invalid("must not set ReadOnly mode when using anonymous volumes".into()))
        }
        "volume" => volume(mount).map_err(invalid),
        "tmpfs" if mount.bind_options.is_some() => Err(extra("BindOptions")),
        "tmpfs" if mount.volume_options.is_some() => Err(extra("VolumeOptions")),
        "tmpfs" if !mount.source.is_empty() => Err(extra("Source")),
        "tmpfs" => {
            let text = tmpfs::of(mount);
            tmpfs::options(&text).map_err(|error| invalid(error.to_string()))?;
            let mut point = MountPoint::new(MountKind::Tmpfs, &mount.target);
            (point.tmpfs, point.read_only) = (text, mount.read_only);
            Ok(point)
        }
        _ => Err(invalid("mount type unknown".into())),
    }
}

fn bind(mount: &MountConfig) -> Result<MountPoint, String> {
    let default = BindOptions::default();
    let options = mount.bind_options.as_ref().unwrap_or(&default);
    let propagation = options.propagation.as_str();
    if !propagation.is_empty() && !mode::is_propagation(propagation) {
        return Err(format!("invalid propagation mode: {propagation}"));
    }
    absolute(&mount.source)?;
    let mut point = MountPoint::new(MountKind::Bind, &mount.target);
    point.source = path::clean(&mount.source);
    point.read_only = mount.read_only;
    point.propagation = if propagation.is_empty() { "rprivate" } else { propagation }.into();
    point.create_source = options.create_mountpoint;
    Ok(point)
}

fn volume(mount: &MountConfig) -> Result<MountPoint, String> {
    let default = VolumeOptions::default();
    let options = mount.volume_options.as_ref().unwrap_or(&default);
    let subpath = options.subpath.as_str();
    if subpath.starts_with('/') || subpath.split('/').any(|part| part == "..") {
        return Err("subpath must be a relative path within the volume".into());
    }
    let mut point = MountPoint::new(MountKind::Volume, &mount.target);
    point.name = mount.source.clone();
    point.anonymous = point.name.is_empty();
    point.read_only = mount.read_only;
    point.no_copy = options.no_copy;
    point.subpath = subpath.into();
    point.volume_labels = options.labels.clone();
    if let Some(driver) = &options.driver_config {
        point.driver = driver.name.clone();
        point.volume_options = driver.options.clone();
    }
    Ok(point)
}

fn absolute(path: &str) -> Result<(), String> {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(format!("invalid mount path: '{path}' mount path must be absolute")),
    }
}
