//! `-v`: `source:destination[:mode]`.

use super::{BindOptions, MountConfig, MountPoint, VolumeOptions, mode, specification};
use crate::Error;

/// Reads one entry of `Binds`.
pub(super) fn parse(text: &str, driver: &str) -> Result<MountPoint, Error> {
    let invalid = || Error::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    let (source, target, given) = match parts[..] {
        ["", ..] => return Err(invalid()),
        [target] => ("", target, ""),
        // A destination with a mode is no volume.
        [_, target] if mode::is_valid(target) => return Err(invalid()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(invalid()),
    };
    if !mode::is_valid(given) {
        return Err(Error::invalid(format!("invalid mode: {given}")));
    }
    let is_bind = source.starts_with('/');
    let propagation = mode::propagation(given);
    let bind_options = (!propagation.is_empty())
        .then(|| BindOptions { propagation: propagation.into(), ..BindOptions::default() });
    let volume_options = mode::is_no_copy(given)
        .then(|| VolumeOptions { no_copy: true, ..VolumeOptions::default() });
    let mount = MountConfig {
        kind: if is_bind { "bind" } else { "volume" }.into(),
        source: source.into(),
        target: target.into(),
        read_only: !mode::is_writable(given),
        bind_options,
        volume_options,
        ..MountConfig::default()
    };
    let mut point = specification::parse(&mount)
        .map_err(|error| Error::invalid(format!("{}: {error}", invalid())))?;
    point.mode = given.into();
    point.create_source = is_bind;
    if !is_bind && !driver.is_empty() {
        point.driver = driver.into();
    }
    Ok(point)
}

/// Reads one entry of `VolumesFrom`: a container, and whether its volumes may be written.
///
/// # Errors
/// [`Error::Invalid`], in Docker's words.
pub fn parse_volumes_from(text: &str) -> Result<(&str, bool), Error> {
    if text.is_empty() {
        return Err(Error::invalid("volumes-from specification cannot be an empty string"));
    }
    let (container, given) = text.split_once(':').unwrap_or((text, "rw"));
    let is_usable =
        mode::is_valid(given) && mode::propagation(given).is_empty() && !mode::is_no_copy(given);
    match is_usable {
        true => Ok((container, mode::is_writable(given))),
        false => Err(Error::invalid(format!("invalid mode: {given}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MountKind;

    #[test]
    fn sources_are_paths_or_names() {
        let bind = parse("/a/b:/c/../d:ro,rslave", "x").unwrap();
        assert_eq!((bind.kind, bind.source.as_str()), (MountKind::Bind, "/a/b"));
        assert_eq!((bind.destination.as_str(), bind.propagation.as_str()), ("/d", "rslave"));
        assert!(bind.read_only && bind.create_source && bind.driver.is_empty());
        let volume = parse("data:/d:nocopy", "").unwrap();
        assert_eq!((volume.kind, volume.name.as_str()), (MountKind::Volume, "data"));
        assert!(volume.no_copy && !volume.read_only);
        assert!(parse("/d", "").unwrap().anonymous);
    }

    #[test]
    fn dockers_words() {
        let fails = |text: &str| parse(text, "").unwrap_err().to_string();
        assert_eq!(fails(":/x"), "invalid volume specification: ':/x'");
        assert_eq!(fails("/x:ro"), "invalid volume specification: '/x:ro'");
        assert_eq!(fails("/a:/b:ro:x"), "invalid volume specification: '/a:/b:ro:x'");
        assert_eq!(fails("/a:/b:foo"), "invalid mode: foo");
        assert_eq!(
            fails("/a:/"),
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": \
             invalid specification: destination can't be '/'"
        );
        assert_eq!(
            fails("a:b"),
            "invalid volume specification: 'a:b': invalid mount config for type \"volume\": \
             invalid mount path: 'b' mount path must be absolute"
        );
        assert_eq!(
            fails("a:/b:shared"),
            "invalid volume specification: 'a:/b:shared': invalid mount config for type \
             \"volume\": field BindOptions must not be specified"
        );
    }

    #[test]
    fn volumes_from() {
        assert_eq!(parse_volumes_from("c").unwrap(), ("c", true));
        assert_eq!(parse_volumes_from("c:ro").unwrap(), ("c", false));
        for bad in ["", "c:foo", "c:shared", "c:nocopy"] {
            assert!(parse_volumes_from(bad).is_err(), "{bad}");
        }
    }
}
