//! What the service knows and has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use hull_netlink::{Protocol, Socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::dns::{Names, Server, Upstream};
use crate::egress::{Carrier, apply_rules};
use crate::link::{Links, Tap, TapError, bridge_name};
use crate::namespace::Namespace;
use crate::protocol::{Endpoint, Join, Publish, Segment, Transport};
use crate::publish::{self, Conflict, Ports};

/// Members and what was made for them.
#[derive(Debug)]
pub(super) struct State {
    namespace: Rc<RefCell<Namespace>>,
    links: Links,
    rules: Socket,
    names: Rc<RefCell<Names>>,
    _server: Server,
    /// Networks with members, by identifier.
    networks: BTreeMap<String, Segment>,
    members: BTreeMap<u64, Member>,
    next: u64,
    carrier: Option<Carrier>,
    /// There are bridges that no member is on.
    has_orphans: bool,
}

#[derive(Debug)]
struct Member {
    container: String,
    endpoints: Vec<Endpoint>,
    ports: Option<Ports>,
    /// The connection that it has joined by.
    connection: OwnedFd,
    /// By identifiers of networks. Held here, too, so that a machine which ends is not the one that
    /// closes it.
    taps: BTreeMap<String, Tap>,
}

/// Why a member is refused what it asks for, in words for the user.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self { message: error.to_string(), hint: None }
    }
}

impl From<TapError> for Refusal {
    fn from(error: TapError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = format!("{error}: {}", source.unwrap_or_default());
        let hint = match error {
            TapError::Link(_) => None,
            TapError::Tun(_) => Some(
                "containers with networks need it (others have `--network none`): as root, `modprobe \
                 tun`, and `chmod 666 /dev/net/tun` for ordinary users, as distributions have it"
                    .into(),
            ),
        };
        Self { message, hint }
    }
}

impl From<Conflict> for Refusal {
    /// In Docker's words, where Docker's users know them.
    fn from(Conflict { host, port, error }: Conflict) -> Self {
        let host = match host {
            IpAddr::V4(host) => host.to_string(),
            IpAddr::V6(host) => format!("[{host}]"),
        };
        let (why, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => ("port is already allocated".to_owned(), None),
            io::ErrorKind::PermissionDenied => {
                let hint = "ports below 1024 are for root: take another one, or set \
                            `sysctl net.ipv4.ip_unprivileged_port_start`";
                ("permission denied".to_owned(), Some(hint.to_owned()))
            }
            _ => (error.to_string(), None),
        };
        Self { message: format!("Bind for {host}:{port} failed: {why}"), hint }
    }
}

