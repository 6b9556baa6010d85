//! `hull restart`.

use super::{Command, Invocation, stop};
use crate::error::Failure;

pub(super) const COMMAND: Command = Command {
    name: "restart",
    arguments: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Restart one or more containers",
    aliases: &["container restart", "restart"],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    stop::act(invocation, arguments, "restart", "Seconds to wait before killing the container")
}
