//! Volumes: directories that outlive containers.

mod mounts;
mod operations;
mod provide;
mod store;
mod temporary;
mod unfilled;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(crate) use store::Volumes;

use temporary::Temporary;

/// A volume of the driver `local`, the only one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Volume {
    pub name: String,
    pub created: Timestamp,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Driver options as given.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Where its content is on the host.
    #[serde(skip)]
    pub mountpoint: PathBuf,
}

/// What to create; an empty name is made up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CreateVolume {
    pub name: String,
    /// Empty or `local`.
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

/// What pruning removed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PrunedVolumes {
    pub names: Vec<String>,
    /// Bytes on the host's disk.
    pub reclaimed: u64,
}

impl Volume {
    /// Whether nobody chose its name.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }

    /// Returns the directory that a volume with the options `type=none,o=bind` stands for.
    pub(crate) fn device(&self) -> Option<PathBuf> {
        let bind = self.options.get("o").is_some_and(|o| o.split(',').any(is_bind));
        bind.then(|| self.options.get("device").map(PathBuf::from)).flatten()
    }

    /// Returns the file by which its users know of each other.
    pub(crate) fn lease(&self) -> PathBuf {
        self.mountpoint.with_file_name("lease")
    }

    /// Returns the directory with its content.
    pub(crate) fn top(&self) -> PathBuf {
        self.device().unwrap_or_else(|| self.mountpoint.clone())
    }

    /// Whether its options say that nobody may write to it.
    pub(crate) fn is_read_only(&self) -> bool {
        self.mount_options().any(|option| option == "ro")
    }

    /// Returns what it is if it is in use only for a while (`type=tmpfs`).
    pub(crate) fn temporary(&self) -> Option<Temporary> {
        let is_temporary = self.options.get("type").is_some_and(|kind| kind == TMPFS);
        // Checked when it was made.
        is_temporary.then(|| Temporary::parse(self.mount_options()).unwrap_or_default())
    }

    /// Bytes that it may grow to.
    pub(crate) fn size_limit(&self) -> Option<u64> {
        let own = self.options.get("size").and_then(|size| parse_size(size).ok());
        own.or_else(|| self.temporary()?.size)
    }

    fn mount_options(&self) -> impl Iterator<Item = &str> {
        self.options.get("o").into_iter().flat_map(|o| o.split(','))
    }
}

impl CreateVolume {
    /// Checks everything but whether there is such a volume, in Docker's words.
    fn validate(&self) -> Result<()> {
        if !matches!(self.driver.as_str(), "" | LOCAL) {
            return Err(Error::NotFound(format!(
                "error looking up volume plugin {0}: plugin \"{0}\" not found",
                self.driver
            )));
        }
        check_name(&self.name)?;
        let invalid = |message: String| Err(Error::InvalidParameter(message));
        for (option, value) in &self.options {
            match option.as_str() {
                "type" | "o" | "device" => {}
                "size" => drop(parse_size(value)?),
                _ => return invalid(format!("invalid option: \"{option}\"")),
            }
        }
        let given = |option: &str| self.options.get(option).map_or("", String::as_str);
        let (kind, o, device) = (given("type"), given("o"), given("device"));
        if (kind, o, device) == ("", "", "") {
            return Ok(());
        }
        if kind.is_empty() {
            return invalid("missing required option: \"type\"".into());
        }
        if device.is_empty() {
            return invalid("missing required option: \"device\"".into());
        }
        let binds = o.split(',').any(is_bind);
        match (kind, binds, device.starts_with('/')) {
            ("none" | "bind", true, true) => Ok(()),
            (TMPFS, false, _) => Temporary::parse(o.split(',')).map(drop),
            _ => Err(Error::NotImplemented(format!(
                "volumes of type \"{kind}\" are not supported: mount it on the host, and use \
                 type=none, o=bind and the absolute path of that directory as device"
            ))),
        }
    }
}

fn is_bind(option: &str) -> bool {
    matches!(option, "bind" | "rbind")
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Ok(());
    }
    if name.len() == 1 {
        return Err(Error::InvalidParameter(
            "volume name is too short, names should be at least two alphanumeric characters".into(),
        ));
    }
    let is_first = |byte: &u8| byte.is_ascii_alphanumeric();
    let is_later = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match name.as_bytes().first().is_some_and(is_first) && name.bytes().all(is_later) {
        // The longest name of a file.
        true if name.len() <= 255 => Ok(()),
        true => Err(Error::InvalidParameter(format!(
            "the name of the volume has {} characters, and 255 are possible",
            name.len()
        ))),
        false => Err(Error::InvalidParameter(format!(
            "\"{name}\" includes invalid characters for a local volume name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, \
             use absolute path"
        ))),
    }
}

/// Reads a size as Docker writes it: a number and a unit of powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64> {
    let invalid = || Error::InvalidParameter(format!("invalid size: '{text}'"));
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower[number.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(invalid()),
    };
    let number: f64 = number.trim().parse().map_err(|_| invalid())?;
    let bytes = number * (1_u64 << shift) as f64;
    match bytes.is_finite() && (1.0..9e18).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(invalid()),
    }
}

/// Type of volumes that are emptied when nobody uses them.
const TMPFS: &str = "tmpfs";
/// Name of the driver.
pub(crate) const LOCAL: &str = "local";
/// Label of a volume whose name nobody chose.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for name in ["", "ab", "A.b_c-1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["a", ".ab", "a/b", "a b", "-a", "../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("10", 10), ("1k", 1024), ("1.5M", 3 << 19), ("2GiB", 2 << 30)] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "x", "1x", "-1", "0", "1e30"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_that_cannot_be_honoured_are_refused() {
        let check = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            CreateVolume { options, ..CreateVolume::default() }.validate()
        };
        assert!(check(&[("size", "1g")]).is_ok());
        assert!(check(&[("type", "none"), ("o", "bind"), ("device", "/x")]).is_ok());
        assert!(check(&[("type", "none"), ("o", "bind"), ("device", "x")]).is_err());
        let tmpfs = |o| check(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", o)]);
        assert!(tmpfs("size=100m,uid=1000").is_ok());
        assert!(tmpfs("nr_inodes=5").unwrap_err().to_string().contains("nr_inodes"));
        assert!(check(&[("type", "nfs"), ("o", "addr=x"), ("device", ":/x")]).is_err());
        let error = check(&[("foo", "1")]).unwrap_err();
        assert_eq!(error.to_string(), "invalid option: \"foo\"");
        let error = check(&[("o", "bind")]).unwrap_err();
        assert_eq!(error.to_string(), "missing required option: \"type\"");
    }
}
