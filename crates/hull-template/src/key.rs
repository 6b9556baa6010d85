//! What templates are known by.

use std::fmt;
use std::str::FromStr;

use hull_vmm::Shape;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::manifest::FORMAT;

/// Digest of everything that a template was made from: a change of any of it is another template.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    /// Returns the key of the template for machines of `shape`, made ready for containers like the
    /// one that the OCI runtime specification `spec` describes.
    pub fn of(shape: &Shape, spec: &RawValue) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(format!("hull template {FORMAT}\n"));
        // A shape has neither maps nor floating point numbers: its JSON is always the same.
        hasher.update(serde_json::to_vec(shape).unwrap_or_default());
        hasher.update(b"\n");
        hasher.update(spec.get());
        Self(hex::encode(hasher.finalize()))
    }

    /// Returns all 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what is enough to tell keys apart on a screen: 12 digits.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits && text.len() == 64 {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAKey),
        }
    }
}

/// Text that is no key.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotAKey;

impl TryFrom<String> for Key {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_are_keys() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(digits.parse::<Key>().unwrap().short(), "0123456789ab");
        assert!("../../etc".parse::<Key>().is_err());
        assert!(digits.to_uppercase().parse::<Key>().is_err());
        assert!(digits[1..].parse::<Key>().is_err());
    }
}
