//! `hull create`.

use super::creation::{self, Pull};
use super::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::ContainerOptions;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "create",
    arguments: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    aliases: &["container create", "create"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut options = ContainerOptions::default();
    let mut pull = "missing".to_owned();
    let mut quiet = false;
    let mut flags = invocation.flags();
    flags.long(
        &mut pull,
        "pull",
        "Pull image before creating (\"always\", \"missing\", \"never\")",
    );
    flags.both(&mut quiet, 'q', "quiet", "Suppress the pull output");
    options.register(&mut flags);
    let operands = flags.parse(arguments, Arity::AtLeast(1))?;
    let pull = Pull::parse(&pull).map_err(|failure| failure.of_flags(&invocation.usage.path))?;
    let (image, command) = (&operands[0], &operands[1..]);
    let body = options
        .body(image, command, &options.attached())
        .map_err(|failure| failure.of_flags(&invocation.usage.path))?;
    invocation.wait_for(async {
        let client = invocation.client();
        output::line(&creation::create(&client, &options, (image, body), pull, quiet).await?)
    })
}
