//! `hull unpause`.

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "unpause",
    arguments: "CONTAINER [CONTAINER...]",
    about: "Unpause all processes within one or more containers",
    aliases: &["container unpause", "unpause"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let containers = invocation.flags().parse(arguments, Arity::AtLeast(1))?;
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        client.post(&format!("/containers/{}/unpause", encode(container)), None).await?;
        Ok(container.to_owned())
    }))
}
