//! `hull pause`.

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "pause",
    arguments: "CONTAINER [CONTAINER...]",
    about: "Pause all processes within one or more containers",
    aliases: &["container pause", "pause"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let containers = invocation.flags().parse(arguments, Arity::AtLeast(1))?;
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        client.post(&format!("/containers/{}/pause", encode(container)), None).await?;
        Ok(container.to_owned())
    }))
}
