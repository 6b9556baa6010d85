//! `hull port`.

use hull_format::natural;
use serde_json::{Map, Value};

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "port",
    arguments: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "List port mappings or a specific mapping for the container",
    aliases: &["container port", "port"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let operands = invocation.flags().parse(arguments, Arity::Between(1, 2))?;
    let [container, rest @ ..] = &operands[..] else {
        return Ok(());
    };
    invocation.wait_for(async {
        let path = format!("/containers/{}/json", encode(container));
        let inspected = invocation.client().get(&path).await?;
        let none = Map::new();
        let ports = inspected["NetworkSettings"]["Ports"].as_object().unwrap_or(&none);
        let mut lines = match rest.first().filter(|port| !port.is_empty()) {
            Some(port) => one(ports, port, container)?,
            None => all(ports),
        };
        lines.sort_by(|one, other| natural(one, other));
        output::print(lines.into_iter().map(|line| line + "\n").collect::<String>())
    })
}

fn all(ports: &Map<String, Value>) -> Vec<String> {
    let lines = ports.iter().flat_map(|(port, bindings)| {
        addresses(bindings).map(move |address| format!("{port} -> {address}"))
    });
    lines.collect()
}

fn one(ports: &Map<String, Value>, asked: &str, container: &str) -> Result<Vec<String>, Failure> {
    let (number, protocol) = asked.split_once('/').unwrap_or((asked, ""));
    let protocol = if protocol.is_empty() { "tcp" } else { protocol };
    if number.parse::<u16>().is_err() {
        return Err(Failure::new(format!("Error: invalid port ({number})")));
    }
    match ports.get(&format!("{number}/{protocol}")) {
        Some(bindings) if !bindings.is_null() => Ok(addresses(bindings).collect()),
        _ => {
            Err(Failure::new(format!("Error: No public port '{asked}' published for {container}")))
        }
    }
}

fn addresses(bindings: &Value) -> impl Iterator<Item = String> + '_ {
    bindings.as_array().into_iter().flatten().map(|binding| {
        let text = |name: &str| binding[name].as_str().unwrap_or_default().to_owned();
        let (address, port) = (text("HostIp"), text("HostPort"));
        match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mappings_are_found_by_port() {
        let ports = json!({
            "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
            "9/tcp": null,
        });
        let ports = ports.as_object().unwrap();
        assert_eq!(all(ports).len(), 3);
        assert!(all(ports).contains(&"8080/tcp -> [::]:80".to_owned()));
        assert_eq!(one(ports, "53/udp", "box").unwrap(), ["127.0.0.1:5353"]);
        assert_eq!(one(ports, "8080/", "box").unwrap().len(), 2);
        assert!(one(ports, "53", "box").is_err());
        assert!(one(ports, "9", "box").is_err());
    }
}
