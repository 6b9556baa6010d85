//! Carries what two connections send to each other.
//!
//! What is little is copied. Who sends much has it handed from one connection to the other within the
//! kernel, by way of a pipe (splice(2)): where the guest is emulated, the copies would take the time of
//! the processor that it needs.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result, read, write};
use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Carries both directions until both have ended: the end of one is passed on, and the other waited
/// for.
///
/// # Errors
/// One of the connections has broken.
pub(super) async fn carry(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    tokio::try_join!(pass(one, other), pass(other, one)).map(drop)
}

/// Carries one direction to its end.
async fn pass(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    if !copy(from, to, LITTLE).await? {
        match pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) {
            Ok((end, begin)) => hand_on(from, to, &end, &begin).await?,
            // Descriptors have run out.
            Err(_) => drop(copy(from, to, usize::MAX).await?),
        }
    }
    match shutdown(to, Shutdown::Write) {
        // The other end has ended both directions.
        Err(Errno::NOTCONN) => Ok(()),
        done => Ok(done?),
    }
}

/// Copies until `most` bytes or more have been passed on; returns whether it was all that there is.
async fn copy(from: &TcpStream, to: &TcpStream, most: usize) -> io::Result<bool> {
    let mut buffer = vec![0; PIECE];
    let mut passed = 0_usize;
    while passed < most {
        let length = ready(from, Interest::READABLE, || read(from, &mut buffer[..])).await?;
        if length == 0 {
            return Ok(true);
        }
        let mut left = &buffer[..length];
        while !left.is_empty() {
            let length = ready(to, Interest::WRITABLE, || write(to, left)).await?;
            left = &left[length..];
        }
        passed = passed.saturating_add(length);
    }
    Ok(false)
}

/// Passes all that there is on, through the pipe with these ends, which is empty.
async fn hand_on(
    from: &TcpStream,
    to: &TcpStream,
    end: &OwnedFd,
    begin: &OwnedFd,
) -> io::Result<()> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        let take = || splice(from, None, begin, None, SPLICED, flags);
        let mut left = ready(from, Interest::READABLE, take).await?;
        if left == 0 {
            return Ok(());
        }
        while left > 0 {
            let give = || splice(end, None, to, None, left, flags);
            left -= ready(to, Interest::WRITABLE, give).await?;
        }
    }
}

/// Calls `work` until it need not wait for `stream`.
async fn ready<T>(
    stream: &TcpStream,
    interest: Interest,
    mut work: impl FnMut() -> Result<T>,
) -> io::Result<T> {
    stream.async_io(interest, || work().map_err(io::Error::from)).await
}

/// Bytes of a connection that is not worth a pipe: most requests and answers.
const LITTLE: usize = 256 << 10;
/// Bytes that are copied at once.
const PIECE: usize = 64 << 10;
/// Bytes that are asked for at once; a pipe takes what fits into its sixteen places, each of which may
/// have many.
const SPLICED: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    /// Returns the outer ends of two connections between which all is carried.
    async fn carried() -> (TcpStream, TcpStream, JoinHandle<io::Result<()>>) {
        let (client, one) = pair().await;
        let (server, other) = pair().await;
        (client, server, tokio::spawn(async move { carry(&one, &other).await }))
    }

    /// Bytes by whose place one knows them.
    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|place| (place ^ (place >> 8) ^ (place >> 16)) as u8).collect()
    }

    #[tokio::test]
    async fn much_and_little_arrive_whole_in_both_directions_and_ends_are_passed_on() {
        for length in [0, 1, LITTLE - 1, LITTLE, LITTLE + 1, 20 << 20] {
            let (mut client, mut server, carried) = carried().await;
            let asked = content(length);
            let sent = asked.clone();
            let client = tokio::spawn(async move {
                client.write_all(&sent).await.unwrap();
                // Half of it ends.
                client.shutdown().await.unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                answer
            });
            let mut question = Vec::new();
            server.read_to_end(&mut question).await.unwrap();
            assert!(question == asked, "{length}");
            server.write_all(&question).await.unwrap();
            drop(server);
            assert!(client.await.unwrap() == asked, "{length}");
            carried.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_waited_for() {
        let (mut client, mut server, carried) = carried().await;
        let sent = content(64 << 20);
        let expected = sent.clone();
        let mut writing = tokio::spawn(async move { client.write_all(&sent).await });
        let waited = timeout(Duration::from_millis(500), &mut writing).await;
        assert!(waited.is_err(), "64 MiB are nowhere to be kept");
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert!(read == expected);
        writing.await.unwrap().unwrap();
        drop(server);
        carried.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_breaks_is_an_error() {
        for length in [1, 4 * LITTLE] {
            let (mut client, server, carried) = carried().await;
            rustix::net::sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
            client.write_all(&content(length)).await.unwrap();
            drop(server);
            assert!(carried.await.unwrap().is_err());
        }
    }
}
