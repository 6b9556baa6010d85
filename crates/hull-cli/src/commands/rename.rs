//! `hull rename`.

use super::{Command, Invocation};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "rename",
    arguments: "CONTAINER NEW_NAME",
    about: "Rename a container",
    aliases: &["container rename", "rename"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let names = invocation.flags().parse(arguments, Arity::Exactly(2))?;
    let path = format!("/containers/{}/rename?name={}", encode(&names[0]), encode(&names[1]));
    invocation.wait_for(async {
        invocation.client().post(&path, None).await.map_err(|error| {
            let text = output::chain(&error);
            Failure::new(format!("{text}\nError: failed to rename container named {}", names[0]))
        })?;
        Ok(())
    })
}
