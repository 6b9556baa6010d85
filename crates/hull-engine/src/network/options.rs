//! Options of the bridge driver.

use std::net::IpAddr;

use hull_network::model::{
    BRIDGE_NAME, HOST_BINDING, INTERFACE_PREFIX, MASQUERADE, MTU, TALK, boolean,
};

use super::{CreateNetwork, Inside};
use crate::{Error, Result};

/// Refuses options of Docker's that would be ignored, and values that make no sense.
pub(super) fn check_options(options: &CreateNetwork) -> Result<()> {
    for (name, value) in &options.options {
        let wanted = match name.as_str() {
            BRIDGE_NAME if !is_interface(value) => "a name of an interface",
            HOST_BINDING if value.parse::<IpAddr>().is_err() => "an IP address",
            MASQUERADE | TALK if boolean(value).is_none() => "true or false",
            // As in Docker, none is the usual one.
            MTU if !value.parse().is_ok_and(|mtu: u32| mtu == 0 || (68..=65535).contains(&mtu)) => {
                "an MTU (68 to 65535)"
            }
            INTERFACE_PREFIX if !is_prefix(value) => "how the name of an interface begins",
            BRIDGE_NAME | HOST_BINDING | INTERFACE_PREFIX | MASQUERADE | MTU | TALK => continue,
            // What Docker's bridge driver does not know it keeps and shows.
            _ if !name.starts_with(DOCKERS) => continue,
            _ => {
                return Err(Error::InvalidParameter(format!(
                    "network option {name} is not supported: {value}"
                )));
            }
        };
        return Err(Error::InvalidParameter(format!(
            "invalid value for {name}: {value:?} is not {wanted}"
        )));
    }
    // Docker's own driver of addresses knows no options; it keeps and shows them, too.
    Ok(())
}

/// Refuses the name of a bridge that another network's has.
pub(super) fn check_bridge(inside: &Inside, options: &CreateNetwork) -> Result<()> {
    let Some(name) = options.options.get(BRIDGE_NAME) else {
        return Ok(());
    };
    let mut others = inside.all.values();
    match others.find(|other| other.options.get(BRIDGE_NAME) == Some(name)) {
        Some(other) => Err(Error::Forbidden(format!(
            "cannot create network {} ({name}): conflicts with network {} ({name}): networks have \
             same bridge name",
            options.name, other.id
        ))),
        None => Ok(()),
    }
}

/// What Linux takes for a name of an interface, but for those that Hull makes up in its namespace.
fn is_interface(name: &str) -> bool {
    let is_made_up = |name: &str| {
        let digits = name.get(1..).unwrap_or_default();
        name.starts_with(['b', 't'])
            && digits.len() >= 12
            && digits.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '/' | ':' | '%');
    (1..16).contains(&name.len())
        && name.chars().all(fits)
        && !matches!(name, "." | ".." | "lo" | "egress0")
        && !is_made_up(name)
}

/// What a number can stand behind: nothing is the usual beginning.
fn is_prefix(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    text.len() <= 12
        && text.chars().all(fits)
        && !text.ends_with(|letter: char| letter.is_ascii_digit())
        && !text.starts_with('-')
}

/// How the names of options begin that mean something to Docker.
const DOCKERS: &str = "com.docker.network.";

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Option<String> {
        let options = CreateNetwork {
            options: [(name.to_owned(), value.to_owned())].into(),
            ..CreateNetwork::default()
        };
        check_options(&options).err().map(|error| error.to_string())
    }

    #[test]
    fn options_are_understood_or_refused() {
        for (name, value) in [
            (MTU, "9000"),
            (MTU, "0"),
            (INTERFACE_PREFIX, "net-"),
            (INTERFACE_PREFIX, ""),
            (TALK, "false"),
            (MASQUERADE, "1"),
            (HOST_BINDING, "127.0.0.1"),
            (BRIDGE_NAME, "docker1"),
            ("x", "y"),
        ] {
            assert_eq!(checked(name, value), None, "{name}");
        }
        for (name, value, why) in [
            (MTU, "67", "an MTU"),
            (TALK, "no", "true or false"),
            (HOST_BINDING, "localhost", "an IP address"),
            (BRIDGE_NAME, "b0123456789ab", "a name of an interface"),
            (INTERFACE_PREFIX, "a/b", "how the name of an interface begins"),
            (INTERFACE_PREFIX, "net1", "how the name of an interface begins"),
            (BRIDGE_NAME, "longer-than-linux-takes", "a name of an interface"),
            ("com.docker.network.bridge.inhibit_ipv4", "true", "not supported"),
        ] {
            let error = checked(name, value).unwrap_or_default();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
