//! Platforms, parsed and matched as containerd's `platforms` package does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system, a CPU architecture and its variant.
///
/// Field names are those of the OCI image index; values are Go's (`linux`, `amd64`, `arm64`).
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Platform {
    /// Go's GOOS, as `linux`.
    #[serde(default)]
    pub os: String,
    /// Go's GOARCH, as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// CPU variant, as `v7`; empty when there is none or it is the default one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// What guests on this host are: `linux` on the architecture this was built for.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, "")
    }

    /// A normalised platform.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let os = normal_os(os);
        let (architecture, variant) = normal_architecture(architecture, variant);
        Self { os, architecture, variant }
    }

    /// This platform with aliases replaced: `x86_64` becomes `amd64`, `arm64/v8` becomes `arm64`.
    pub fn normalised(&self) -> Self {
        Self::new(&self.os, &self.architecture, &self.variant)
    }

    /// How well an image for `other` suits when this platform is asked for: 0 is best, larger is
    /// worse, `None` not at all.
    ///
    /// As containerd's `platforms.Only`: arm takes lower variants (`arm/v7` runs `v6` and `v5`;
    /// `arm64` runs 32-bit arm), and `amd64/v3` takes `v2` and plain `amd64`. `386` on `amd64` is
    /// taken as well, last.
    pub fn suits(&self, other: &Self) -> Option<usize> {
        let other = other.normalised();
        candidates(&self.normalised()).iter().position(|candidate| *candidate == other)
    }

    /// Whether an image for `other` is exactly what was asked for.
    ///
    /// As containerd's `platforms.OnlyStrict`: variants must be equal, after normalising.
    pub fn is(&self, other: &Self) -> bool {
        self.normalised() == other.normalised()
    }
}

impl fmt::Display for Platform {
    /// `os/arch[/variant]`, as Docker prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "") => f.write_str("/v8"),
            (_, "") => Ok(()),
            (_, variant) => write!(f, "/{variant}"),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `os/arch/variant`, `os/arch`, `os` or `arch`; what is left out is the host's.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let invalid = |reason| PlatformError { text: text.to_owned(), reason };
        if text.contains('*') {
            return Err(invalid("wildcards not yet supported: invalid argument".to_owned()));
        }
        let parts: Vec<&str> = text.split('/').collect();
        for part in &parts {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
            if part.is_empty() || !part.bytes().all(word) {
                return Err(invalid(format!(
                    "{} is an invalid component of {}: platform specifier component must match \
                     {}: invalid argument",
                    quoted(part),
                    quoted(text),
                    quoted("^[A-Za-z0-9_-]+$"),
                )));
            }
        }
        match parts.as_slice() {
            [one] => {
                let os = normal_os(one);
                if KNOWN_OS.contains(&os.as_str()) {
                    return Ok(Self { os, ..Self::host() });
                }
                let (architecture, variant) = normal_architecture(one, "");
                if KNOWN_ARCHITECTURES.contains(&architecture.as_str()) {
                    let os = "linux".to_owned();
                    return Ok(Self { os, architecture, variant });
                }
                Err(invalid(format!(
                    "{}: unknown operating system or architecture: invalid argument",
                    quoted(one)
                )))
            }
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(invalid(format!(
                "{}: cannot parse platform specifier: invalid argument",
                quoted(text)
            ))),
        }
    }
}

/// A text that names no platform. The wording is containerd's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct PlatformError {
    /// What was given.
    pub text: String,
    reason: String,
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn normal_os(os: &str) -> String {
    let os = os.to_ascii_lowercase();
    match os.as_str() {
        "macos" => "darwin".to_owned(),
        "" => "linux".to_owned(),
        _ => os,
    }
}

fn normal_architecture(architecture: &str, variant: &str) -> (String, String) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386" | "i686" | "x86" | "386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        (architecture, variant) => (architecture, variant),
    };
    (architecture.to_owned(), variant.to_owned())
}

/// Every platform that can run where `wanted` can, best first.
fn candidates(wanted: &Platform) -> Vec<Platform> {
    let at = |architecture: &str, variant: &str| Platform {
        os: wanted.os.clone(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
    };
    let lower = |variant: &str, least: u32| {
        let level = variant.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()).unwrap_or(0);
        (least..level.min(16)).rev()
    };
    let mut all = vec![wanted.clone()];
    match wanted.architecture.as_str() {
        "amd64" => {
            all.extend(lower(&wanted.variant, 2).map(|level| at("amd64", &format!("v{level}"))));
            if !wanted.variant.is_empty() {
                all.push(at("amd64", ""));
            }
            all.push(at("386", ""));
        }
        "arm" => {
            all.extend(lower(&wanted.variant, 5).map(|level| at("arm", &format!("v{level}"))));
        }
        "arm64" => {
            if !wanted.variant.is_empty() {
                all.push(at("arm64", ""));
            }
            all.extend([8, 7, 6, 5].map(|level| at("arm", &format!("v{level}"))));
        }
        _ => {}
    }
    all
}

const KNOWN_OS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const KNOWN_ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn parses_and_normalises() {
        for (text, os, architecture, variant, shown) in [
            ("linux/amd64", "linux", "amd64", "", "linux/amd64"),
            ("Linux/x86_64", "linux", "amd64", "", "linux/amd64"),
            ("linux/amd64/v1", "linux", "amd64", "", "linux/amd64"),
            ("linux/amd64/v3", "linux", "amd64", "v3", "linux/amd64/v3"),
            ("linux/arm64/v8", "linux", "arm64", "", "linux/arm64/v8"),
            ("linux/aarch64", "linux", "arm64", "", "linux/arm64/v8"),
            ("linux/arm", "linux", "arm", "v7", "linux/arm/v7"),
            ("linux/arm/6", "linux", "arm", "v6", "linux/arm/v6"),
            ("linux/armhf", "linux", "arm", "v7", "linux/arm/v7"),
            ("linux/386", "linux", "386", "", "linux/386"),
            ("i386", "linux", "386", "", "linux/386"),
            ("windows/amd64", "windows", "amd64", "", "windows/amd64"),
            ("macos/arm64", "darwin", "arm64", "", "darwin/arm64/v8"),
        ] {
            let platform = parse(text);
            assert_eq!(
                (platform.os.as_str(), platform.architecture.as_str(), platform.variant.as_str()),
                (os, architecture, variant),
                "{text}"
            );
            assert_eq!(platform.to_string(), shown);
        }
        assert_eq!(parse("linux"), Platform::host());
    }

    #[test]
    fn refuses_nonsense() {
        for text in ["", "/", "linux/", "a/b/c/d", "linux/*", "toaster", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn better_matches_come_first() {
        let wanted = parse("linux/arm64");
        assert_eq!(wanted.suits(&parse("linux/arm64/v8")), Some(0));
        assert!(wanted.suits(&parse("linux/arm/v7")).unwrap() > 0);
        assert_eq!(wanted.suits(&parse("linux/amd64")), None);
        assert_eq!(parse("linux/arm/v6").suits(&parse("linux/arm/v7")), None);
        assert!(parse("linux/arm/v7").suits(&parse("linux/arm/v6")).is_some());
        assert!(parse("linux/amd64/v3").suits(&parse("linux/amd64")).is_some());
        assert_eq!(parse("linux/amd64").suits(&parse("linux/amd64/v2")), None);
        assert!(parse("linux/amd64").suits(&parse("linux/386")).is_some());
        assert_eq!(parse("linux/amd64").suits(&parse("windows/amd64")), None);
    }
}
