//! Machine architectures of guests.

/// Architecture of a guest kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    /// Returns the architecture that `uname -m`, Rust or Go call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }
}
