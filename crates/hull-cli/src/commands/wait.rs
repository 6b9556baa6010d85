//! `hull wait`.

use super::{Command, Invocation, many};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "wait",
    arguments: "CONTAINER [CONTAINER...]",
    about: "Block until one or more containers stop, then print their exit codes",
    aliases: &["container wait", "wait"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let containers = invocation.flags().parse(arguments, Arity::AtLeast(1))?;
    let client = invocation.client();
    invocation.wait_for(many::each(&containers, async |container| {
        let status = client.post(&format!("/containers/{}/wait", encode(container)), None).await?;
        Ok(status["StatusCode"].to_string())
    }))
}
