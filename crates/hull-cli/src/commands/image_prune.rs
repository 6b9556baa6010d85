//! `hull image prune`.

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
    about: "Remove unused images",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut filter = Filter::default();
    let mut force = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Remove all unused images, not just dangling ones");
    flags.long(&mut filter, "filter", "Provide filter values (e.g. \"until=<timestamp>\")");
    flags.both(&mut force, 'f', "force", "Do not prompt for confirmation");
    flags.parse(arguments, Arity::None)?;
    let warning = if all { ALL } else { DANGLING };
    if !force && !confirm::ask(warning)? {
        return Ok(());
    }
    filter.add("dangling", if all { "false" } else { "true" });
    invocation.wait_for(async {
        let reclaimed = prune(&invocation.client(), "Images", &filter).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}

const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";
const DANGLING: &str = "WARNING! This will remove all dangling images.";
