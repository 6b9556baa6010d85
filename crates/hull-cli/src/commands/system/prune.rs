//! `hull system prune`.

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
    about: "Remove unused data",
    aliases: &[],
    run,
};

fn run(invocation: &Invocation<'_>, arguments: &[String]) -> Result<(), Failure> {
    let mut all = false;
    let mut filter = Filter::default();
    let mut force = false;
    let mut volumes = false;
    let mut flags = invocation.flags();
    flags.both(&mut all, 'a', "all", "Remove all unused images not just dangling ones");
    flags.long(&mut filter, "filter", "Provide filter values (e.g. \"label=<key>=<value>\")");
    flags.both(&mut force, 'f', "force", "Do not prompt for confirmation");
    flags.long(&mut volumes, "volumes", "Prune anonymous volumes");
    flags.parse(arguments, Arity::None)?;
    if volumes && filter.has("until") {
        return Err(Failure::new("The \"until\" filter is not supported with \"--volumes\""));
    }
    if !force && !confirm::ask(&warning(all, volumes, &filter.conditions()))? {
        return Ok(());
    }
    invocation.wait_for(async {
        let client = invocation.client();
        let mut reclaimed = prune(&client, "Containers", &filter).await?;
        reclaimed += prune(&client, "Networks", &filter).await?;
        if volumes {
            reclaimed += prune(&client, "Volumes", &filter).await?;
        }
        let mut images = filter.clone();
        images.add("dangling", if all { "false" } else { "true" });
        reclaimed += prune(&client, "Images", &images).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}

fn warning(all: bool, volumes: bool, conditions: &[String]) -> String {
    let mut doomed =
        vec!["all stopped containers", "all networks not used by at least one container"];
    if volumes {
        doomed.push("all anonymous volumes not used by at least one container");
    }
    doomed.push(match all {
        true => "all images without at least one container associated to them",
        false => "all dangling images",
    });
    doomed.push(match all {
        true => "all build cache",
        false => "unused build cache",
    });
    let list: String = doomed.iter().map(|what| format!("  - {what}\n")).collect();
    let mut text = format!("WARNING! This will remove:\n{list}");
    if !conditions.is_empty() {
        let list: String = conditions.iter().map(|what| format!("  - {what}\n")).collect();
        text.push_str(&format!("\n  Items to be pruned will be filtered with:\n{list}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_names_what_goes() {
        assert!(
            warning(false, false, &[])
                .ends_with("  - all dangling images\n  - unused build cache\n")
        );
        assert!(warning(true, true, &[]).contains("anonymous volumes"));
        assert!(
            warning(false, false, &["label=a".to_owned()])
                .ends_with("\n\n  Items to be pruned will be filtered with:\n  - label=a\n")
        );
    }
}
