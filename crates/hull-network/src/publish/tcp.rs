//! TCP: each connection of a client is another one to the container.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Dialer, Target, relay};
use crate::protocol::Transport;

/// Accepts connections until it is dropped, which ends those that it has accepted.
pub(super) async fn serve(listener: TcpListener, target: Target, dialer: Dialer) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((client, _)) => {
                let (dialer, target) = (dialer.clone(), target.get());
                connections.spawn_local(async move {
                    if let Err(error) = carry(client, target, &dialer).await {
                        tracing::debug!(%target, %error, "a connection broke off");
                    }
                });
            }
            // Descriptors have run out; connections that end give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn carry(client: TcpStream, target: SocketAddr, dialer: &Dialer) -> io::Result<()> {
    let server = match dial(target, dialer).await {
        Ok(server) => server,
        Err(error) => {
            // The client is told as the container would tell it: by a reset.
            let _ = set_socket_linger(&client, Some(Duration::ZERO));
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Passes the end of either direction on and waits for the other.
    let carried = relay::carry(&client, &server).await;
    if carried.is_err() {
        // What broke one side breaks the other: a clean end would be a lie.
        let _ = set_socket_linger(&client, Some(Duration::ZERO));
        let _ = set_socket_linger(&server, Some(Duration::ZERO));
    }
    carried
}

/// Connects to `target` from inside the namespace.
pub(crate) async fn dial(target: SocketAddr, dialer: &Dialer) -> io::Result<TcpStream> {
    let socket = super::socket(dialer, target, Transport::Tcp)?;
    let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
    timeout(PATIENCE, socket.connect(target)).await.map_err(|_| io::Error::from(Errno::TIMEDOUT))?
}

const PATIENCE: Duration = Duration::from_secs(20);
