//! Network interfaces that a machine has when its container gets it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::Path;

use hull_guest::{Guest, Pending};
use hull_network::{Cidr, Mac};
use hull_protocol::{Interface, Request};
use hull_vmm::{Machine, Nic, NicError};
use serde::{Deserialize, Serialize};

use crate::control::{Failure, FailureCode};
use crate::launch::InterfaceLaunch;

use super::context::chain;

/// A network interface that is plugged into a machine.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Wired {
    /// As the machine calls it.
    pub(super) id: String,
    /// By which the guest knows it.
    pub(super) mac: String,
    /// Identifier of the network that it was in when its machine was copied; `None`: it has been
    /// in none, and rests.
    pub(super) network: Option<String>,
}

impl Wired {
    /// Returns the interface that is made of `interface`.
    pub(super) fn of(interface: &InterfaceLaunch) -> Self {
        Self {
            id: interface.name.clone(),
            mac: interface.endpoint.mac.to_string(),
            network: Some(interface.endpoint.network.id.clone()),
        }
    }

    /// Whether no container has had it.
    pub(super) fn is_spare(&self) -> bool {
        self.network.is_none()
    }

    /// Whether it can become `interface`.
    fn suits(&self, interface: &InterfaceLaunch) -> bool {
        self.network.as_ref().is_none_or(|network| *network == interface.endpoint.network.id)
    }
}

/// Takes the one of `wired` that can become `interface`.
pub(super) fn take(wired: &mut Vec<Wired>, interface: &InterfaceLaunch) -> Option<Wired> {
    let place = wired.iter().position(|wired| wired.suits(interface))?;
    Some(wired.remove(place))
}

/// Plugs `interface` into `machine`, or makes it of what is plugged in already, and tells the guest;
/// returns what the guest answers when it is configured.
pub(super) async fn plug(
    machine: &mut impl Machine,
    guest: &Guest,
    wired: Option<Wired>,
    interface: &InterfaceLaunch,
    tap: OwnedFd,
) -> Result<Vec<Pending>, Failure> {
    let failed = |error: NicError| Failure::new(FailureCode::Network, chain(&error));
    let mut request = request(interface);
    let mut pending = Vec::new();
    match wired {
        Some(wired) => {
            machine.rewire_nic(&wired.id, &interface.name, tap).await.map_err(failed)?;
            if !wired.is_spare() {
                pending.push(guest.send(&Request::Stow { mac: wired.mac.clone() }));
            }
            request.from = Some(wired.mac);
            pending.push(guest.send(&Request::Interface(Box::new(request))));
        }
        None => {
            let nic = Nic { id: interface.name.clone(), mac: request.mac.clone() };
            // Asked for first: the agent then waits for the device.
            pending.push(guest.send(&Request::Interface(Box::new(request))));
            machine.plug_nic(&nic, tap).await.map_err(failed)?;
        }
    }
    Ok(pending)
}

/// Unplugs those of `wired` that the container of a machine that was copied has no use for.
pub(super) async fn unplug(machine: &mut impl Machine, wired: Vec<Wired>) -> Result<(), Failure> {
    for wired in wired.into_iter().filter(|wired| !wired.is_spare()) {
        let unplugged = machine.unplug_nic(&wired.id).await;
        unplugged.map_err(|error| Failure::new(FailureCode::Network, chain(&error)))?;
    }
    Ok(())
}

fn request(interface: &InterfaceLaunch) -> Interface {
    let InterfaceLaunch { name, endpoint, gateways } = interface;
    Interface {
        mac: endpoint.mac.to_string(),
        from: None,
        name: name.clone(),
        mtu: Some(endpoint.network.mtu),
        addresses: endpoint.addresses.iter().map(ToString::to_string).collect(),
        gateways: gateways.iter().map(ToString::to_string).collect(),
    }
}

/// The interface of a machine that waits, which leads nowhere until a container is given it.
#[derive(Debug)]
pub(super) struct Spare {
    /// How often it has been used for practice.
    uses: u8,
}

