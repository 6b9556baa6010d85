//! `hull container prune`.

use hull_format::human_size;

use super::{Command, Invocation, confirm};
use crate::client::Client;
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
        let reclaimed = prune(&invocation.client(), &filter).await?;
        output::line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
    })
}

/// Removes containers, says which, and returns how many bytes they took.
pub(super) async fn prune(client: &Client<'_>, filter: &Filter) -> Result<u64, Failure> {
    let path = format!("/containers/prune?{}", filter.parameter().trim_start_matches('&'));
    let answer = client.post(&path, None).await?;
    let removed = answer["ContainersDeleted"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !removed.is_empty() {
        let ids = removed.iter().map(|id| id.as_str().unwrap_or_default());
        let lines = ids.map(|id| format!("{id}\n")).collect::<String>();
        output::print(format!("Deleted Containers:\n{lines}\n"))?;
    }
    Ok(answer["SpaceReclaimed"].as_u64().unwrap_or(0))
}
