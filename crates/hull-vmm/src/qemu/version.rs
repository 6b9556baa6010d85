//! Version of a QEMU binary.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Version as QEMU counts: major, minor, micro.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Version {
    pub major: u16,
    pub minor: u16,
    pub micro: u16,
}

impl Version {
    /// Oldest version that is known to work: the one in Debian 12.
    pub const OLDEST: Self = Self { major: 7, minor: 2, micro: 0 };

    /// Reads what `qemu-system-* --version` prints.
    pub fn parse(output: &str) -> Option<Self> {
        let rest = output.split_once("version ")?.1;
        let number = rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut parts = number.split('.');
        let mut part = || parts.next()?.parse().ok();
        Some(Self { major: part()?, minor: part()?, micro: part().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_are_read() {
        for (output, version) in [
            ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", "10.0.2"),
            ("QEMU emulator version 7.2.15\nCopyright", "7.2.15"),
            ("QEMU emulator version 9.1.50 (v9.1.0-1-gabc)", "9.1.50"),
            ("QEMU emulator version 11.0-rc1", "11.0.0"),
        ] {
            assert_eq!(Version::parse(output).unwrap().to_string(), version);
        }
        assert_eq!(Version::parse("qemu: command not found"), None);
        assert!(Version::parse("version 10.0.2") > Some(Version::OLDEST));
    }
}
