//! `hull checkpoint rm`.

use http::Method;

use super::super::{Command, Invocation};
use super::DIRECTORY;
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "rm",
    arguments: "[OPTIONS] CONTAINER CHECKPOINT",
    about: "Remove a checkpoint",
    aliases: &["checkpoint rm", "checkpoint remove"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut directory = String::new();
    let mut flags = invocation.flags();
    flags.long(&mut directory, "checkpoint-dir", DIRECTORY);
    let names = flags.parse(arguments, Arity::Exactly(2))?;
    let path = format!(
        "/containers/{}/checkpoints/{}?dir={}",
        encode(&names[0]),
        encode(&names[1]),
        encode(&directory)
    );
    invocation.wait_for(async {
        invocation.client().json(Method::DELETE, &path, None).await?;
        Ok(())
    })
}