impl Spare {
    /// Plugs it into `machine`; `None` if this host has no networks for containers, or the machine
    /// could not give it another end.
    pub(super) async fn plug(
        machine: &mut impl Machine,
        program: &Path,
        home: &Path,
    ) -> Option<Self> {
        let spare = Self { uses: 0 };
        let tap = match tap(program, home, Some(GATEWAY)).await {
            Ok(tap) => tap,
            Err(error) => {
                tracing::debug!(error = chain(&error), "no tap for a machine that waits");
                return None;
            }
        };
        let nic = Nic { id: SPARE.to_owned(), mac: spare.mac() };
        if let Err(error) = machine.plug_nic(&nic, tap).await {
            tracing::debug!(error = chain(&error), "the machine waits without an interface");
            return None;
        }
        if machine.can_rewire_nic(SPARE) {
            return Some(spare);
        }
        // Containers would see it.
        if let Err(error) = machine.unplug_nic(SPARE).await {
            tracing::warn!(error = chain(&error), "a machine has an interface that is of no use");
        }
        None
    }

    /// Returns what has the guest configure it for practice.
    pub(super) fn take(&mut self) -> Request {
        // The first time it may have to wait for the device.
        let from = (self.uses > 0).then(|| self.mac());
        self.uses += 1;
        Request::Interface(Box::new(Interface {
            // One that it does not have yet is what a container has.
            mac: self.mac(),
            from,
            name: "eth0".to_owned(),
            mtu: Some(1500),
            addresses: vec!["172.17.0.2/16".to_owned()],
            gateways: vec![GATEWAY.address.to_string()],
        }))
    }

    /// Returns what has the guest put it away again.
    pub(super) fn stow(&self) -> Request {
        Request::Stow { mac: self.mac() }
    }

    /// Returns the one that a clone has of a machine that waits.
    pub(super) fn of(wired: &Wired) -> Option<Self> {
        let Mac([.., uses]) = wired.mac.parse().ok()?;
        (wired.id == SPARE).then_some(Self { uses })
    }

    /// Returns what it is for those who get it.
    pub(super) fn wired(&self) -> Wired {
        Wired { id: SPARE.to_owned(), mac: self.mac(), network: None }
    }

    fn mac(&self) -> String {
        // The device has the first address until it has been used twice.
        Mac([2, 0, 0, 0, 0, self.uses.max(1)]).to_string()
    }
}

/// Makes a tap for an interface that gets another one: it leads nowhere, or to `gateway`.
#[cfg(target_os = "linux")]
pub(super) async fn tap(program: &Path, home: &Path, gateway: Option<Cidr>) -> io::Result<OwnedFd> {
    let (program, home) = (program.to_owned(), home.to_owned());
    let make = move || hull_network::spare_tap(&program, &home, gateway);
    let made = tokio::task::spawn_blocking(make);
    made.await.map_err(io::Error::other)?
}

/// There are no taps here.
#[cfg(not(target_os = "linux"))]
pub(super) async fn tap(
    _program: &Path,
    _home: &Path,
    _gateway: Option<Cidr>,
) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

const SPARE: &str = "spare";
/// What a container that is run for practice finds in its network; `hull-init/src/rehearsal.rs` has
/// it, too.
const GATEWAY: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1)), prefix: 16 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_interface_changes_its_address_with_every_use_but_the_first() {
        let mut spare = Spare { uses: 0 };
        let plugged = spare.mac();
        let Request::Interface(first) = spare.take() else { panic!() };
        assert_eq!((&first.mac, &first.from), (&plugged, &None));
        let Request::Interface(second) = spare.take() else { panic!() };
        assert_eq!(second.from, Some(plugged));
        assert_ne!(Some(&second.mac), second.from.as_ref());
        assert_eq!(spare.wired().mac, second.mac);
        let mut of_clone = Spare::of(&spare.wired()).unwrap();
        let Request::Interface(third) = of_clone.take() else { panic!() };
        assert_eq!(third.from, Some(second.mac.clone()));
        assert_ne!(third.mac, second.mac);
        let Request::Stow { mac } = spare.stow() else { panic!() };
        assert_eq!(mac, second.mac);
    }
}
