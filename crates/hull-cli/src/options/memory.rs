//! Sizes in bytes: `--memory`, `--shm-size`.

use crate::flags::Value;

/// A size such as `512m` or `1.5g`; units are powers of 1024.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Memory(pub(crate) i64);

/// Memory and swap together; -1: as much swap as there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct MemorySwap(pub(crate) i64);

impl Value for MemorySwap {
    fn set(&mut self, text: &str) -> Result<(), String> {
        if text == "-1" {
            self.0 = -1;
            return Ok(());
        }
        let mut size = Memory::default();
        size.set(text)?;
        self.0 = size.0;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "bytes"
    }
}

impl Value for Memory {
    fn set(&mut self, text: &str) -> Result<(), String> {
        self.0 = hull_format::ram_in_bytes(text).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn type_name(&self) -> &'static str {
        "bytes"
    }
}
