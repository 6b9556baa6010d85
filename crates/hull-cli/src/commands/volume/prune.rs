//! `hull volume prune`.

use std::io::BufRead as _;

use http::Method;
use hull_format::human_size;

use crate::commands::{Command, Invocation};
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
    if !force && !confirm(which)? {
        return Err(Failure::new("volume prune has been cancelled"));
    }
    let path = format!("/volumes/prune?{}", filter.parameter().trim_start_matches('&'));
    let client = invocation.client();
    invocation.wait_for(async {
        let pruned = client.json(Method::POST, &path, None).await?;
        let mut text = String::new();
        let names: Vec<&str> = pruned["VolumesDeleted"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str())
            .collect();
        if !names.is_empty() {
            text.push_str(&format!("Deleted Volumes:\n{}\n\n", names.join("\n")));
        }
        let reclaimed = pruned["SpaceReclaimed"].as_u64().unwrap_or(0);
        text.push_str(&format!("Total reclaimed space: {}\n", human_size(reclaimed)));
        output::print(text)
    })
}

/// Asks whether to go on.
fn confirm(which: &str) -> Result<bool, Failure> {
    output::print(format!(
        "WARNING! This will remove {which} local volumes not used by at least one container.\n\
         Are you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y"))
}
