//! The host's resolvers.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Asks the resolvers that the host's `resolv.conf` names, as it is now.
#[derive(Debug)]
pub(crate) struct Upstream {
    path: PathBuf,
    read: RefCell<Read>,
}

#[derive(Debug, Default)]
struct Read {
    stamp: Option<(SystemTime, u64)>,
    servers: Vec<SocketAddr>,
}

impl Upstream {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read: RefCell::default() }
    }

    /// Asks one resolver after the other; `None` if none answers.
    pub(super) async fn ask(&self, packet: &[u8], stream: bool) -> Option<Vec<u8>> {
        for server in self.servers() {
            let asked = async {
                match stream {
                    true => over_tcp(server, packet).await,
                    false => over_udp(server, packet).await,
                }
            };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver cannot be asked"),
                Err(_) => tracing::debug!(%server, "a resolver does not answer"),
            }
        }
        None
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let stamp = fs::metadata(&self.path)
            .and_then(|metadata| Ok((metadata.modified()?, metadata.len())))
            .ok();
        let mut read = self.read.borrow_mut();
        if read.stamp != stamp || stamp.is_none() {
            // What cannot be read names nobody.
            let text = fs::read_to_string(&self.path).unwrap_or_default();
            *read = Read { stamp, servers: parse(&text) };
        }
        read.servers.clone()
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

/// Asks over a socket of its own, so that only `server` can answer.
async fn over_udp(server: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; 65536];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Number and question must be those that were sent.
        let is_answer = length >= 12 && buffer[..2] == packet[..2] && buffer[2] & 0x80 != 0;
        if is_answer {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn over_tcp(server: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

const PORT: u16 = 53;
/// As the C library.
const MOST_SERVERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_follow_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let upstream = Upstream::new(&path);
        let shown =
            || -> Vec<String> { upstream.servers().iter().map(ToString::to_string).collect() };
        assert_eq!(shown(), ["127.0.0.1:53"]);
        fs::write(&path, "search x\nnameserver 9.9.9.9 # c\nnameserver ::1\n").unwrap();
        assert_eq!(shown(), ["9.9.9.9:53", "[::1]:53"]);
        fs::write(&path, "nameserver 8.8.8.8\n").unwrap();
        assert_eq!(shown(), ["8.8.8.8:53"]);
    }
}
