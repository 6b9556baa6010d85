//! `hull network connect`.

use serde_json::json;

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Links;

pub(super) const COMMAND: Command = Command {
    name: "connect",
    arguments: "[OPTIONS] NETWORK CONTAINER",
    about: "Connect a container to a network",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut aliases: Vec<String> = Vec::new();
    let mut link_local: Vec<String> = Vec::new();
    let mut priority = 0_i64;
    let mut links = Links::default();
    let (mut v4, mut v6) = (String::new(), String::new());
    let mut flags = invocation.flags();
    flags.long(&mut aliases, "alias", "Add network-scoped alias for the container");
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
    let body = json!({
        "Container": operands[1],
        "EndpointConfig": {
            "Aliases": aliases,
            "GwPriority": priority,
            "Links": links.0,
            "IPAMConfig": {"IPv4Address": v4, "IPv6Address": v6, "LinkLocalIPs": link_local},
        },
    });
    invocation.wait_for(async {
        let path = format!("{}/connect", super::path(&operands[0]));
        invocation.client().post(&path, Some(body)).await?;
        Ok(())
    })
}
