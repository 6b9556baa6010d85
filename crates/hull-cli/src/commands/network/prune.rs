//! `hull network prune`.

use std::io::{BufRead as _, Write as _};

use crate::commands::{Command, Invocation};
use crate::error::Failure;
use crate::flags::Arity;
use crate::options::Filter;
use crate::output;

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
    if !force && !confirmed()? {
        return Err(Failure::new("network prune has been cancelled"));
    }
    invocation.wait_for(async {
        let path = format!("/networks/prune?{}", filter.parameter());
        let pruned = invocation.client().post(&path, None).await?;
        let mut shown = String::new();
        for name in pruned["NetworksDeleted"].as_array().into_iter().flatten() {
            if shown.is_empty() {
                shown.push_str("Deleted Networks:\n");
            }
            shown.push_str(name.as_str().unwrap_or_default());
            shown.push('\n');
        }
        if !shown.is_empty() {
            shown.push('\n');
        }
        output::print(shown)
    })
}

fn confirmed() -> Result<bool, Failure> {
    output::print(
        "WARNING! This will remove all custom networks not used by at least one container.\n\
         Are you sure you want to continue? [y/N] ",
    )?;
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
