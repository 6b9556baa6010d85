//! Interfaces.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::mac::Mac;
use crate::message::{Attributes, Message, flags};
use crate::socket::{Answer, Socket};

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Option<Mac>,
    /// Index of the bridge that it is a port of.
    pub master: Option<u32>,
    pub is_bridge: bool,
    /// What somebody has noted of it.
    pub alias: Option<String>,
}

/// What to change of an interface; `None`: leave it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a str>,
    /// What to note of it: at most 255 bytes.
    pub alias: Option<&'a str>,
    pub up: Option<bool>,
    /// Bytes.
    pub mtu: Option<u32>,
    pub mac: Option<Mac>,
    /// Index of a bridge; 0: none.
    pub master: Option<u32>,
    /// The network namespace that it moves to.
    pub namespace: Option<BorrowedFd<'a>>,
    /// Of a port of a bridge: whether it reaches no other port that is isolated, too.
    pub isolated: Option<bool>,
}

/// An interface that is only software.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// A bridge that forwards at once and leaves multicast alone.
    Bridge,
}

impl Socket {
    /// Returns all interfaces.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let message = Message::new(GET_LINK, flags::DUMP, &header(0, None));
        let answers = self.request(&message)?;
        Ok(answers.iter().filter_map(parse).collect())
    }

    /// Returns the interface called `name`; `None` if there is none.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let message = Message::new(GET_LINK, flags::ACK, &header(0, None)).put_text(NAME, name);
        match self.request(&message) {
            Ok(answers) => Ok(answers.iter().find_map(parse)),
            Err(error) if error.raw_os_error() == Some(NO_SUCH_DEVICE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an interface and returns its index.
    ///
    /// # Errors
    /// What the kernel refuses it with, for example that the name is in use.
    pub fn add_link(&mut self, name: &str, kind: LinkKind, mac: Mac) -> io::Result<u32> {
        let flags = flags::ACK | flags::CREATE | flags::EXCLUSIVE;
        let message = Message::new(NEW_LINK, flags, &header(0, None))
            .put_text(NAME, name)
            .put(ADDRESS, &mac.0)
            .nest(LINK_INFO, |info| match kind {
                LinkKind::Bridge => info.put(INFO_KIND, b"bridge").nest(INFO_DATA, |data| {
                    data.put(BRIDGE_MULTICAST_SNOOPING, &[0]).put_u32(BRIDGE_STP, 0)
                }),
            });
        self.request(&message)?;
        let made = self.link(name)?;
        made.map(|link| link.index).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Changes the interface `index`.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn change_link(&mut self, index: u32, change: Change<'_>) -> io::Result<()> {
        let mut message = Message::new(NEW_LINK, flags::ACK, &header(index, change.up));
        if let Some(name) = change.name {
            message = message.put_text(NAME, name);
        }
        if let Some(alias) = change.alias {
            message = message.put_text(ALIAS, alias);
        }
        if let Some(mtu) = change.mtu {
            message = message.put_u32(MTU, mtu);
        }
        if let Some(mac) = change.mac {
            message = message.put(ADDRESS, &mac.0);
        }
        if let Some(master) = change.master {
            message = message.put_u32(MASTER, master);
        }
        if let Some(namespace) = change.namespace {
            message = message.put_u32(NAMESPACE_FD, namespace.as_raw_fd() as u32);
        }
        if let Some(isolated) = change.isolated {
            message = message.nest(LINK_INFO, |info| {
                info.put(INFO_SLAVE_KIND, b"bridge")
                    .nest(INFO_SLAVE_DATA, |data| data.put(PORT_ISOLATED, &[isolated.into()]))
            });
        }
        self.request(&message).map(drop)
    }

    /// Removes the interface `index`.
    ///
    /// # Errors
    /// What the kernel refuses it with.
    pub fn remove_link(&mut self, index: u32) -> io::Result<()> {
        self.request(&Message::new(REMOVE_LINK, flags::ACK, &header(index, None))).map(drop)
    }
}

/// `struct ifinfomsg`.
fn header(index: u32, up: Option<bool>) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if let Some(up) = up {
        header[8..12].copy_from_slice(&u32::from(up).to_ne_bytes());
        header[12..].copy_from_slice(&UP.to_ne_bytes());
    }
    header
}

fn parse(answer: &Answer) -> Option<Link> {
    let header = answer.payload.get(..16).filter(|_| answer.kind == NEW_LINK)?;
    let attributes = Attributes(&answer.payload[16..]);
    let text = |kind| {
        let text = attributes.find(kind)?;
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        Some(String::from_utf8_lossy(text).into_owned())
    };
    Some(Link {
        index: u32::from_ne_bytes(header[4..8].try_into().ok()?),
        name: text(NAME)?,
        mac: attributes.find(ADDRESS).and_then(|mac| Some(Mac(mac.try_into().ok()?))),
        master: attributes.number(MASTER),
        is_bridge: kind(attributes).is_some_and(|kind| kind.strip_suffix(&[0]) == Some(b"bridge")),
        alias: text(ALIAS),
    })
}

fn kind(attributes: Attributes<'_>) -> Option<&[u8]> {
    Attributes(attributes.find(LINK_INFO)?).find(INFO_KIND)
}

/// `RTM_*LINK`.
const NEW_LINK: u16 = 16;
const REMOVE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
/// `IFLA_*`.
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const MASTER: u16 = 10;
const ALIAS: u16 = 20;
const LINK_INFO: u16 = 18;
const NAMESPACE_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_SLAVE_KIND: u16 = 4;
const INFO_SLAVE_DATA: u16 = 5;
const PORT_ISOLATED: u16 = 33;
const BRIDGE_STP: u16 = 5;
const BRIDGE_MULTICAST_SNOOPING: u16 = 23;
/// `IFF_UP`.
const UP: u32 = 1;
/// `ENODEV`.
const NO_SUCH_DEVICE: i32 = 19;
