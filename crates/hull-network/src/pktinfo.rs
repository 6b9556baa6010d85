//! Datagrams with the address of this host that they came to: an answer must come from there, and a
//! socket that is bound to all addresses would send it from the one that its route prefers
//! (`IP_PKTINFO` in ip(7), `IPV6_PKTINFO` in ipv6(7)).
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use libc::{c_int, c_void};
use rustix::net::addr::{SocketAddrArg as _, SocketAddrOpaque};
use rustix::net::{AddressFamily, sockopt};

/// Has the kernel tell of every datagram on `socket` where it came to.
pub(crate) fn enable(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    let (level, name) = match sockopt::socket_domain(socket)? {
        AddressFamily::INET6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        _ => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: c_int = 1;
    // SAFETY: the option is an int, which lives for the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) from: SocketAddr,
    /// Where it came to, if the kernel has said so.
    pub(crate) to: Option<IpAddr>,
}

/// Receives a datagram from a socket that does not block.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: zeroes are a message without anything.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    // SAFETY: all that the message points to lives for the call, and has the sizes that it says.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has written an address there; what it left is zero.
    let from = address(unsafe { &*name.as_ptr() })
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel has filled the message in.
    let to = unsafe { destination(&message) };
    Ok(Received { length, from, to })
}

/// Sends a datagram from the address `from` of this host.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; CONTROL]);
    let send = |name: *const SocketAddrOpaque, length| {
        // SAFETY: zeroes are a message without anything.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = name.cast_mut().cast();
        message.msg_namelen = length as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if let Some(from) = from {
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = CONTROL as _;
            // SAFETY: the control buffer has room for one of either, and is aligned for its header.
            message.msg_controllen = unsafe { source(&message, from) } as _;
        }
        // SAFETY: all that the message points to lives for the call; the kernel only reads it.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the kernel reads the address, as long as it is, and nothing else does.
    unsafe { to.with_sockaddr(send) }
}

/// # Safety
/// `message` must be one that the kernel has filled in.
unsafe fn destination(message: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: as the caller promises; the kernel's headers lie within the control buffer.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    // The address of this host, where `ipi_addr` may be a broadcast one.
                    return Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => header = libc::CMSG_NXTHDR(message, header),
            }
        }
        None
    }
}

/// Writes the one control message that says where a datagram is sent from; returns its length.
///
/// # Safety
/// `message` must have an aligned control buffer of [`CONTROL`] zeroes.
unsafe fn source(message: &libc::msghdr, from: IpAddr) -> usize {
    // SAFETY: as the caller promises; CONTROL is room for the larger of both.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let data = libc::CMSG_DATA(header);
        let (level, kind, length) = match from {
            IpAddr::V4(from) => {
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(from.octets());
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
            }
            IpAddr::V6(from) => {
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = from.octets();
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
            }
        };
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(length as u32) as _;
        libc::CMSG_SPACE(length as u32) as usize
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is one; the storage is large and aligned enough.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = IpAddr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(address, u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::V6(std::net::SocketAddrV6::new(
                name.sin6_addr.s6_addr.into(),
                u16::from_be(name.sin6_port),
                name.sin6_flowinfo,
                name.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

/// A control buffer, aligned as `struct cmsghdr` has to be.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Bytes of one `in6_pktinfo` with its header, and more than those of an `in_pktinfo`.
const CONTROL: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn answers_come_from_where_the_question_went_to() {
        for (all, addresses) in
            [("0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.9.8.7"][..]), ("[::]:0", &["::1"])]
        {
            let Ok(server) = UdpSocket::bind(all) else { continue };
            enable(&server).unwrap();
            for address in addresses {
                let address: IpAddr = address.parse().unwrap();
                let target = SocketAddr::new(address, server.local_addr().unwrap().port());
                let client = UdpSocket::bind(SocketAddr::new(all_of(address), 0)).unwrap();
                client.connect(target).unwrap();
                client.send(b"question").unwrap();
                let mut buffer = [0; 16];
                let received = receive(server.as_fd(), &mut buffer).unwrap();
                let own = client.local_addr().unwrap();
                let wanted = Received { length: 8, from: own, to: Some(address) };
                assert_eq!((received, &buffer[..8]), (wanted, &b"question"[..]));
                send(server.as_fd(), b"answer", received.from, received.to).unwrap();
                // A connected socket takes only what comes from its peer.
                assert_eq!(client.recv(&mut buffer).unwrap(), 6);
            }
        }
    }

    fn all_of(address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}
