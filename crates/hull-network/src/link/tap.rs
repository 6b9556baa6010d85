//! Taps: interfaces whose other end is a descriptor.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Makes `tun`, an open `/dev/net/tun`, a tap in the namespace that it was opened in, and returns its
/// name: `name`, where `%d` stands for the first number that is free. Frames have a header with what virtio knows of checksums and segmentation.
pub(super) fn name(tun: &OwnedFd, name: &str) -> io::Result<String> {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as _;
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = request.ifr_name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0);
    Ok(name.map(char::from).collect())
}
