//! Volumes of `type=tmpfs`: emptied whenever nobody uses them.
//!
//! Docker mounts a tmpfs on the host for as long as containers have the volume. An ordinary user may
//! mount nothing, so here it is a directory that is emptied, with the same owner, mode and limit.

use super::parse_size;
use crate::{Error, Result};

/// What tmpfs(5) calls its options, those that can be honoured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Temporary {
    /// Bytes.
    pub(crate) size: Option<u64>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits of its top.
    pub(crate) mode: u32,
}

impl Default for Temporary {
    fn default() -> Self {
        Self { size: None, uid: 0, gid: 0, mode: 0o1777 }
    }
}

impl Temporary {
    /// Reads options of mount(8).
    pub(super) fn parse<'a>(options: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut parsed = Self::default();
        for option in options {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let invalid =
                || Error::InvalidParameter(format!("tmpfs: Bad value for '{name}': {value}"));
            match name {
                "size" if value == "0" => parsed.size = None,
                "size" => parsed.size = Some(parse_size(value).map_err(|_| invalid())?),
                "uid" => parsed.uid = value.parse().map_err(|_| invalid())?,
                "gid" => parsed.gid = value.parse().map_err(|_| invalid())?,
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
                    parsed.mode = mode.ok_or_else(invalid)?;
                }
                "" | "rw" | "ro" | "defaults" => {}
                _ => {
                    return Err(Error::NotImplemented(format!(
                        "volumes of type \"tmpfs\" have no option \"{option}\": size, uid, gid, mode \
                         and ro are possible"
                    )));
                }
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_mount() {
        let parse = |text: &str| Temporary::parse(text.split(','));
        assert_eq!(parse("").unwrap(), Temporary::default());
        let all = Temporary { size: Some(100 << 20), uid: 1000, gid: 7, mode: 0o700 };
        assert_eq!(parse("size=100m,uid=1000,gid=7,mode=700,rw").unwrap(), all);
        for text in ["size=x", "uid=-1", "mode=9", "mode=17777", "noexec"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
