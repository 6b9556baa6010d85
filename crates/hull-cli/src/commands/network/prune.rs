//! `hull network prune`.

use crate::commands::pruning::prune;
use crate::commands::{Command, Invocation, confirm};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;

pub(super) const COMMAND: Command = Command {
    name: "prune",
    arguments: "[OPTIONS]",
    about: "Remove all unused networks",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut filter = Filter::default();
    let mut force = false;
    let mut flags = invocation.flags();
    flags.long(&mut filter, "filter", "Provide filter values (e.g. \"until=<timestamp>\")");
    flags.both(&mut force, 'f', "force", "Do not prompt for confirmation");
    flags.parse(arguments, Arity::None)?;
    if !force && !confirm::ask(WARNING)? {
        return Ok(());
    }
    invocation.wait_for(async {
        prune(&invocation.client(), "Networks", &filter).await?;
        Ok(())
    })
}

const WARNING: &str =
    "WARNING! This will remove all custom networks not used by at least one container.";
