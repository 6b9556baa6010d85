//! Routes.

use std::io;
use std::net::IpAddr;

use crate::address::{Cidr, family, octets};
use crate::message::{Message, flags};
use crate::socket::Socket;

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

/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;
/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RTN_UNICAST`.
const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const UNICAST: u8 = 1;
/// `RTA_*`.
const DESTINATION: u16 = 1;
const OUTPUT: u16 = 4;
const GATEWAY: u16 = 5;
