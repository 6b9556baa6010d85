//! Descriptors that go with bytes over a unix socket (`unix(7)`, `SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors of one message at most (`SCM_MAX_FD` of Linux's `net/scm.h`).
pub const MOST: usize = 253;

/// Sends `bytes`, and `descriptors` with the first of them. Returns how many bytes were sent.
///
/// # Errors
/// sendmsg(2), which never raises SIGPIPE; `InvalidInput` for more than [`MOST`] descriptors.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = descriptors.is_empty()
        || descriptors.len() <= MOST && control.push(SendAncillaryMessage::ScmRights(descriptors));
    if !fits {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Receives bytes into `buffer` and appends the descriptors that came with them, which are closed
/// on execve(2). Returns how many bytes; 0 if the other end has been closed.
///
/// # Errors
/// recvmsg(2).
pub fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, RECEIVE) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            descriptors.extend(more);
        }
    }
    if cfg!(not(target_os = "linux")) {
        for descriptor in descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
    }
    Ok(received.bytes)
}

#[cfg(target_os = "linux")]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE: RecvFlags = RecvFlags::empty();

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_arrive_in_order_and_are_not_inherited() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let files = [File::open("/dev/null").unwrap(), File::open("/dev/zero").unwrap()];
        let sent = [files[0].as_fd(), files[1].as_fd()];
        assert_eq!(send(&ours, b"two", &sent).unwrap(), 3);
        assert_eq!(send(&ours, b"none", &[]).unwrap(), 4);
        drop(ours);
        let (mut buffer, mut received) = ([0; 16], Vec::new());
        assert_eq!(receive(&theirs, &mut buffer, &mut received).unwrap(), 3);
        assert_eq!(&buffer[..3], b"two");
        for (file, descriptor) in files.iter().zip(received.drain(..)) {
            let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            let inode = File::from(descriptor).metadata().unwrap().ino();
            assert_eq!(inode, file.metadata().unwrap().ino());
        }
        assert_eq!(receive(&theirs, &mut buffer, &mut received).unwrap(), 4);
        assert_eq!(receive(&theirs, &mut buffer, &mut received).unwrap(), 0);
        assert!(received.is_empty());
    }

    #[test]
    fn as_many_as_the_kernel_takes_are_sent_and_no_more() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let error = send(&ours, b"x", &[file.as_fd(); MOST + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        send(&ours, b"x", &[file.as_fd(); MOST]).unwrap();
        let mut received = Vec::new();
        receive(&theirs, &mut [0], &mut received).unwrap();
        assert_eq!(received.len(), MOST);
    }
}
