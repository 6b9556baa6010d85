//! `hull network create`.

use hull_network::Cidr;
use serde_json::{Value, json};

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::{Arity, FlagSet, Switch};
use crate::options::{Labels, Options, Strings};
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "create",
    arguments: "[OPTIONS] NETWORK",
    about: "Create a network",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut attachable = false;
    let mut driver = "bridge".to_owned();
    let mut internal = false;
    let mut ipv6 = false;
    let mut labels = Labels::default();
    let mut options = Options::default();
    let mut ipam_options = Options::default();
    let mut pools = Pools::default();
    let mut swarm = Swarm::default();
    let mut ipam_driver = "default".to_owned();
    let mut ipv4 = Switch(true);
    let mut flags = invocation.flags();
    flags.long(&mut attachable, "attachable", "Enable manual container attachment");
    flags.long(
        &mut pools.auxiliary,
        "aux-address",
        "Auxiliary IPv4 or IPv6 addresses used by Network driver",
    );
    swarm.register(&mut flags);
    flags.both(&mut driver, 'd', "driver", "Driver to manage the Network");
    flags.long(&mut pools.gateways, "gateway", "IPv4 or IPv6 Gateway for the master subnet");
    flags.long(&mut internal, "internal", "Restrict external access to the network");
    flags.long(&mut pools.ranges, "ip-range", "Allocate container ip from a sub-range");
    flags.long(&mut ipam_driver, "ipam-driver", "IP Address Management Driver");
    flags.long(&mut ipam_options, "ipam-opt", "Set IPAM driver specific options");
    flags.long(&mut ipv4, "ipv4", "Enable or disable IPv4 address assignment");
    flags.long(&mut ipv6, "ipv6", "Enable or disable IPv6 address assignment");
    flags.long(&mut labels, "label", "Set metadata on a network");
    flags.both(&mut options, 'o', "opt", "Set driver specific options");
    flags.long(
        &mut pools.subnets,
        "subnet",
        "Subnet in CIDR format that represents a network segment",
    );
    let operands = flags.parse(arguments, Arity::Exactly(1))?;
    let mut body = json!({
        "Name": operands[0],
        "Driver": driver,
        "Internal": internal,
        "Attachable": attachable,
        "EnableIPv4": ipv4.0,
        "EnableIPv6": ipv6,
        "Labels": labels.0,
        "Options": options.0,
        "IPAM": {
            "Driver": ipam_driver,
            "Options": ipam_options.0,
            "Config": pools.config()?,
        },
    });
    swarm.fill(&mut body);
    invocation.wait_for(async {
        let created = invocation.client().post("/networks/create", Some(body)).await?;
        output::line(created["Id"].as_str().unwrap_or_default())
    })
}

/// Flags that are for swarms, or that come from them; the daemon knows, in Docker's words.
#[derive(Debug, Default)]
struct Swarm {
    config_from: String,
    config_only: bool,
    ingress: bool,
    scope: String,
}

impl Swarm {
    fn register<'a>(&'a mut self, flags: &mut FlagSet<'a>) {
        flags.long(
            &mut self.config_from,
            "config-from",
            "The network from which to copy the configuration",
        );
        flags.long(&mut self.config_only, "config-only", "Create a configuration only network");
        flags.long(&mut self.ingress, "ingress", "Create swarm routing-mesh network");
        flags.long(&mut self.scope, "scope", "Control the network's scope");
    }

    fn fill(&self, body: &mut Value) {
        body["Scope"] = json!(self.scope);
        body["Ingress"] = json!(self.ingress);
        body["ConfigOnly"] = json!(self.config_only);
        if !self.config_from.is_empty() {
            body["ConfigFrom"] = json!({"Network": self.config_from});
        }
    }
}

/// Flags about addresses, which belong together by what is in what.
#[derive(Debug, Default)]
struct Pools {
    subnets: Strings,
    ranges: Strings,
    gateways: Strings,
    /// Addresses by name.
    auxiliary: Options,
}

