//! `hull checkpoint ls`.

use super::super::{Command, Invocation};
use super::DIRECTORY;
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "ls",
    arguments: "[OPTIONS] CONTAINER",
    about: "List checkpoints for a container",
    aliases: &["checkpoint ls", "checkpoint list"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut directory = String::new();
    let mut flags = invocation.flags();
    flags.long(&mut directory, "checkpoint-dir", DIRECTORY);
    let containers = flags.parse(arguments, Arity::Exactly(1))?;
    let path =
        format!("/containers/{}/checkpoints?dir={}", encode(&containers[0]), encode(&directory));
    invocation.wait_for(async {
        let found = invocation.client().get(&path).await?;
        output::line("CHECKPOINT NAME")?;
        for name in found.as_array().into_iter().flatten().filter_map(|it| it["Name"].as_str()) {
            output::line(name)?;
        }
        Ok(())
    })
}
