//! Identifiers that nobody guesses.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::{Error, Result};

/// Returns 64 hexadecimal digits that are not all decimal in their first twelve, so that a short
/// id is never taken for a number (Docker's rule: it is used as a host name).
pub(crate) fn id() -> Result<String> {
    loop {
        let bytes: [u8; 32] = bytes()?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if id[..12].bytes().any(|digit| !digit.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// Returns random bytes of the operating system.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(Error::file("read", source))?;
    Ok(bytes)
}

/// Returns a random number below `bound`, which must not be 0. (The bias of a modulus over 64 bits
/// does not matter for names.)
pub(crate) fn below(bound: usize) -> Result<usize> {
    let number = u64::from_le_bytes(bytes()?);
    Ok((number % bound as u64) as usize)
}
