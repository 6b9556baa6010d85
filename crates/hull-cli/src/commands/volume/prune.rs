//! `hull volume prune`.

use hull_format::human_size;

use crate::commands::pruning::prune;
use crate::commands::{Command, Invocation, confirm};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

pub(super) const COMMAND: Command = Command {
    name: "prune",
    arguments: "[OPTIONS]",
    about: "Remove unused local volumes",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut filter = Filter::default();
    let mut force = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Remove all unused volumes, not just anonymous ones");
    flags.long(&mut filter, "filter", "Provide filter values (e.g. \"label=<label>\")");
    flags.both(&mut force, 'f', "force", "Do not prompt for confirmation");
    flags.parse(arguments, Arity::None)?;
    if all {
        filter.add("all", "true");
    }
    let which = if all { "all" } else { "anonymous" };
    let warning = format!(
        "WARNING! This will remove {which} local volumes not used by at least one container."
    );
    if !force && !confirm::ask(&warning)? {
        return Ok(());
    }
    invocation.wait_for(async {
        let reclaimed = prune(&invocation.client(), "Volumes", &filter).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}
