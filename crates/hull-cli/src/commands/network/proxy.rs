//! `hull network proxy`.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "proxy",
    arguments: "[OPTIONS]",
    about: "Let programs of the host reach containers by name and address\n\n\
            Serves SOCKS version 5 on a loopback address until it is interrupted, and prints the URL\n\
            to set as proxy (curl -x, ALL_PROXY). Whoever can connect to that address reaches all\n\
            containers of this user.",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut listen = DEFAULT.to_string();
    let mut flags = invocation.flags();
    flags.both(&mut listen, 'l', "listen", "Loopback address and port to listen on");
    flags.parse(arguments, Arity::None)?;
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| Failure::new(format!("{listen:?} is not an address with a port")))?;
    if !address.ip().is_loopback() {
        return Err(Failure::with_hint(
            format!("{} is not a loopback address", address.ip()),
            "a proxy that others reach would give them all containers: publish ports instead",
        ));
    }
    invocation.wait_for(async {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))?;
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        output::line(&format!("socks5h://{}", listener.local_addr()?))?;
        tokio::select! {
            () = hull_network::proxy::serve(listener, invocation.context.home.clone()) => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1080);
