//! TCP connections with other machines, which only one of two clones can keep.
//!
//! Source: sock_diag(7); `SOCK_DESTROY` of `linux/sock_diag.h`.

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Resets all TCP connections of the caller's network namespace except those over loopback.
pub(crate) fn reset() -> Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut found = Vec::new();
        ask(&socket, BY_FAMILY, libc::NLM_F_DUMP, family as u8, &[0; ID_BYTES], |message| {
            if let Some(id) = message.get(4..4 + ID_BYTES)
                && !is_loopback(family, id)
            {
                found.push(id.to_vec());
            }
        })?;
        for id in found {
            match ask(&socket, DESTROY, libc::NLM_F_ACK, family as u8, &id, |_| {}) {
                // It has ended meanwhile.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Sends a request about the socket `id` and calls `found` with what is said of each.
fn ask(
    socket: &impl std::os::fd::AsFd,
    kind: u16,
    flags: i32,
    family: u8,
    id: &[u8],
    mut found: impl FnMut(&[u8]),
) -> Result<()> {
    let length = (HEADER_BYTES + 8 + ID_BYTES) as u32;
    let flags = (libc::NLM_F_REQUEST | flags) as u16;
    let mut request = Vec::new();
    request.extend(length.to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    request.extend(CONNECTED.to_ne_bytes());
    request.extend(id);
    rustix::net::send(socket, &request, SendFlags::empty())?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while rest.len() >= HEADER_BYTES {
            let size = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let kind = i32::from(u16::from_ne_bytes([rest[4], rest[5]]));
            let Some(message) = rest.get(HEADER_BYTES..size) else { return Err(Errno::PROTO) };
            match kind {
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => {
                    let code = message
                        .get(..4)
                        .map_or(0, |code| i32::from_ne_bytes([code[0], code[1], code[2], code[3]]));
                    return if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(-code)) };
                }
                _ => found(message),
            }
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Whether the far end of the connection `id` is this machine by its loopback address.
fn is_loopback(family: i32, id: &[u8]) -> bool {
    let far = &id[20..36];
    match family {
        libc::AF_INET => far[0] == 127,
        _ => {
            let mapped = far[..10].iter().all(|byte| *byte == 0) && far[10..12] == [0xff; 2];
            (mapped && far[12] == 127) || (far[..15].iter().all(|byte| *byte == 0) && far[15] == 1)
        }
    }
}

const HEADER_BYTES: usize = 16;
/// `struct inet_diag_sockid`.
const ID_BYTES: usize = 48;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`.
const DESTROY: u16 = 21;
/// Established or on the way to or from it (`TCP_ESTABLISHED` and others but `TCP_TIME_WAIT`,
/// `TCP_CLOSE`, `TCP_LISTEN`), one bit each.
const CONNECTED: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_apart() {
        let id = |far: &[u8]| {
            let mut id = vec![0; ID_BYTES];
            id[20..20 + far.len()].copy_from_slice(far);
            id
        };
        assert!(is_loopback(libc::AF_INET, &id(&[127, 0, 0, 1])));
        assert!(!is_loopback(libc::AF_INET, &id(&[10, 0, 0, 1])));
        let mut one = [0; 16];
        one[15] = 1;
        assert!(is_loopback(libc::AF_INET6, &id(&one)));
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
        assert!(is_loopback(libc::AF_INET6, &id(&mapped)));
        one[0] = 0xfe;
        assert!(!is_loopback(libc::AF_INET6, &id(&one)));
    }
}
