//! `hull network connect`.

use serde_json::{Map, json};

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::{Links, Strings};

pub(super) const COMMAND: Command = Command {
    name: "connect",
    arguments: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut aliases = Strings::default();
    let mut driver_options = Strings::default();
    let mut link_local = Strings::default();
    let mut priority = 0_i64;
    let mut links = Links::default();
    let (mut v4, mut v6) = (String::new(), String::new());
    let mut flags = invocation.flags();
    flags.long(&mut aliases, "alias", "Add network-scoped alias for the container");
    flags.long(&mut driver_options, "driver-opt", "driver options for the network");
    flags.long(
        &mut priority,
        "gw-priority",
        "Highest gw-priority provides the default gateway. Accepts positive and negative values.",
    );
    flags.long(&mut v4, "ip", "IPv4 address (e.g., \"172.30.100.104\")");
    flags.long(&mut v6, "ip6", "IPv6 address (e.g., \"2001:db8::33\")");
    flags.long(&mut links, "link", "Add link to another container");
    flags.long(&mut link_local, "link-local-ip", "Add a link-local address for the container");
    let operands = flags.parse(arguments, Arity::Exactly(2))?;
    let driver_options = driver_options.0.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), json!(value))),
        _ => Err(Failure::new("invalid key/value pair format in driver options")),
    });
    let body = json!({
        "Container": super::given("container", &operands[1])?,
        "EndpointConfig": {
            "Aliases": aliases.0,
            "DriverOpts": driver_options.collect::<Result<Map<_, _>, _>>()?,
            "GwPriority": priority,
            "Links": links.0,
            "IPAMConfig": {"IPv4Address": v4, "IPv6Address": v6, "LinkLocalIPs": link_local.0},
        },
    });
    invocation.wait_for(async {
        let path = format!("{}/connect", super::path(&operands[0])?);
        invocation.client().post(&path, Some(body)).await?;
        Ok(())
    })
}
