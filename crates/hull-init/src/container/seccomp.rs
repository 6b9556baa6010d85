//! The seccomp program that the host compiled.

use std::ffi::c_ulong;

use hull_spec::Spec;

use crate::failure::{Context, Failure, Result};
use crate::sys;

/// A program and how to load it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Program {
    instructions: Vec<u8>,
    flags: c_ulong,
}

impl Program {
    /// Reads the program for a container of `spec`.
    pub(crate) fn of(spec: &Spec, base64: Option<&str>) -> Result<Option<Self>> {
        let seccomp = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
        let flags = seccomp.map(|seccomp| seccomp.flags.as_slice()).unwrap_or_default();
        base64.map(|program| Self::decode(program, flags)).transpose()
    }

    /// Decodes `struct sock_filter[]` from base64; `flags` are those of the specification.
    pub(crate) fn decode(base64: &str, flags: &[String]) -> Result<Self> {
        let instructions = decode_base64(base64)
            .filter(|bytes| !bytes.is_empty() && bytes.len() % 8 == 0)
            .ok_or_else(|| Failure::invalid("malformed seccomp program"))?;
        let mut bits = 0;
        for flag in flags {
            bits |= match flag.as_str() {
                "SECCOMP_FILTER_FLAG_TSYNC" => 1,
                "SECCOMP_FILTER_FLAG_LOG" => 2,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
                flag => {
                    return Err(Failure::invalid(format!("seccomp flag {flag:?} is unknown")));
                }
            };
        }
        Ok(Self { instructions, flags: bits })
    }

    pub(crate) fn load(&self) -> Result<()> {
        sys::seccomp(&self.instructions, self.flags)
            .context(|| "error loading seccomp filter".into())
    }
}

/// Decodes standard base64 with padding; `None` if it is malformed.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in chunk {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - chunk.len());
        let length = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        out.extend_from_slice(&bits.to_be_bytes()[1..1 + length]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(decode_base64("").unwrap(), b"");
        assert_eq!(decode_base64("Zg==").unwrap(), b"f");
        assert_eq!(decode_base64("Zm8=").unwrap(), b"fo");
        assert_eq!(decode_base64("Zm9vYg==").unwrap(), b"foob");
        assert_eq!(decode_base64("/+A=").unwrap(), [0xff, 0xe0]);
        assert_eq!(decode_base64("Zg==Zg=="), None);
        assert_eq!(decode_base64("Z"), None);
    }
}
