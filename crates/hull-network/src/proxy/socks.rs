//! SOCKS version 5 (RFC 1928), as far as it connects: no authentication, no datagrams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Whom a client wants to be connected to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Target {
    /// Name or address.
    pub(super) host: String,
    pub(super) port: u16,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    Done = 0,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    Refused = 5,
    NoSuchCommand = 7,
    NoSuchAddress = 8,
}

/// Reads greeting and request; `None` if it is one that cannot be served, which the client has been
/// told.
pub(super) async fn read<S>(client: &mut S) -> io::Result<Option<Target>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if client.read_u8().await? != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let count = client.read_u8().await?;
    let mut methods = vec![0; count.into()];
    client.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        client.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    client.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let [version, command, _, kind] = request;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let host = match kind {
        V4 => {
            let mut octets = [0; 4];
            client.read_exact(&mut octets).await?;
            Ipv4Addr::from(octets).to_string()
        }
        V6 => {
            let mut octets = [0; 16];
            client.read_exact(&mut octets).await?;
            Ipv6Addr::from(octets).to_string()
        }
        NAME => {
            let length = client.read_u8().await?;
            let mut name = vec![0; length.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?
        }
        _ => {
            answer(client, Code::NoSuchAddress, None).await?;
            return Ok(None);
        }
    };
    let port = client.read_u16().await?;
    if command != CONNECT {
        answer(client, Code::NoSuchCommand, None).await?;
        return Ok(None);
    }
    Ok(Some(Target { host, port }))
}

/// Answers a request; `local` is the address of the new connection.
pub(super) async fn answer(
    client: &mut (impl AsyncWrite + Unpin),
    code: Code,
    local: Option<SocketAddr>,
) -> io::Result<()> {
    let local = local.unwrap_or(SocketAddr::from(([0; 4], 0)));
    let mut bytes = vec![VERSION, code as u8, 0];
    match local.ip() {
        IpAddr::V4(address) => {
            bytes.push(V4);
            bytes.extend(address.octets());
        }
        IpAddr::V6(address) => {
            bytes.push(V6);
            bytes.extend(address.octets());
        }
    }
    bytes.extend(local.port().to_be_bytes());
    client.write_all(&bytes).await
}

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is read of `bytes`, and what the client was told.
    fn exchange(bytes: &[u8]) -> (Option<Option<Target>>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, mut server) = tokio::io::duplex(1024);
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let read = read(&mut server).await.ok();
            drop(server);
            let mut told = Vec::new();
            client.read_to_end(&mut told).await.unwrap();
            (read, told)
        })
    }

    #[test]
    fn requests_are_read() {
        let greeting = [5, 2, 1, 0];
        let target = |host: &str, port| Some(Some(Target { host: host.into(), port }));
        let name = [&greeting[..], &[5, 1, 0, 3, 3], b"web", &[0x1f, 0x90]].concat();
        assert_eq!(exchange(&name), (target("web", 8080), vec![5, 0]));
        let v4 = [&greeting[..], &[5, 1, 0, 1, 10, 0, 0, 2, 0, 80]].concat();
        assert_eq!(exchange(&v4), (target("10.0.0.2", 80), vec![5, 0]));
        let v6 = [&greeting[..], &[5, 1, 0, 4], &[0; 15], &[1, 0, 80]].concat();
        assert_eq!(exchange(&v6), (target("::1", 80), vec![5, 0]));
        for end in 0..name.len() {
            assert_eq!(exchange(&name[..end]).0, None, "{end}");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        // Only with a password.
        assert_eq!(exchange(&[5, 1, 2]), (Some(None), vec![5, 0xff]));
        // To listen.
        let bind = [5, 1, 0, 5, 2, 0, 1, 10, 0, 0, 2, 0, 80];
        assert_eq!(exchange(&bind), (Some(None), vec![5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]));
        assert_eq!(exchange(&[5, 1, 0, 5, 1, 0, 9]).0, Some(None));
        // Version 4, and HTTP.
        assert_eq!(exchange(&[4, 1, 0, 80, 10, 0, 0, 2, 0]).0, None);
        assert_eq!(exchange(b"GET / HTTP/1.1\r\n\r\n").0, None);
    }
}
