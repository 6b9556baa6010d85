//! `hull kill`.

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "kill",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Kill one or more running containers",
    aliases: &["container kill", "kill"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut signal: Option<String> = None;
    let mut flags = invocation.flags();
    flags.both(&mut signal, 's', "signal", "Signal to send to the container");
    let containers = flags.parse(arguments, Arity::AtLeast(1))?;
    let signal = encode(signal.as_deref().unwrap_or("KILL"));
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        let path = format!("/containers/{}/kill?signal={signal}", encode(container));
        client.post(&path, None).await?;
        Ok(container.to_owned())
    }))
}
