//! Those who know the names that are nobody's here: the host's resolvers, or those that a container
//! wants to be asked.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::protocol::Transport;
use crate::publish::{Dialer, dial, socket};

/// Asks the resolvers that the host's `resolv.conf` names, as it is now, and others from inside the
/// namespace.
#[derive(Debug)]
pub(crate) struct Upstream {
    path: PathBuf,
    read: RefCell<Read>,
    namespace: Dialer,
}

#[derive(Debug, Default)]
struct Read {
    stamp: Option<Stamp>,
    servers: Vec<SocketAddr>,
}

/// What changes with a file: inode, size, and time in seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl Upstream {
    pub(crate) fn new(path: impl Into<PathBuf>, namespace: Dialer) -> Self {
        Self { path: path.into(), read: RefCell::default(), namespace }
    }

    /// Asks the resolvers `inside` the namespace, or the host's if that names none: one after the
    /// other, without waiting long for one before the next is asked, too. `None` if none answers.
    pub(super) async fn ask(
        &self,
        packet: &[u8],
        stream: bool,
        inside: &[IpAddr],
    ) -> Option<Vec<u8>> {
        let resolvers: Vec<Resolver> = match inside {
            [] => self
                .read
                .borrow_mut()
                .servers(&self.path)
                .into_iter()
                .map(Resolver::of_host)
                .collect(),
            inside => {
                let inside = inside.iter().map(|address| SocketAddr::new(*address, PORT));
                let through = || Some(Dialer::clone(&self.namespace));
                inside.map(|server| Resolver { server, through: through() }).collect()
            }
        };
        first_answer(resolvers, packet, stream).await
    }
}

impl Read {
    fn servers(&mut self, path: &Path) -> Vec<SocketAddr> {
        let stamp = fs::metadata(path)
            .map(|file| (file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
            .ok();
        if self.stamp != stamp || stamp.is_none() {
            // What cannot be read names nobody.
            let text = fs::read_to_string(path).unwrap_or_default();
            *self = Self { stamp, servers: parse(&text) };
        }
        self.servers.clone()
    }
}

/// Returns the servers of resolv.conf(5). A zone (`fe80::1%eth0`) is not understood.
fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address: IpAddr =
            (words.next()? == "nameserver").then(|| words.next())??.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    };
    let found: Vec<SocketAddr> = text.lines().filter_map(server).take(MOST_SERVERS).collect();
    match found.is_empty() {
        // What the C library does.
        true => vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)],
        false => found,
    }
}

/// Returns the first answer that is one; a refusal only if all refuse.
async fn first_answer(resolvers: Vec<Resolver>, packet: &[u8], stream: bool) -> Option<Vec<u8>> {
    let mut asked = JoinSet::new();
    let mut rest = resolvers.into_iter();
    let mut refusal = None;
    loop {
        if let Some(resolver) = rest.next() {
            let packet = packet.to_vec();
            asked.spawn_local(async move { resolver.ask(&packet, stream).await });
        }
        let pause = async {
            match rest.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(NEXT).await,
            }
        };
        tokio::select! {
            () = pause => {}
            answered = asked.join_next() => match answered {
                Some(Ok(Some(answer))) if !is_refusal(&answer) => return Some(answer),
                Some(Ok(Some(answer))) => refusal = Some(answer),
                Some(_) => {}
                None => return refusal,
            }
        }
    }
}

/// Somebody to ask.
#[derive(Debug)]
struct Resolver {
    server: SocketAddr,
    /// `None`: from the host.
    through: Option<Dialer>,
}

impl Resolver {
    fn of_host(server: SocketAddr) -> Self {
        Self { server, through: None }
    }

