//! `hull daemon`: runs the daemon in the foreground. Commands start one by themselves.

use super::{Command, Invocation};
use crate::daemon;
use crate::error::Failure;
use crate::flags::Arity;

pub(super) const COMMAND: Command = Command {
    name: "daemon",
    arguments: "[OPTIONS]",
    about: "Run the daemon in the foreground",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut announce = false;
    let mut background = false;
    let mut wait = false;
    let mut flags = invocation.flags();
    flags.hidden(&mut announce, "announce");
    flags.hidden(&mut background, "background");
    flags.long(&mut wait, "wait", "Wait until a daemon that runs already has ended, then serve");
    flags.parse(arguments, Arity::None)?;
    if background {
        return daemon::background(invocation.context);
    }
    daemon::run(invocation.context, announce, wait)
}
