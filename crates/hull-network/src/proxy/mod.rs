//! The host's way into the networks: a SOCKS proxy that knows the containers' names.
//!
//! It serves whoever can connect to its listener; whoever listens decides who that is. Targets are
//! containers only: it is no way out.

mod socks;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{self, ClientError};

use socks::{Code, Target};

/// Serves clients of `listener`, for the networks of the state directory `home`, until it is
/// dropped.
pub async fn serve(listener: TcpListener, home: PathBuf) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let home = home.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(client, &home).await {
                        tracing::debug!(%error, "a connection of the proxy broke off");
                    }
                });
            }
            // Descriptors have run out; connections that end give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn converse(mut client: TcpStream, home: &Path) -> io::Result<()> {
    let asked = timeout(PATIENCE, socks::read(&mut client)).await;
    let Some(target) = asked.map_err(|_| io::Error::from(Errno::TIMEDOUT))?? else {
        return Ok(());
    };
    let (code, server) = match connect(home, &target).await {
        Ok(server) => (Code::Done, Some(server)),
        Err(code) => (code, None),
    };
    let local = server.as_ref().and_then(|server| server.local_addr().ok());
    socks::answer(&mut client, code, local).await?;
    if let Some(mut server) = server {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
    }
    Ok(())
}

async fn connect(home: &Path, target: &Target) -> Result<TcpStream, Code> {
    let (address, socket) = match client::reach(home, &target.host).await {
        Ok(reached) => reached,
        Err(ClientError::Refused { message, .. }) => {
            tracing::debug!(host = target.host, message, "the proxy refuses a target");
            return Err(Code::HostUnreachable);
        }
        Err(error) => {
            tracing::debug!(%error, "the proxy does not reach the network service");
            return Err(Code::NetworkUnreachable);
        }
    };
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    let connecting = socket.connect(SocketAddr::new(address, target.port));
    match timeout(PATIENCE, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Code::Refused),
        _ => Err(Code::HostUnreachable),
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const BUFFER: usize = 64 << 10;
