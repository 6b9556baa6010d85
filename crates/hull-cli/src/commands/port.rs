//! `hull port`.

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
    let operands = invocation.flags().parse(arguments, Arity::AtLeast(1))?;
    let [container, rest @ ..] = &operands[..] else {
        return Ok(());
    };
    if rest.len() > 1 {
        return Err(Failure::arity(&invocation.usage, "requires at most 2 arguments"));
    }
    invocation.wait_for(async {
        let path = format!("/containers/{}/json", encode(container));
        let inspected = invocation.client().get(&path).await?;
        let none = Map::new();
        let ports = inspected["NetworkSettings"]["Ports"].as_object().unwrap_or(&none);
        let lines = match rest.first() {
            Some(port) => one(ports, port, container)?,
            None => all(ports),
        };
        output::print(lines.into_iter().map(|line| line + "\n").collect::<String>())
    })
}

fn all(ports: &Map<String, Value>) -> Vec<String> {
    let mut lines: Vec<(u16, String)> = Vec::new();
    for (port, bindings) in ports {
        let number = port.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        lines.extend(addresses(bindings).map(|address| (number, format!("{port} -> {address}"))));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn one(ports: &Map<String, Value>, port: &str, container: &str) -> Result<Vec<String>, Failure> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    if number.parse::<u16>().is_err() {
        return Err(Failure::new(format!("invalid port: {port}")));
    }
    match ports.get(&format!("{number}/{protocol}")) {
        Some(bindings) if !bindings.is_null() => Ok(addresses(bindings).collect()),
        _ => Err(Failure::new(format!(
            "no public port \'{number}/{protocol}\' published for {container}"
        ))),
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
    fn mappings_are_listed_by_port() {
        let ports = json!({
            "8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
            "9/tcp": null,
        });
        let ports = ports.as_object().unwrap();
        assert_eq!(
            all(ports),
            ["53/udp -> 127.0.0.1:5353", "8080/tcp -> 0.0.0.0:80", "8080/tcp -> [::]:80"]
        );
        assert_eq!(one(ports, "53/udp", "box").unwrap(), ["127.0.0.1:5353"]);
        assert!(one(ports, "53", "box").is_err());
        assert!(one(ports, "9", "box").is_err());
    }
}
