//! `hull export`.

use super::{Command, Invocation, archive};
use crate::client::encode;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "export",
    arguments: "[OPTIONS] CONTAINER",
    about: "Export a container's filesystem as a tar archive",
    aliases: &["container export", "export"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut output = String::new();
    let mut flags = invocation.flags();
    flags.both(&mut output, 'o', "output", "Write to a file, instead of STDOUT");
    let names = flags.parse(arguments, Arity::Exactly(1))?;
    archive::check(&output, "failed to export container")?;
    let path = format!("/containers/{}/export", encode(&names[0]));
    invocation.wait_for(async { archive::fetch(&invocation.client(), &path, &output).await })
}
