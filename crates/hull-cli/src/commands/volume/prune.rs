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
    flags.both(&mut all, 'a', "all", "Remove all unused volumes, which is what happens without it");
    flags.long(&mut filter, "filter", "Provide filter values (e.g. \"label=<label>\")");
    flags.both(&mut force, 'f', "force", "Do not prompt for confirmation");
    flags.parse(arguments, Arity::None)?;
    // What docker's client does with an engine of API 1.41, the oracle of the tests: all volumes, and
    // its prompt says so. Through the API, clients of 1.42 and later ask for that as they are used to.
    if all || !filter.has("all") {
        filter.add("all", "true");
    }
    if !force && !confirm::ask(WARNING)? {
        return Ok(());
    }
    invocation.wait_for(async {
        let reclaimed = prune(&invocation.client(), "Volumes", &filter).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}

const WARNING: &str =
    "WARNING! This will remove all local volumes not used by at least one container.";
