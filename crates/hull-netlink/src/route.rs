//! Routes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{Cidr, INET, INET6, family, octets};
use crate::message::{Attributes, Message, flags};
use crate::socket::{Answer, Socket};

/// Where packets for a network go. A network of zero bits is the default route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Route {
    pub destination: Cidr,
    pub gateway: IpAddr,
}

impl Socket {
    /// Adds a route through the interface `index`, in place of one to the same network.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn add_route(&mut self, index: u32, route: Route) -> io::Result<()> {
        let Route { destination, gateway } = route;
        // `struct rtmsg`.
        let header = [
            family(gateway),
            destination.prefix,
            0,
            0,
            TABLE_MAIN,
            PROTOCOL_STATIC,
            0,
            UNICAST,
            0,
            0,
            0,
            0,
        ];
        let flags = flags::ACK | flags::CREATE | flags::REPLACE;
        let mut message = Message::new(NEW_ROUTE, flags, &header)
            .put(GATEWAY, &octets(gateway))
            .put_u32(OUTPUT, index);
        if destination.prefix > 0 {
            message = message.put(DESTINATION, &octets(destination.network()));
        }
        self.request(&message).map(drop)
    }
}

impl Socket {
    /// Returns the networks that routes of all tables lead to, but for default routes and those to
    /// the host itself.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn destinations(&mut self) -> io::Result<Vec<Cidr>> {
        let mut found = Vec::new();
        for family in [INET, INET6] {
            let mut header = [0; 12];
            header[0] = family;
            match self.request(&Message::new(GET_ROUTE, flags::DUMP, &header)) {
                Ok(answers) => found.extend(answers.iter().filter_map(destination)),
                // A kernel without IPv6 has no routes of it.
                Err(error) if family == INET => return Err(error),
                Err(_) => {}
            }
        }
        Ok(found)
    }
}

fn destination(answer: &Answer) -> Option<Cidr> {
    let header = answer.payload.get(..12).filter(|_| answer.kind == NEW_ROUTE)?;
    let bytes = Attributes(&answer.payload[12..]).find(DESTINATION)?;
    let address = match header[0] {
        INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    (header[7] == UNICAST).then_some(Cidr { address, prefix: header[1] })
}

/// `RTM_*ROUTE`.
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RTN_UNICAST`.
const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const UNICAST: u8 = 1;
/// `RTA_*`.
const DESTINATION: u16 = 1;
const OUTPUT: u16 = 4;
const GATEWAY: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_what_routes_lead_to() {
        let mut socket = Socket::open(crate::Protocol::Route).unwrap();
        // Whatever routes there are: none of them is the default route or the host itself.
        let found = socket.destinations().unwrap();
        assert!(found.iter().all(|cidr| cidr.prefix > 0), "{found:?}");
    }

    #[test]
    fn routes_are_read() {
        let route = |kind: u8| Answer {
            kind: NEW_ROUTE,
            payload: [
                &[INET, 16, 0, 0, 200, 3, 0, kind, 0, 0, 0, 0][..],
                &[8, 0, 1, 0, 10, 9, 0, 0],
            ]
            .concat(),
        };
        let read = destination(&route(UNICAST)).map(|cidr| cidr.to_string());
        assert_eq!(read.as_deref(), Some("10.9.0.0/16"));
        // A local address.
        assert_eq!(destination(&route(2)), None);
    }
}