impl Pools {
    /// Puts every range, gateway and address to its subnet, as Docker's client does; what is wrong
    /// with a subnet that is alone the daemon says.
    fn config(&self) -> Result<Vec<Value>, Failure> {
        let subnets = &self.subnets.0;
        if subnets.len() < self.ranges.0.len() || subnets.len() < self.gateways.0.len() {
            return Err(Failure::new("every ip-range or gateway must have a corresponding subnet"));
        }
        for (number, one) in subnets.iter().enumerate() {
            for other in &subnets[..number] {
                if is_in(one, other)? || is_in(other, one)? {
                    return Err(Failure::new(
                        "multiple overlapping subnet configuration is not supported",
                    ));
                }
            }
        }
        let mut config: Vec<Value> =
            subnets.iter().map(|subnet| json!({"Subnet": subnet})).collect();
        for range in &self.ranges.0 {
            cidr(range)?;
            let at = subnet_of(subnets, "range", range)?;
            if let Some(other) = config[at]["IPRange"].as_str() {
                return Err(Failure::new(format!(
                    "cannot configure multiple ranges ({range}, {other}) on the same subnet ({})",
                    subnets[at]
                )));
            }
            config[at]["IPRange"] = json!(range);
        }
        for gateway in &self.gateways.0 {
            let at = subnet_of(subnets, "gateway", gateway)?;
            if let Some(other) = config[at]["Gateway"].as_str() {
                return Err(Failure::new(format!(
                    "cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({})",
                    subnets[at]
                )));
            }
            config[at]["Gateway"] = json!(gateway);
        }
        for (name, address) in &self.auxiliary.0 {
            let at = subnet_of(subnets, "aux-address", address)?;
            config[at]["AuxiliaryAddresses"][name] = json!(address);
        }
        Ok(config)
    }
}

/// Returns the place of the subnet that an address or a range is in.
fn subnet_of(subnets: &[String], what: &str, text: &str) -> Result<usize, Failure> {
    for (place, subnet) in subnets.iter().enumerate() {
        if is_in(text, subnet)? {
            return Ok(place);
        }
    }
    Err(Failure::new(format!("no matching subnet for {what} {text}")))
}

/// Whether an address, or the one of a network, is in a subnet.
fn is_in(text: &str, subnet: &str) -> Result<bool, Failure> {
    let subnet =
        cidr(subnet).map_err(|failure| Failure::new(format!("invalid subnet: {failure}")))?;
    match text.contains('/') {
        true => Ok(subnet.contains(cidr(text)?.address)),
        false => Ok(text.parse().is_ok_and(|address| subnet.contains(address))),
    }
}

fn cidr(text: &str) -> Result<Cidr, Failure> {
    text.parse().map_err(|_| Failure::new(format!("invalid CIDR address: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(subnets: &[&str], ranges: &[&str], gateways: &[&str]) -> Result<String, String> {
        let own = |texts: &[&str]| Strings(texts.iter().map(|text| (*text).to_owned()).collect());
        let pools = Pools {
            subnets: own(subnets),
            ranges: own(ranges),
            gateways: own(gateways),
            auxiliary: Options::default(),
        };
        match pools.config() {
            Ok(config) => Ok(Value::from(config).to_string()),
            Err(Failure::Message { text, .. }) => Err(text),
            Err(_) => Err(String::new()),
        }
    }

    #[test]
    fn what_belongs_together_is_put_together() {
        let both =
            config(&["10.0.0.0/24", "fd00::/64"], &["10.0.0.128/25"], &["fd00::9", "10.0.0.9"]);
        let both: Value = serde_json::from_str(&both.unwrap()).unwrap();
        assert_eq!(
            both,
            json!([
                {"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.9"},
                {"Subnet": "fd00::/64", "Gateway": "fd00::9"},
            ])
        );
    }

    #[test]
    fn messages_are_dockers() {
        for (subnets, gateways, message) in [
            (
                &[][..],
                &["10.0.0.1"][..],
                "every ip-range or gateway must have a corresponding subnet",
            ),
            (&["10.0.0.0/24"], &["10.1.0.1"], "no matching subnet for gateway 10.1.0.1"),
            (
                &["10.0.0.0/8", "10.1.0.0/16"],
                &[],
                "multiple overlapping subnet configuration is not supported",
            ),
            (&["x", "10.1.0.0/16"], &[], "invalid subnet: invalid CIDR address: x"),
        ] {
            assert_eq!(config(subnets, &[], gateways).unwrap_err(), message);
        }
    }
}