impl State {
    pub(super) fn new(mut namespace: Namespace) -> io::Result<Self> {
        let links = Links::new(&mut namespace)?;
        let rules = namespace.netlink(Protocol::Netfilter)?;
        let names = Rc::new(RefCell::new(Names::default()));
        let namespace = Rc::new(RefCell::new(namespace));
        let upstream = Upstream::new("/etc/resolv.conf", Rc::clone(&namespace));
        let server = Server::start(&mut namespace.borrow_mut(), Rc::clone(&names), upstream)?;
        let mut state = Self {
            namespace,
            links,
            rules,
            _server: server,
            names,
            networks: BTreeMap::new(),
            members: BTreeMap::new(),
            next: 0,
            carrier: None,
            has_orphans: true,
        };
        state.apply_rules()?;
        let mut namespace = state.namespace.borrow_mut();
        namespace.sysctl("ipv4/ip_forward", "1")?;
        // A kernel without IPv6 has none to forward; one without br_netfilter lets frames between
        // ports of a bridge pass as they shall, without asking the rules for what is forwarded.
        for (name, value) in [
            ("ipv6/conf/all/forwarding", "1"),
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
            ("bridge/bridge-nf-call-arptables", "0"),
        ] {
            match namespace.sysctl(name, value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        drop(namespace);
        Ok(state)
    }

    /// Returns descriptors that keep the namespace.
    pub(super) fn handles(&self) -> io::Result<[OwnedFd; 2]> {
        self.namespace.borrow().handles()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes a container in that has come by `connection`; returns its number, its taps and its ports.
    pub(super) fn join(
        &mut self,
        join: Join,
        connection: OwnedFd,
    ) -> Result<(u64, Vec<OwnedFd>, Vec<Publish>), Refusal> {
        self.dismiss();
        let Join { container, endpoints, ports, again } = join;
        let bound = publish::bind(&ports)?;
        let ports = bound.iter().map(|(publish, _)| publish.clone()).collect();
        self.next += 1;
        let number = self.next;
        // Known before anything is made, so that what is made for a refused one goes.
        let member = Member {
            container: container.clone(),
            endpoints: endpoints.clone(),
            ports: None,
            connection,
            taps: BTreeMap::new(),
        };
        self.members.insert(number, member);
        let made = self
            .make(number, &endpoints, again)
            .and_then(|taps| Ok((taps, Ports::serve(bound, &self.namespace)?)));
        match made {
            Ok((taps, served)) => {
                if let Some(member) = self.members.get_mut(&number) {
                    served.aim(&member.endpoints);
                    member.ports = Some(served);
                }
                self.names.borrow_mut().set(number, &container, &endpoints);
                Ok((number, taps, ports))
            }
            Err(refusal) => {
                self.leave(number);
                Err(refusal)
            }
        }
    }

    /// Connects a member to one more network.
    pub(super) fn connect(&mut self, number: u64, endpoint: Endpoint) -> Result<OwnedFd, Refusal> {
        self.dismiss();
        let Some(member) = self.members.get_mut(&number) else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        member.endpoints.push(endpoint.clone());
        if let Some(ports) = &member.ports {
            ports.aim(&member.endpoints);
        }
        match self.make(number, std::slice::from_ref(&endpoint), false) {
            Ok(taps) => {
                self.name(number);
                taps.into_iter().next().ok_or_else(|| io::Error::from(io::ErrorKind::Other).into())
            }
            Err(refusal) => {
                self.disconnect(number, &endpoint.network.id);
                Err(refusal)
            }
        }
    }

    /// Takes a member off a network.
    pub(super) fn disconnect(&mut self, number: u64, network: &str) {
        let Some(member) = self.members.get_mut(&number) else { return };
        let container = member.container.clone();
        let gone: Vec<Endpoint> =
            member.endpoints.extract_if(.., |endpoint| endpoint.network.id == network).collect();
        if let Some(ports) = &member.ports {
            ports.aim(&member.endpoints);
        }
        let tap = member.taps.remove(network);
        let taps = tap.map(|tap| (network.to_owned(), tap)).into_iter().collect();
        self.name(number);
        self.unmake(&container, gone, taps);
    }

    /// Gives a member other names, by identifiers of networks.
    pub(super) fn rename(&mut self, number: u64, mut names: BTreeMap<String, Vec<String>>) {
        if let Some(member) = self.members.get_mut(&number) {
            for endpoint in &mut member.endpoints {
                if let Some(names) = names.remove(&endpoint.network.id) {
                    endpoint.names = names;
                }
            }
            self.name(number);
        }
    }

    /// Returns the address of the container called `host`, or with that address, and a socket from
    /// which it is reached.
    pub(super) fn reach(&self, host: &str) -> Result<(IpAddr, OwnedFd), Refusal> {
        let names = self.names.borrow();
        let name = host.strip_suffix('.').unwrap_or(host).to_lowercase();
        let found = match name.parse::<IpAddr>() {
            Ok(address) => Some(address).filter(|address| names.is_inside(*address)),
            Err(_) => names.all_addresses(&name).into_iter().next(),
        };
        let address = found.ok_or_else(|| Refusal {
            message: format!("no running container is called {host} or has that address"),
            hint: None,
        })?;
        let target = SocketAddr::new(address, 0);
        let socket = publish::socket(&self.namespace, target, Transport::Tcp)?;
        Ok((address, socket))
    }

    /// Lets those go whose end of the connection has been closed, but of whom that has not been read
    /// yet: who comes next may have their names, addresses and ports.
    fn dismiss(&mut self) {
        let gone: Vec<u64> = self
            .members
            .iter()
            .filter(|(_, member)| has_closed(&member.connection))
            .map(|(number, _)| *number)
            .collect();
        gone.into_iter().for_each(|number| self.leave(number));
    }

    /// Removes bridges that no member is on and nobody else, either.
    fn sweep(&mut self) {
        match self.links.sweep(self.networks.values()) {
            Ok(others) => self.has_orphans = others,
            Err(error) => tracing::warn!(%error, "cannot remove a bridge"),
        }
    }

    /// Has [`State::sweep`] done if there may be bridges that a service before has left.
    pub(super) fn sweep_orphans(&mut self) {
        if self.has_orphans {
            self.sweep();
        }
    }

    /// Lets a member go.
    pub(super) fn leave(&mut self, number: u64) {
        self.names.borrow_mut().remove(number);
        if let Some(member) = self.members.remove(&number) {
            self.unmake(&member.container, member.endpoints, member.taps);
        }
    }

    fn name(&self, number: u64) {
        if let Some(member) = self.members.get(&number) {
            self.names.borrow_mut().set(number, &member.container, &member.endpoints);
        }
    }

    /// Makes what `endpoints` of a member need, and returns its taps. They have been made if it has
    /// joined before.
    fn make(
        &mut self,
        number: u64,
        endpoints: &[Endpoint],
        again: bool,
    ) -> Result<Vec<OwnedFd>, Refusal> {
        let mut taps = Vec::new();
        for endpoint in endpoints {
            self.network(&endpoint.network).map_err(TapError::from)?;
            let Some(member) = self.members.get_mut(&number) else { continue };
            if again {
                self.links.replug(&member.container, &endpoint.network)?;
                continue;
            }
            let mut namespace = self.namespace.borrow_mut();
            let tap = self.links.tap(&mut namespace, &member.container, endpoint)?;
            taps.push(tap.descriptor()?);
            member.taps.insert(endpoint.network.id.clone(), tap);
        }
        Ok(taps)
    }

    /// Makes the bridge of a network and what is on it, unless it is there.
    fn network(&mut self, segment: &Segment) -> io::Result<()> {
        if self.networks.contains_key(&segment.id) {
            return Ok(());
        }
        let mut namespace = self.namespace.borrow_mut();
        self.links.bridge(&mut namespace, segment)?;
        drop(namespace);
        self.networks.insert(segment.id.clone(), segment.clone());
        if !segment.internal {
            self.apply_rules()?;
            self.carrier.get_or_insert_with(|| Carrier::start(&self.namespace));
        }
        Ok(())
    }

    fn unmake(
        &mut self,
        container: &str,
        endpoints: Vec<Endpoint>,
        mut taps: BTreeMap<String, Tap>,
    ) {
        for endpoint in endpoints {
            let segment = endpoint.network;
            let tap = taps.remove(&segment.id);
            if let Err(error) = self.links.unplug(tap, container, &segment) {
                tracing::warn!(%error, "cannot take an interface off its bridge");
            }
            if self.is_used(&segment) {
                continue;
            }
            self.networks.remove(&segment.id);
            // Not if somebody is on it who has yet to come back from the service before this one.
            self.sweep();
            if !segment.internal
                && let Err(error) = self.apply_rules()
            {
                tracing::warn!(%error, "cannot take a bridge out of the rules");
            }
        }
    }

    /// Lets the bridges of networks that are not internal reach the outside, and no others.
    fn apply_rules(&mut self) -> io::Result<()> {
        let networks = self.networks.values().filter(|segment| !segment.internal);
        let open: Vec<String> = networks.map(bridge_name).collect();
        apply_rules(&mut self.rules, &open)
    }

    fn is_used(&self, segment: &Segment) -> bool {
        let mut endpoints = self.members.values().flat_map(|member| &member.endpoints);
        endpoints.any(|endpoint| endpoint.network.id == segment.id)
    }
}

/// Returns whether the other end of a connection has been closed.
fn has_closed(connection: &OwnedFd) -> bool {
    let mut one = [PollFd::new(connection, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut one, Some(&now)).is_ok() && one[0].revents().contains(PollFlags::HUP)
}
