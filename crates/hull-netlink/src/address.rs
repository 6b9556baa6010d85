//! Addresses of interfaces.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::message::{Attributes, Message, flags};
use crate::socket::{Answer, Socket};

/// An address and how many of its first bits are its network's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    /// Returns the address with the bits of the host zero.
    pub fn network(self) -> IpAddr {
        let keep = |bits: u32| bits.saturating_sub(self.prefix.into());
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(keep(32)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(keep(128)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }

    /// Returns the address that means all of the network, which one of IPv6 has not, nor one that
    /// is too small (RFC 3021).
    pub fn broadcast(self) -> Option<IpAddr> {
        match self.address {
            IpAddr::V4(address) if self.prefix < 31 => {
                let hosts = u32::MAX >> self.prefix;
                Some(IpAddr::V4((address.to_bits() | hosts).into()))
            }
            _ => None,
        }
    }

    /// Returns whether `address` is in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, ..self }.network() == self.network()
    }

    /// Returns whether an address is in both networks.
    pub fn overlaps(self, other: Self) -> bool {
        if self.prefix <= other.prefix {
            self.contains(other.address)
        } else {
            other.contains(self.address)
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let (address, prefix) = text.split_once('/').ok_or(NotACidr)?;
        let address: IpAddr = address.parse().map_err(|_| NotACidr)?;
        if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotACidr);
        }
        let prefix: u8 = prefix.parse().map_err(|_| NotACidr)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(NotACidr) } else { Ok(Self { address, prefix }) }
    }
}

text_in_json!(Cidr);

/// A text is no address with a prefix length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotACidr;

impl fmt::Display for NotACidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address with a prefix length")
    }
}

impl std::error::Error for NotACidr {}

impl Socket {
    /// Gives the interface `index` an address, unless it has it. An address of IPv6 is usable at
    /// once: nobody is asked whether it is in use.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn add_address(&mut self, index: u32, address: Cidr) -> io::Result<()> {
        let flags = flags::ACK | flags::CREATE | flags::REPLACE;
        let message = body(Message::new(NEW_ADDRESS, flags, &header(index, address)), address);
        let message = match address.broadcast() {
            Some(broadcast) => message.put(BROADCAST, &octets(broadcast)),
            None => message,
        };
        let message = match address.address {
            IpAddr::V4(_) => message,
            IpAddr::V6(_) => message.put_u32(ADDRESS_FLAGS, NO_DAD),
        };
        self.request(&message).map(drop)
    }

    /// Returns the addresses of IPv4 that the interface `index` has.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn v4_addresses(&mut self, index: u32) -> io::Result<Vec<Cidr>> {
        let any = Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };
        let message = Message::new(GET_ADDRESS, flags::DUMP, &header(0, any));
        let answers = self.request(&message)?;
        Ok(answers.iter().filter_map(|answer| parse_v4(answer, index)).collect())
    }

    /// Takes an address from the interface `index`, unless it has it not.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn remove_address(&mut self, index: u32, address: Cidr) -> io::Result<()> {
        let message =
            body(Message::new(REMOVE_ADDRESS, flags::ACK, &header(index, address)), address);
        match self.request(&message) {
            Err(error) if error.raw_os_error() != Some(NO_SUCH_ADDRESS) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns the address of IPv4 that an answer says the interface `index` has.
fn parse_v4(answer: &Answer, index: u32) -> Option<Cidr> {
    let header = answer.payload.get(..8).filter(|_| answer.kind == NEW_ADDRESS)?;
    if header[0] != INET || header[4..] != index.to_ne_bytes() {
        return None;
    }
    let octets: [u8; 4] = Attributes(&answer.payload[8..]).find(LOCAL)?.try_into().ok()?;
    Some(Cidr { address: IpAddr::from(octets), prefix: header[1] })
}

/// `struct ifaddrmsg`.
fn header(index: u32, address: Cidr) -> [u8; 8] {
    let mut header = [family(address.address), address.prefix, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    header
}

fn body(message: Message, address: Cidr) -> Message {
    let bytes = octets(address.address);
    message.put(LOCAL, &bytes).put(ADDRESS, &bytes)
}

/// Returns the address family of `address`.
pub(crate) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    }
}

/// Returns the bytes of `address`.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `AF_INET`, `AF_INET6`.
pub(crate) const INET: u8 = 2;
pub(crate) const INET6: u8 = 10;
/// `RTM_*ADDR`.
const NEW_ADDRESS: u16 = 20;
const REMOVE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
/// `EADDRNOTAVAIL`.
const NO_SUCH_ADDRESS: i32 = 99;
/// `IFA_*` of `linux/if_addr.h`.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const ADDRESS_FLAGS: u16 = 8;
/// `IFA_F_NODAD`.
const NO_DAD: u32 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn networks() {
        assert_eq!(cidr("172.17.3.4/16").network().to_string(), "172.17.0.0");
        assert_eq!(cidr("1.2.3.4/0").network().to_string(), "0.0.0.0");
        assert_eq!(cidr("fd00:1::9/64").network().to_string(), "fd00:1::");
        assert!(cidr("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!cidr("10.0.0.0/8").contains("::1".parse().unwrap()));
        assert!(cidr("10.1.0.0/16").overlaps(cidr("10.0.0.0/8")));
        assert!(!cidr("10.1.0.0/16").overlaps(cidr("10.2.0.0/16")));
    }

    #[test]
    fn broadcasts() {
        let of = |text| cidr(text).broadcast().map(|address| address.to_string());
        assert_eq!(of("172.17.3.4/16").as_deref(), Some("172.17.255.255"));
        assert_eq!(of("1.2.3.4/0").as_deref(), Some("255.255.255.255"));
        assert_eq!((of("1.2.3.4/31"), of("1.2.3.4/32"), of("fd00::1/64")), (None, None, None));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "1.2.3.4", "1.2.3.4/33", "::/129", "1.2.3/8", "1.2.3.4/x"] {
            assert_eq!(text.parse::<Cidr>(), Err(NotACidr), "{text}");
        }
    }
}
