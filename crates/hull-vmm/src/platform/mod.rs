//! What differs between hosts.

#[allow(unsafe_code)]
mod clock;
pub(crate) use clock::tsc_khz;

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(target_os = "linux")]
mod pagemap;
#[cfg(target_os = "linux")]
pub(crate) use pagemap::written_memory;

#[cfg(target_os = "macos")]
#[allow(unsafe_code)]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

/// What a VMM's memory is to be good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MemoryUse {
    /// Huge pages, where the VMM asks for them.
    Fast,
    /// No page more than is used: there are many such machines.
    Frugal,
}