    async fn ask(&self, packet: &[u8], stream: bool) -> Option<Vec<u8>> {
        let server = self.server;
        let asked = async {
            match stream {
                true => over_tcp(self.connect().await?, packet).await,
                false => over_udp(self.udp().await?, packet).await,
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver cannot be asked"),
            Err(_) => tracing::debug!(%server, "a resolver does not answer"),
        }
        None
    }

    /// Opens a socket of its own, so that only the server can answer.
    async fn udp(&self) -> io::Result<UdpSocket> {
        let opened = match &self.through {
            Some(namespace) => {
                let fd = socket(namespace, self.server, Transport::Udp)?;
                UdpSocket::from_std(fd.into())?
            }
            None => {
                let any: IpAddr = match self.server {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                UdpSocket::bind((any, 0)).await?
            }
        };
        opened.connect(self.server).await?;
        Ok(opened)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        match &self.through {
            Some(namespace) => dial(self.server, namespace).await,
            None => TcpStream::connect(self.server).await,
        }
    }
}

async fn over_udp(socket: UdpSocket, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65536];
    loop {
        socket.send(packet).await?;
        let answered = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if is_answer(packet, &buffer[..length]) {
                    return io::Result::Ok(length);
                }
            }
        };
        // Datagrams get lost.
        if let Ok(length) = timeout(AGAIN, answered).await {
            buffer.truncate(length?);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(mut stream: TcpStream, packet: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Number and question must be those that were sent; case may have been lost.
fn is_answer(packet: &[u8], answer: &[u8]) -> bool {
    let section = packet.get(HEADER..).unwrap_or_default();
    let length = section.iter().position(|byte| *byte == 0).map_or(0, |end| end + 5);
    let question = |of: &[u8]| of.get(HEADER..HEADER + length).map(<[u8]>::to_ascii_lowercase);
    answer.len() >= HEADER
        && answer[..2] == packet[..2]
        && answer[2] & 0x80 != 0
        // Some answer an error without repeating the question.
        && (answer[4..6] == [0, 0] || question(answer) == question(packet))
}

/// Returns whether somebody could not or would not answer, so that another one may.
fn is_refusal(answer: &[u8]) -> bool {
    const FAILED: u8 = 2;
    const REFUSED: u8 = 5;
    answer.get(3).is_none_or(|flags| matches!(flags & 0x0f, FAILED | REFUSED))
}

const PORT: u16 = 53;
const HEADER: usize = 12;
/// As the C library.
const MOST_SERVERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(4);
/// After this the next one is asked, too: one that does not answer (a VPN that has gone) must not
/// make every name slow.
const NEXT: Duration = Duration::from_millis(800);
/// After this a datagram is sent again.
const AGAIN: Duration = Duration::from_millis(1300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_follow_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let mut read = Read::default();
        let mut shown =
            || -> Vec<String> { read.servers(&path).iter().map(ToString::to_string).collect() };
        assert_eq!(shown(), ["127.0.0.1:53"]);
        fs::write(&path, "search x\nnameserver 9.9.9.9 # c\nnameserver ::1\n").unwrap();
        assert_eq!(shown(), ["9.9.9.9:53", "[::1]:53"]);
        // Another file of the same length, as those who manage it write it.
        let new = dir.path().join("new");
        fs::write(&new, "search x\nnameserver 9.9.9.8 # c\nnameserver ::2\n").unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(shown(), ["9.9.9.8:53", "[::2]:53"]);
    }

    /// A resolver that answers with `flags`, or not at all.
    async fn server(flags: Option<u8>) -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let mut buffer = [0; 512];
            while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
                let Some(flags) = flags else { continue };
                buffer[2] |= 0x80;
                buffer[3] = flags;
                socket.send_to(&buffer[..length], source).await.unwrap();
            }
        });
        Resolver { server, through: None }
    }

    fn answered(flags: &[Option<u8>]) -> Option<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let mut resolvers = Vec::new();
            for flags in flags {
                resolvers.push(server(*flags).await);
            }
            let packet =
                [b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0" as &[u8], b"\x01x\0\0\x01\0\x01"].concat();
            first_answer(resolvers, &packet, false).await.map(|answer| answer[3])
        })
    }

    #[test]
    fn who_does_not_answer_or_refuses_is_passed_over() {
        let begin = std::time::Instant::now();
        assert_eq!(answered(&[None, Some(0)]), Some(0));
        assert!(begin.elapsed() < PATIENCE);
        assert_eq!(answered(&[Some(2), Some(5), Some(3)]), Some(3));
        assert_eq!(answered(&[Some(5)]), Some(5));
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_not_taken() {
        let packet =
            [b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0" as &[u8], b"\x01X\0\0\x01\0\x01"].concat();
        let mut answer = packet.clone();
        answer[2] |= 0x80;
        answer[13] = b'x';
        assert!(is_answer(&packet, &answer));
        answer[13] = b'y';
        assert!(!is_answer(&packet, &answer));
        assert!(!is_answer(&packet, &packet));
        assert!(!is_answer(&packet, &[]));
    }
}
