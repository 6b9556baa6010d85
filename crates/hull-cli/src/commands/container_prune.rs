//! `hull container prune`.

use hull_format::human_size;

use super::pruning::prune;
use super::{Command, Invocation, confirm};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "prune",
    arguments: "[OPTIONS]",
    about: "Remove all stopped containers",
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
    if !force && !confirm::ask("WARNING! This will remove all stopped containers.")? {
        return Ok(());
    }
    invocation.wait_for(async {
        let reclaimed = prune(&invocation.client(), "Containers", &filter).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}
